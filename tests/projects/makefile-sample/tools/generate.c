#include <stdio.h>

int main(void)
{
    puts("#define TABLE_SIZE 10\nstatic const int table[TABLE_SIZE] __attribute__((unused)) = {");
    for (int number = 0; number < 10; number++)
        printf("    %d,\n", number * number);
    puts("};");
    return 0;
}
