#include "shapes.h"

#include <math.h>

double circle_area(double radius)
{
    return 3.14159 * pow(radius, 2);
}
