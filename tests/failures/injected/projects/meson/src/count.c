#include "count.h"

int count_words(const char *text)
{
    int words = 0, inside = 0;
    for (; *text; text++) {
        int letter = *text != ' ';
        words += letter && !inside;
        inside = letter;
    }
    return words;
}
