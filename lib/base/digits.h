/* Decimal digits, two at a time. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Writes a number below 100 as two digits. */
static inline void digits_put_pair(char *text, unsigned number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";

    memcpy(text, pairs + 2 * number, 2);
}

/* Writes the digits of a number, without leading zeros, so that they end before `end`: at most 20.
 * Returns where they begin. */
static inline char *digits_put_before(char *end, uint64_t number)
{
    for (; number >= 100; number /= 100)
        digits_put_pair(end -= 2, (unsigned)(number % 100));
    if (number >= 10)
        digits_put_pair(end -= 2, (unsigned)number);
    else
        *--end = (char)('0' + number);
    return end;
}

/* Writes the digits at `text`, which has room for 20. Returns the place behind them. */
static inline char *digits_put(char *text, uint64_t number)
{
    char room[20], *end = room + sizeof room, *begin = digits_put_before(end, number);
    size_t count = (size_t)(end - begin);

    memcpy(text, begin, count);
    return text + count;
}

#endif
