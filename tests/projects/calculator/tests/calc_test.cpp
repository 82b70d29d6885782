#include <calc/calc.h>

#include <cmath>
#include <cstdio>

static int failures;

static void expect(const char *text, double wanted)
{
    double value = 0;
    int column = calc_evaluate(text, &value);
    if (column != 0 || std::fabs(value - wanted) > 1e-9) {
        std::printf("%s: wanted %g, got %g (column %d)\n", text, wanted, value, column);
        failures++;
    }
}

int main()
{
    double ignored;

    expect("1 + 2 * 3", 7);
    expect("(1 + 2) * 3", 9);
    expect("2 ^ 3 ^ 2", 512);
    expect("-4 / 8", -0.5);
    failures += calc_evaluate("1 +", &ignored) == 0;
    failures += calc_power_of_two(10) != 1024;
    return failures != 0;
}
