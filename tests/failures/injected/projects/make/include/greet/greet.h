#ifndef GREET_H
#define GREET_H

struct guest {
    const char *name;
    double seat;
};

extern const char *greet_version;
void greet(const struct guest *guest);
int seat_number(double seat);

#endif
