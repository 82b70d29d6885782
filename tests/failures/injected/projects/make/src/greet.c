#include <greet/greet.h>
#include <stdio.h>

void greet(const struct guest *guest)
{
    printf("hello %s, seat %d\n", guest->name, seat_number(guest->seat));
}
