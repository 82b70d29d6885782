#ifndef CALC_CALC_H
#define CALC_CALC_H

#ifdef __cplusplus
extern "C" {
#endif

/* Evaluates an expression of + - * / ^ and parentheses; returns 0, or the 1-based error column. */
int calc_evaluate(const char *text, double *value);

/* Two to the power of n for n in 0..31, from a table made at build time; 0 outside of it. */
unsigned long calc_power_of_two(int n);

#ifdef __cplusplus
}
#endif
#endif
