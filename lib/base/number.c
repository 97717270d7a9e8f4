#include "base/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"
#include "base/pow10.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where a run of digits ends. */
static size_t digits_end(const char *text, size_t at, size_t len)
{
    while (at < len && is_digit(text[at]))
        at++;
    return at;
}

/* The exact case (W. D. Clinger, "How to Read Floating Point Numbers Accurately"): both the digits
 * and the power of ten are doubles without error, so one operation rounds correctly. */
static bool read_exact(uint64_t digits, int exponent, double *number)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (digits > UINT64_C(1) << 53 || exponent < -22 || exponent > 22)
        return false;
    *number = exponent < 0 ? (double)digits / power[-exponent] : (double)digits * power[exponent];
    return true;
}

size_t number_read(const char *text, size_t len, double *number)
{
    size_t at = len && text[0] == '-', start = at, end;
    uint64_t digits = 0;
    int count = 0, exponent = 0, written = 0;

    end = digits_end(text, at, len);
    if (end == at || (text[at] == '0' && end > at + 1))
        return 0;
    for (; at < end && count < 19; at++, count += digits != 0)
        digits = digits * 10 + (uint64_t)(text[at] - '0');
    if (at < end)
        count = 20; /* more digits than fit: not the exact case */
    at = end;
    if (at < len && text[at] == '.') {
        end = digits_end(text, ++at, len);
        if (end == at)
            return 0;
        for (; at < end && count < 19; at++, exponent--, count += digits != 0)
            digits = digits * 10 + (uint64_t)(text[at] - '0');
        if (at < end)
            count = 20;
        at = end;
    }
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        size_t first = at + 1;
        bool negative = first < len && text[first] == '-';
        first += first < len && (text[first] == '-' || text[first] == '+');
        end = digits_end(text, first, len);
        if (end == first)
            return 0;
        for (at = first; at < end; at++)
            if (written < 100000)
                written = written * 10 + (text[at] - '0');
        exponent += negative ? -written : written;
    }
    if (count < 20 && read_exact(digits, exponent, number)) {
        if (start)
            *number = -*number;
        return at;
    }
    *number = strtod(text, NULL);
    return isfinite(*number) ? at : 0;
}

/* floor(e * log10(2)), floor(log10(3/4 * 2^e)) and floor(e * log2(10)), by
 * multiplication: exact for every exponent of a double. */
static int floor_log10_pow2(int e)
{
    return (int)((int64_t)e * 1262611 >> 22);
}

static int floor_log10_three_quarters_pow2(int e)
{
    return (int)(((int64_t)e * 1262611 - 524031) >> 22);
}

static int floor_log2_pow10(int e)
{
    return (int)((int64_t)e * 1741647 >> 19);
}

/* The high 64 bits of g * cp / 2^64, made odd if any bit below was set. */
static uint64_t round_to_odd(const uint64_t g[2], uint64_t cp)
{
    unsigned __int128 low = (unsigned __int128)g[1] * cp;
    unsigned __int128 sum = (unsigned __int128)g[0] * cp + (uint64_t)(low >> 64);

    return (uint64_t)(sum >> 64) | ((uint64_t)sum > 1);
}

/* The shortest decimal digits * 10^exponent in the rounding interval of a positive double, and of
 * those the nearest to it: R. Giulietti, "The Schubfach way to render doubles" (2020). */
static uint64_t shortest(uint64_t fraction, int biased, int *exponent)
{
    uint64_t c = biased ? fraction | UINT64_C(1) << 52 : fraction;
    int q = biased ? biased - 1075 : -1074;
    bool even = c % 2 == 0, near_below = fraction == 0 && biased > 1;
    int k = near_below ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
    int h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *g = pow10_table[-k - POW10_MIN];
    uint64_t low = round_to_odd(g, (4 * c - 2 + near_below) << h) + !even;
    uint64_t middle = round_to_odd(g, 4 * c << h);
    uint64_t high = round_to_odd(g, (4 * c + 2) << h) - !even;
    uint64_t s = middle / 4, tenth = s / 10;
    bool below, above;

    if (s >= 10) { /* one digit less, if that is in the interval */
        below = low <= 40 * tenth;
        above = 40 * tenth + 40 <= high;
        if (below != above) {
            *exponent = k + 1;
            return tenth + above;
        }
    }
    *exponent = k;
    below = low <= 4 * s;
    above = 4 * s + 4 <= high;
    if (below != above)
        return s + above;
    return s + (middle > 4 * s + 2 || (middle == 4 * s + 2 && s % 2));
}

/* Most numbers that people write have three decimals or fewer. If that many thousandths are the number,
 * they are it for all who read them: a double tells numbers of fifteen digits apart, so no other
 * spelling as short reads back to it. The length; 0 if there are more decimals. */
static size_t write_thousandths(double number, char *text)
{
    uint64_t thousandths;
    char *at;

    if (number >= 1e12)
        return 0;
    thousandths = (uint64_t)(number * 1000 + 0.5);
    if ((double)thousandths / 1000 != number)
        return 0;
    at = digits_put(text, thousandths / 1000);
    *at++ = '.';
    thousandths %= 1000;
    *at++ = (char)('0' + thousandths / 100);
    digits_put_pair(at, (unsigned)thousandths % 100);
    at += thousandths % 10 ? 2 : thousandths % 100 ? 1 : 0;
    return (size_t)(at - text);
}

size_t number_write(double number, char *text)
{
    char buffer[20], *end = buffer + sizeof buffer, *digits, *at = text;
    uint64_t bits, significand;
    int exponent, count, point;
    size_t len;

    memcpy(&bits, &number, sizeof bits);
    if (bits >> 63)
        *at++ = '-';
    bits &= ~(UINT64_C(1) << 63);
    if (bits == 0) {
        memcpy(at, "0.0", 3);
        return (size_t)(at - text) + 3;
    }
    len = write_thousandths(fabs(number), at);
    if (len)
        return (size_t)(at - text) + len;
    significand = shortest(bits & ((UINT64_C(1) << 52) - 1), (int)(bits >> 52), &exponent);
    for (; significand % 10 == 0; significand /= 10) /* at most 16 times: a double has no more digits */
        exponent++;
    digits = digits_put_before(end, significand);
    count = (int)(end - digits);
    point = count + exponent; /* the number is 0.DIGITS times ten to this */
    if (point <= -4 || point > 16) {
        int power = point - 1;
        *at++ = digits[0];
        if (count > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, (size_t)count - 1);
            at += count - 1;
        }
        *at++ = 'e';
        *at++ = power < 0 ? '-' : '+';
        power = abs(power);
        if (power >= 100)
            *at++ = (char)('0' + power / 100);
        digits_put_pair(at, (unsigned)power % 100);
        at += 2;
    } else if (point <= 0) {
        memcpy(at, "0.000", 5);
        at += 2 - point;
        memcpy(at, digits, (size_t)count);
        at += count;
    } else {
        int whole = count < point ? count : point;
        memcpy(at, digits, (size_t)whole);
        memset(at + whole, '0', (size_t)(point - whole));
        at += point;
        *at++ = '.';
        if (count > point) {
            memcpy(at, digits + point, (size_t)(count - point));
            at += count - point;
        } else {
            *at++ = '0';
        }
    }
    return (size_t)(at - text);
}
