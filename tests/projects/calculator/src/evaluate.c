#include <calc/calc.h>

#include "parser.h"

int calc_evaluate(const char *text, double *value)
{
    struct parser parser = {text, text, 0};

    *value = parse_sum(&parser);
    if (parser.failed || *parser.at)
        return (int)(parser.at - parser.start) + 1;
    return 0;
}
