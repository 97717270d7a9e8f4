/* Numbers written the slow way, which is plainly right: for the unit test and for the fuzzer. */
#ifndef UNIT_NUMBER_MODEL_H
#define UNIT_NUMBER_MODEL_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

static inline bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* The decimals with `digits` digits next to the number: does one read back to it? The nearest one
 * that does is *best, without trailing zeros. */
static inline bool representable(double number, int digits, uint64_t *best, int *exponent)
{
    static const int step[] = {0, 1, -1};
    char text[64];
    uint64_t middle = 0;

    snprintf(text, sizeof text, "%.*e", digits - 1, number);
    for (char *at = text; *at != 'e'; at++)
        if (*at != '.')
            middle = middle * 10 + (uint64_t)(*at - '0');
    *exponent = atoi(strchr(text, 'e') + 1) - (digits - 1);
    for (int i = 0; i < 3; i++) {
        *best = middle + (uint64_t)step[i];
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)*best, *exponent);
        if (*best && same(strtod(text, NULL), number))
            return true;
    }
    return false;
}

/* The slow way to what number_write() does: try one digit, two, three. */
static inline const char *slowly(double number)
{
    static char text[64];
    char digits[32], *at = text;
    uint64_t best = 0;
    int exponent = 0, count, point;

    if (signbit(number))
        *at++ = '-';
    number = fabs(number);
    if (number == 0) {
        strcpy(at, "0.0");
        return text;
    }
    for (int tried = 1; !representable(number, tried, &best, &exponent); tried++)
        ;
    for (; best % 10 == 0; best /= 10)
        exponent++;
    count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)best);
    point = count + exponent;
    if (point <= -4 || point > 16)
        sprintf(at, "%c%s%se%+03d", digits[0], count > 1 ? "." : "", digits + 1, point - 1);
    else if (point <= 0)
        sprintf(at, "0.%.*s%s", -point, "0000", digits);
    else if (point >= count)
        sprintf(at, "%s%.*s.0", digits, point - count, "0000000000000000");
    else
        sprintf(at, "%.*s.%s", point, digits, digits + point);
    return text;
}

#endif
