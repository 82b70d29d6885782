#include "shapes.h"

#include <iostream>

int main()
{
    std::cout << shape_name(3).value_or("?") << " " << circle_area(2) << "\n";
}
