#include "shapes.h"

std::optional<std::string> shape_name(int corners)
{
    if (corners == 3) {
        return "triangle";
    }
    return std::nullopt;
}
