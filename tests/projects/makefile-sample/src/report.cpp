#include <sstream>
#include <string>
#include <vector>

#include "report.h"

std::string report(const std::vector<shape> &shapes)
{
    std::ostringstream out;
    for (const auto &one : shapes)
        out << one.name << '=' << shape_area(&one) << ' ';
    return out.str();
}
