#include "base/timestamp.h"

#include <string.h>
#include <time.h>

#include "random.h"
#include "tap.h"

static const char *spelled(int64_t micros)
{
    static char text[TIMESTAMP_TEXT + 1];

    timestamp_write(micros, text);
    return text;
}

static void test_readings(void)
{
    static const struct {
        const char *text, *canonical;
    } readings[] = {
        {"2026-11-23T11:00:00.000000Z", "2026-11-23T11:00:00.000000Z"},
        {"2026-11-23T11:00:00Z", "2026-11-23T11:00:00.000000Z"},
        {"2026-11-23t11:00:00z", "2026-11-23T11:00:00.000000Z"},
        {"2026-11-23T11:00:00.5Z", "2026-11-23T11:00:00.500000Z"},
        {"2026-11-23T11:00:00.123456789Z", "2026-11-23T11:00:00.123456Z"},
        {"2026-11-23T11:00:00.9999999999999999999999999999Z", "2026-11-23T11:00:00.999999Z"},
        {"2026-11-23T11:00:00+02:00", "2026-11-23T09:00:00.000000Z"},
        {"2026-11-23T11:00:00.25-05:30", "2026-11-23T16:30:00.250000Z"},
        {"2026-11-23T11:00:00-00:00", "2026-11-23T11:00:00.000000Z"},
        {"2026-11-23T11:00:00+23:59", "2026-11-22T11:01:00.000000Z"},
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
        {"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
        {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"},
        {"2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000000Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
        {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
        {"0000-12-31T23:59:59-01:00", "0001-01-01T00:59:59.000000Z"},
    };
    int bad = 0;

    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        int64_t micros = TIMESTAMP_NONE;
        int result = timestamp_read(readings[i].text, strlen(readings[i].text), &micros);
        bad += wrong(result == 0 && strcmp(spelled(micros), readings[i].canonical) == 0,
                     "%s: %d, %s", readings[i].text, result, spelled(result ? 0 : micros));
    }
    ok(!bad, "RFC 3339 is read with any offset and fraction, and written in UTC with microseconds");
}

static void test_refusals(void)
{
    static const char *const refused[] = {
        "",
        "2026-11-23",
        "2026-11-23T11:00:00",
        "2026-11-23 11:00:00Z",
        "2026-11-23T11:00Z",
        "2026-11-23T11:00:00.Z",
        "2026-11-23T11:00:00,5Z",
        "2026-11-23T11:00:00ZZ",
        "2026-11-23T11:00:00Z ",
        " 2026-11-23T11:00:00Z",
        "2026-11-23T11:00:60Z",
        "2016-12-31T23:59:60Z",
        "2026-11-23T11:60:00Z",
        "2026-11-23T24:00:00Z",
        "2026-00-23T11:00:00Z",
        "2026-13-23T11:00:00Z",
        "2026-11-00T11:00:00Z",
        "2026-11-31T11:00:00Z",
        "2026-02-29T11:00:00Z",
        "1900-02-29T11:00:00Z",
        "2026-11-23T11:00:00+2:00",
        "2026-11-23T11:00:00+0200",
        "2026-11-23T11:00:00+02",
        "2026-11-23T11:00:00+24:00",
        "2026-11-23T11:00:00+02:60",
        "2026-11-23T11:00:00+02:0",
        "2026-11-23T11:00:00 +02:00",
        "2026-11-23T11:00:00UTC",
        "2026/11/23T11:00:00Z",
        "-026-11-23T11:00:00Z",
        "+026-11-23T11:00:00Z",
        "12026-11-23T11:00:00Z",
        "2026-1-23T011:00:00Z",
        "2026-11-23T11-00:00Z",
        "2026-11-23T11:00-00Z",
        "2026-11-23T-1:00:00Z",
        "2026-11-23T11: 0:00Z",
        "2026-11-23T11:00:0xZ",
        "2026-11-23T11:00:00.5",
        "2026-11-23T11:00:00.5x",
        "2026-11-23T11:00:00.-5Z",
        "0000-01-01T00:00:00Z",
        "0000-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-W47-1T11:00:00Z",
        "20261123T110000Z",
    };
    int bad = 0;
    int64_t micros;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        bad +=
            wrong(timestamp_read(refused[i], strlen(refused[i]), &micros) < 0, "'%s'", refused[i]);
    ok(!bad, "anything else is refused, a second of 60 and a year 0 or 10000 in UTC too");
    bad = 0;
    for (size_t len = 0; len < 27; len++)
        bad += wrong(timestamp_read("2026-11-23T11:00:00.000000Z", len, &micros) < 0,
                     "the first %zu characters", len);
    ok(!bad, "so is a beginning of a timestamp");
}

/* Every day of the calendar, both ways. */
static void test_calendar(void)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int reading = 0, writing = 0;

    for (int year = 1; year <= 9999; year += 100 / often(100))
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= 31; day++) {
                struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
                bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                bool there = day <= length[month - 1] + (leap && month == 2);
                int64_t micros = 0;
                char text[] = "0000-00-00T00:00:00.000000Z";
                for (int i = 3, rest = year; i >= 0; i--, rest /= 10)
                    text[i] = (char)('0' + rest % 10);
                text[5] = (char)('0' + month / 10);
                text[6] = (char)('0' + month % 10);
                text[8] = (char)('0' + day / 10);
                text[9] = (char)('0' + day % 10);
                if ((timestamp_read(text, TIMESTAMP_TEXT, &micros) == 0) != there ||
                    (there && micros != timegm(&date) * INT64_C(1000000)))
                    reading += wrong(false, "%s is read wrongly", text);
                if (there && strcmp(spelled(micros), text) != 0)
                    writing += wrong(false, "%s is written %s", text, spelled(micros));
            }
    ok(!reading, "every day from 0001 to 9999 is read as timegm counts it, and no other");
    ok(!writing, "and written as it was read");
}

static void test_round_trip(void)
{
    struct random random = {1};
    const int64_t first = INT64_C(-62135596800000000), last = INT64_C(253402300799999999);
    int bad = 0;

    for (int i = 0, count = often(1000000); i < count; i++) {
        int64_t back = 0;
        int64_t micros = first + (int64_t)(random_u64(&random) % (uint64_t)(last - first + 1));
        bad += wrong(timestamp_read(spelled(micros), TIMESTAMP_TEXT, &back) == 0 && back == micros,
                     "%s", spelled(micros));
    }
    ok(!bad, "a million random microseconds read back");
    ok(strcmp(spelled(first), "0001-01-01T00:00:00.000000Z") == 0 &&
           strcmp(spelled(last), "9999-12-31T23:59:59.999999Z") == 0,
       "the first and the last microsecond are written");
    ok(timestamp_valid(first) && timestamp_valid(last) && !timestamp_valid(first - 1) &&
           !timestamp_valid(last + 1) && !timestamp_valid(TIMESTAMP_NONE),
       "they are valid, and nothing beyond them is");
    ok(strcmp(spelled(INT64_MIN), "0001-01-01T00:00:00.000000Z") == 0 &&
           strcmp(spelled(INT64_MAX), "9999-12-31T23:59:59.999999Z") == 0,
       "what is beyond them is written as the nearest");
}

static void test_now(void)
{
    int64_t before = (int64_t)time(NULL) * 1000000, now = timestamp_now();

    ok(now >= before && now <= ((int64_t)time(NULL) + 1) * 1000000, "now is the clock's");
}

int main(void)
{
    test_readings();
    test_refusals();
    test_calendar();
    test_round_trip();
    test_now();
    return tap_done();
}
