#include <calc/calc.h>

#include <iostream>

#include "history.hpp"

int main(int argc, char **argv)
{
    History history;
    for (int i = 1; i < argc; i++) {
        double value = 0;
        if (int column = calc_evaluate(argv[i], &value)) {
            std::cerr << argv[i] << ": error at column " << column << "\n";
            return 1;
        }
        history.add(argv[i], value);
    }
    for (const auto &[expression, value] : history.entries())
        std::cout << expression << " = " << value << "\n";
    if (argc > 2)
        std::cout << "sum = " << history.sum() << "\n";
    return 0;
}
