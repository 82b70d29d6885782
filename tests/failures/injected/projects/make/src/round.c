#include <greet/greet.h>
#include <math.h>

int seat_number(double seat)
{
    return (int)floor(seat + sqrt(seat));
}
