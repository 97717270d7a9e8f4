/* Numbers: what is written is the shortest that reads back, and what is read is what strtod reads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

/* No decimal with fewer digits reads back to the same double. */
static void check_shortest(double number, const char *text)
{
    char shorter[64];
    int digits = 0, zeros = 0;

    for (const char *at = text; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') {
            if (*at == '0')
                zeros += digits > 0;
            else
                digits += zeros + 1, zeros = 0;
        }
    for (int precision = 1; precision < digits; precision++) {
        snprintf(shorter, sizeof shorter, "%.*e", precision - 1, number);
        must(strtod(shorter, NULL) != number);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char text[256];
    double number, back;
    size_t len;

    if (size >= sizeof number) {
        memcpy(&number, data, sizeof number);
        if (isfinite(number)) {
            len = number_write(number, text);
            must(len <= NUMBER_TEXT);
            text[len] = '\0';
            must(number_read(text, len, &back) == len);
            must(memcmp(&number, &back, sizeof number) == 0);
            check_shortest(number, text);
        }
    }
    if (size > sizeof text - 1)
        size = sizeof text - 1;
    memcpy(text, data, size);
    text[size] = '\0';
    len = number_read(text, size, &number);
    if (len) {
        must(len <= size);
        text[len] = '\0';
        back = strtod(text, NULL);
        must(memcmp(&number, &back, sizeof number) == 0);
    }
    return 0;
}
