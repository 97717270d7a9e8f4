#include "base/timestamp.h"

#include <time.h>

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

/* A number of exactly `count` digits, or a large negative one that no sum can hide. */
static int digits(const char *text, int count)
{
    int number = 0;

    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1000000;
        number = number * 10 + (text[i] - '0');
    }
    return number;
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
    hour = digits(text + 1, 2);
    minute = digits(text + 4, 2);
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
    year = digits(text, 4);
    month = digits(text + 5, 2);
    day = digits(text + 8, 2);
    hour = digits(text + 11, 2);
    minute = digits(text + 14, 2);
    second = digits(text + 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > month_length(year, month) ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return -1;
    if (text[at] == '.') {
        size_t first = ++at;
        int64_t scale = SECOND / 10;
        for (; at < len && text[at] >= '0' && text[at] <= '9'; at++, scale /= 10)
            fraction += (text[at] - '0') * scale;
        if (at == first)
            return -1;
    }
    if (at >= len || offset_read(text + at, len - at, &offset) < 0)
        return -1;
    time = days_from_date(year, month, day) * DAY +
           (((int64_t)hour * 60 + minute - offset) * 60 + second) * SECOND + fraction;
    if (!timestamp_valid(time))
        return -1;
    *micros = time;
    return 0;
}

static void put(char *text, int count, int number)
{
    while (count--) {
        text[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

void timestamp_write(int64_t micros, char *text)
{
    if (!timestamp_valid(micros)) /* not what anybody read, or the sum below would overflow */
        micros = micros < YEAR_1 ? YEAR_1 : YEAR_10000 - 1;

    int64_t days = (micros >= 0 ? micros : micros - (DAY - 1)) / DAY;
    int64_t rest = micros - days * DAY;
    int year, month, day, seconds = (int)(rest / SECOND);

    date_from_days(days, &year, &month, &day);
    put(text, 4, year);
    text[4] = '-';
    put(text + 5, 2, month);
    text[7] = '-';
    put(text + 8, 2, day);
    text[10] = 'T';
    put(text + 11, 2, seconds / 3600);
    text[13] = ':';
    put(text + 14, 2, seconds / 60 % 60);
    text[16] = ':';
    put(text + 17, 2, seconds % 60);
    text[19] = '.';
    put(text + 20, 6, (int)(rest % SECOND));
    text[26] = 'Z';
}

int64_t timestamp_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * SECOND + now.tv_nsec / 1000;
}
