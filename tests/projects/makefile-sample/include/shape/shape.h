#ifndef SHAPE_H
#define SHAPE_H

#ifdef __cplusplus
extern "C" {
#endif

struct shape {
    const char *name;
    double width, height;
};

double shape_area(const struct shape *shape);
const char *shape_name(int number);
int table_square(int number);

#ifdef __cplusplus
}
#endif
#endif
