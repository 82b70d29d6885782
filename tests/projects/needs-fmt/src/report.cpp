#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "totals.h"

int main(int count, char** words) {
    std::vector<Row> rows;
    for (int n = 1; n < count; ++n)
        rows.push_back({fmt::format("value {}", n), std::strtol(words[n], nullptr, 10)});
    add_total(rows);
    fmt::print("{}", table(rows));
}
