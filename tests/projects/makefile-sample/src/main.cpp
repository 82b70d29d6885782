#include <iostream>
#include <table.h>

#include "report.h"

int main()
{
    std::cout << report({{shape_name(0), 2, 2}, {shape_name(1), 8, -1}}) << table_square(TABLE_SIZE - 1)
              << ' ' << shape_name(7) << '\n';
}
