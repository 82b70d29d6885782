#include "parser.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

static void skip(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static double parse_atom(struct parser *p)
{
    double value = 0;
    char *end;

    skip(p);
    if (*p->at == '(') {
        p->at++;
        value = parse_sum(p);
        skip(p);
        if (*p->at == ')')
            p->at++;
        else
            p->failed = 1;
        return value;
    }
    if (*p->at == '-') {
        p->at++;
        return -parse_atom(p);
    }
    value = strtod(p->at, &end);
    if (end == p->at)
        p->failed = 1;
    p->at = end;
    return value;
}

static double power(double base, double exponent)
{
    double result = 1;
    int n = (int)exponent;

    for (; n > 0; n--)
        result *= base;
    for (; n < 0; n++)
        result /= base;
    return result;
}

static double parse_power(struct parser *p)
{
    double base = parse_atom(p);

    skip(p);
    if (*p->at != '^')
        return base;
    p->at++;
    return power(base, parse_power(p));
}

static double parse_product(struct parser *p)
{
    double value = parse_power(p);

    for (skip(p); !p->failed && (*p->at == '*' || *p->at == '/'); skip(p)) {
        char sign = *p->at++;
        double right = parse_power(p);
        value = sign == '*' ? value * right : value / right;
    }
    return value;
}

double parse_sum(struct parser *p)
{
    double value = parse_product(p);

    for (skip(p); !p->failed && (*p->at == '+' || *p->at == '-'); skip(p)) {
        char sign = *p->at++;
        double right = parse_product(p);
        value = sign == '+' ? value + right : value - right;
    }
    return value;
}
