#include "table.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

std::string table(const std::vector<Row>& rows) {
    std::size_t width = 0;
    for (const Row& row : rows) width = std::max(width, row.name.size());
    std::string text;
    for (const Row& row : rows) text += fmt::format("{:<{}} {:>6}\n", row.name, width, row.value);
    return text;
}
