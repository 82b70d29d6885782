#include <greet/greet.h>
#include <stdio.h>

int main(void)
{
    struct guest guest = {"world", 3.7};
    greet(&guest);
    printf("version %s\n", greet_version);
    return 0;
}
