#ifndef PARSER_H
#define PARSER_H

struct parser {
    const char *start;
    const char *at;
    int failed;
};

double parse_sum(struct parser *parser);
#endif
