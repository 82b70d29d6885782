#include <shape/shape.h>
#include <table.h>

int table_square(int number)
{
    return number >= 0 && number < TABLE_SIZE ? table[number] : -1;
}
