#include "shape/shape.h"

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

static const char *const names[] = {"square", "strip"};

const char *shape_name(int number)
{
    return number >= 0 && number < COUNT(names) ? names[number] : VERSION;
}
