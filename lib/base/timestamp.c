#include "base/timestamp.h"

#include <time.h>

#include "base/digits.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define YEAR_1 (-719162 * DAY)            /* 0001-01-01T00:00:00Z */
#define YEAR_10000 (INT64_C(2932897) * DAY) /* 10000-01-01T00:00:00Z */

bool timestamp_valid(int64_t micros)
{
    return micros >= YEAR_1 && micros < YEAR_10000;
}

/* Days from 1970-01-01 of a date of the proleptic Gregorian calendar, and back: Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms". */
static int64_t days_from_date(int year, int month, int day)
{
    int y = year - (month <= 2);
    int era = (y >= 0 ? y : y - 399) / 400;
    int year_of_era = y - era * 400;
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (int64_t)era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int day_of_era = (int)(z - era * 146097);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted = (5 * day_of_year + 2) / 153;

    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted + (shifted < 10 ? 3 : -9);
    *year = (int)(era * 400) + year_of_era + (*month <= 2);
}

static int month_length(int year, int month)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return length[month - 1] + (month == 2 && leap);
}

/* A number of two digits, or a large negative one that no sum can hide. */
static int pair(const char *text)
{
    unsigned tens = (unsigned char)text[0] - (unsigned)'0', ones = (unsigned char)text[1] - (unsigned)'0';

    return tens > 9 || ones > 9 ? -1000000 : (int)(tens * 10 + ones);
}

/* What stands behind the point, from *at on: microseconds, further digits cut; -1 if no digit does. */
static int64_t fraction_read(const char *text, size_t len, size_t *at)
{
    static const int64_t scale[] = {SECOND, 100000, 10000, 1000, 100, 10, 1};
    size_t first = *at, digits;
    int64_t fraction = 0;

    for (; *at < len && text[*at] >= '0' && text[*at] <= '9'; ++*at)
        if (*at - first < 6)
            fraction = fraction * 10 + (text[*at] - '0');
    digits = *at - first;
    return digits ? fraction * scale[digits < 6 ? digits : 6] : -1;
}

/* The offset "Z" or "+hh:mm" that fills the text; minutes. */
static int offset_read(const char *text, size_t len, int *minutes)
{
    int hour, minute;

    if (len == 1 && (*text == 'Z' || *text == 'z')) {
        *minutes = 0;
        return 0;
    }
    if (len != 6 || (*text != '+' && *text != '-') || text[3] != ':')
        return -1;
    hour = pair(text + 1);
    minute = pair(text + 4);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return -1;
    *minutes = (*text == '-' ? -1 : 1) * (hour * 60 + minute);
    return 0;
}

int timestamp_read(const char *text, size_t len, int64_t *micros)
{
    int year, month, day, hour, minute, second, offset;
    int64_t fraction = 0, time;
    size_t at = 19;

    if (len < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
        text[13] != ':' || text[16] != ':')
        return -1;
    year = pair(text) * 100 + pair(text + 2);
    month = pair(text + 5);
    day = pair(text + 8);
    hour = pair(text + 11);
    minute = pair(text + 14);
    second = pair(text + 17);
    if (year < 0 || month < 1 || month > 12 || day < 1 ||
        (day > 28 && day > month_length(year, month)) || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 59)
        return -1;
    if (text[at] == '.' && at++ < len)
        fraction = fraction_read(text, len, &at);
    if (fraction < 0)
        return -1;
    if (at >= len || offset_read(text + at, len - at, &offset) < 0)
        return -1;
    time = days_from_date(year, month, day) * DAY +
           (((int64_t)hour * 60 + minute - offset) * 60 + second) * SECOND + fraction;
    if (!timestamp_valid(time))
        return -1;
    *micros = time;
    return 0;
}

void timestamp_write(int64_t micros, char *text)
{
    if (!timestamp_valid(micros)) /* not what anybody read, or the sum below would overflow */
        micros = micros < YEAR_1 ? YEAR_1 : YEAR_10000 - 1;

    int64_t days = (micros >= 0 ? micros : micros - (DAY - 1)) / DAY;
    int64_t rest = micros - days * DAY;
    int year, month, day;
    unsigned seconds = (unsigned)(rest / SECOND), fraction = (unsigned)(rest % SECOND);

    date_from_days(days, &year, &month, &day);
    memcpy(text, "0000-00-00T00:00:00.000000Z", TIMESTAMP_TEXT);
    digits_put_pair(text, (unsigned)year / 100);
    digits_put_pair(text + 2, (unsigned)year % 100);
    digits_put_pair(text + 5, (unsigned)month);
    digits_put_pair(text + 8, (unsigned)day);
    digits_put_pair(text + 11, seconds / 3600);
    digits_put_pair(text + 14, seconds / 60 % 60);
    digits_put_pair(text + 17, seconds % 60);
    digits_put_pair(text + 20, fraction / 10000);
    digits_put_pair(text + 22, fraction / 100 % 100);
    digits_put_pair(text + 24, fraction % 100);
}

int64_t timestamp_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * SECOND + now.tv_nsec / 1000;
}
