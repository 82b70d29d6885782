#include <math.h>
#include <shape/shape.h>

double shape_area(const struct shape *shape)
{
    return fabs(shape->width * shape->height);
}
