#include <calc/calc.h>

#include "powers.h"

unsigned long calc_power_of_two(int n)
{
    return n >= 0 && n < POWERS ? powers[n] : 0;
}
