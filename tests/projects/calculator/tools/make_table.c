#include <stdio.h>

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;

    if (!out)
        return 1;
    fprintf(out, "#define POWERS 32\nstatic const unsigned long powers[POWERS] = {\n");
    for (int n = 0; n < 32; n++)
        fprintf(out, "    %luul,\n", 1ul << n);
    fprintf(out, "};\n");
    return fclose(out) != 0;
}
