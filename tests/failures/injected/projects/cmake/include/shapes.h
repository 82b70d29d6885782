#pragma once

#ifdef __cplusplus
extern "C" {
#endif
double circle_area(double radius);
#ifdef __cplusplus
}

#include <optional>
#include <string>

std::optional<std::string> shape_name(int corners);
#endif
