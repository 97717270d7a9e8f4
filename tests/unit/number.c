#include <float.h>

#include "number_model.h"
#include "random.h"
#include "tap.h"

static const char *written(double number)
{
    static char text[NUMBER_TEXT + 1];

    text[number_write(number, text)] = '\0';
    return text;
}

/* All that writing promises of one number. */
static int check(double number)
{
    double back = 0;
    const char *text = written(number), *wanted = slowly(number);
    size_t len = strlen(text);

    return wrong(strcmp(text, wanted) == 0, "%.17g: %s, not %s", number, text, wanted) ||
           wrong(same(strtod(text, NULL), number), "%.17g: %s is another number", number, text) ||
           wrong(number_read(text, len, &back) == len && same(back, number), "%s is read as %.17g",
                 text, back);
}

static void test_spellings(void)
{
    static const struct {
        double number;
        const char *text;
    } spellings[] = {
        {7, "7.0"},
        {0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {-2.5, "-2.5"},
        {100, "100.0"},
        {123456789, "123456789.0"},
        {0.001, "0.001"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {0.000123, "0.000123"},
        {0.0000123, "1.23e-05"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {-1e16, "-1e+16"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {9007199254740991.0, "9007199254740991.0"},
        {9007199254740992.0, "9007199254740992.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {12345678901234567890.0, "1.2345678901234567e+19"},
        {1e100, "1e+100"},
        {1e-100, "1e-100"},
        {5e-324, "5e-324"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {-DBL_MAX, "-1.7976931348623157e+308"},
        {0x1p-44, "5.684341886080802e-14"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        {2.98023223876953125e-8, "2.9802322387695312e-08"},
        {4.35, "4.35"},
        {1.7800590868057611e-307, "1.7800590868057611e-307"},
    };
    int bad = 0;

    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        bad += wrong(strcmp(written(spellings[i].number), spellings[i].text) == 0, "%s, not %s",
                     written(spellings[i].number), spellings[i].text);
    ok(!bad, "numbers are spelled as Python's repr() spells them");
}

static void test_writing(void)
{
    struct random random = {1};
    int bad = 0;

    for (int power = -1074; power <= 1023; power += slow() ? 16 : 1) {
        double number = ldexp(1, power);
        bad += check(number) + check(-number);
        bad += check(nextafter(number, INFINITY)) + check(nextafter(number, 0));
    }
    ok(!bad, "powers of two and their neighbours have the fewest digits that read back");

    bad = 0;
    for (int power = -323; power <= 308; power += slow() ? 16 : 1) {
        char text[16];
        double number;
        snprintf(text, sizeof text, "1e%d", power);
        number = strtod(text, NULL);
        bad += check(number) + check(nextafter(number, INFINITY)) + check(nextafter(number, 0));
    }
    ok(!bad, "so have powers of ten and their neighbours");

    bad = 0;
    for (int i = 0, count = often(20000); i < count; i++)
        bad += check(ldexp((double)random_below(&random, UINT64_C(1) << (1 + i % 52)), -1074));
    ok(!bad, "so have subnormal numbers");

    bad = 0;
    for (int i = 0, count = often(100000); i < count; i++)
        bad += check(random_double(&random));
    ok(!bad, "so have 100,000 numbers of random bits");

    bad = 0;
    for (int i = 0, count = often(50000); i < count; i++) {
        bad += check((double)random_below(&random, UINT64_C(1) << (1 + i % 63)));
        bad += check((double)random_below(&random, 1000000) / 1000);
    }
    ok(!bad, "so have whole numbers and numbers with three decimals");
}

/* A number as somebody could write it. */
static void make_token(struct random *random, char *text)
{
    char *at = text;
    int before, after;

    if (random_below(random, 3) == 0)
        *at++ = '-';
    before = (int)random_below(random, random_below(random, 8) ? 6 : 40);
    if (!before)
        *at++ = '0';
    else
        *at++ = (char)('1' + random_below(random, 9));
    for (int i = 1; i < before; i++)
        *at++ = (char)('0' + random_below(random, 10));
    if (random_below(random, 2)) {
        *at++ = '.';
        after = 1 + (int)random_below(random, random_below(random, 8) ? 6 : 40);
        for (int i = 0; i < after; i++)
            *at++ = (char)('0' + (random_below(random, 3) ? random_below(random, 10) : 0));
    }
    if (random_below(random, 2)) {
        static const char *const signs[] = {"e", "E", "e+", "e-", "E-"};
        at += sprintf(at, "%s%s", signs[random_below(random, 5)],
                      random_below(random, 5) ? "" : "00");
        at += sprintf(at, "%d", (int)random_below(random, random_below(random, 4) ? 25 : 330));
    }
    *at = '\0';
}

static void test_reading(void)
{
    struct random random = {2};
    char text[256];
    int bad = 0;

    for (int i = 0, count = often(300000); i < count; i++) {
        double wanted, got = 0;
        size_t len;
        make_token(&random, text);
        len = strlen(text);
        wanted = strtod(text, NULL);
        if (isinf(wanted))
            bad += wrong(number_read(text, len, &got) == 0, "%s overflows, and is read", text);
        else
            bad += wrong(number_read(text, len, &got) == len && same(got, wanted),
                         "%s is read as %.17g", text, got);
    }
    ok(!bad, "300,000 random tokens are read as strtod reads them");
}

static void test_tokens(void)
{
    static const struct {
        const char *text;
        size_t len; /* of the number that stands there; 0: none does */
        double number;
    } tokens[] = {
        {"0", 1, 0},
        {"-0", 2, -0.0},
        {"-0.0e5", 6, -0.0},
        {"0e999999999999", 14, 0},
        {"-0e-999999999999", 16, -0.0},
        {"1e-400", 6, 0},
        {"-1e-400", 7, -0.0},
        {"1e+2", 4, 100},
        {"1E2", 3, 100},
        {"1e00000000000000000000002", 25, 100},
        {"10000000000000000000000000000000000000000", 41, 1e40},
        {"0.1000000000000000055511151231257827021181583404541015625", 57, 0.1},
        {"9007199254740993", 16, 9007199254740992.0},
        {"9007199254740993.0000000000000000000000000000000001", 51, 9007199254740994.0},
        {"2.2250738585072011e-308", 23, 2.2250738585072011e-308},
        {"2.4703282292062327e-324", 23, 0},
        {"2.4703282292062329e-324", 23, 5e-324},
        {"1.7976931348623158e308", 22, DBL_MAX},
        {"1.7976931348623158079e308", 25, DBL_MAX},
        {"12,", 2, 12},
        {"12}", 2, 12},
        {"1.5.2", 3, 1.5},
        {"0x10", 1, 0},
        {"12abc", 2, 12},
        /* none */
        {"1.7976931348623159e308", 0, 0},
        {"-1e309", 0, 0},
        {"1e999999999999999999999", 0, 0},
        {"", 0, 0},
        {"-", 0, 0},
        {"+1", 0, 0},
        {".5", 0, 0},
        {"-.5", 0, 0},
        {"1.", 0, 0},
        {"1.e5", 0, 0},
        {"1e", 0, 0},
        {"1e+", 0, 0},
        {"1e-", 0, 0},
        {"00", 0, 0},
        {"01", 0, 0},
        {"-01", 0, 0},
        {" 1", 0, 0},
        {"NaN", 0, 0},
        {"nan", 0, 0},
        {"Infinity", 0, 0},
        {"-inf", 0, 0},
        {"--1", 0, 0},
        {"e5", 0, 0},
    };
    int bad = 0;

    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        double got = 0;
        size_t len = number_read(tokens[i].text, strlen(tokens[i].text), &got);
        bad += wrong(len == tokens[i].len && (!len || same(got, tokens[i].number)),
                     "'%s': %zu characters, %.17g", tokens[i].text, len, got);
    }
    ok(!bad, "only what JSON calls a number is one, it must not overflow, and -0 keeps its sign");
}

static void test_long(void)
{
    char text[2001];
    double got = 0;

    memset(text, '0', sizeof text - 1);
    text[2000] = '\0';
    text[0] = '1';
    text[300] = '\0';
    ok(number_read(text, 300, &got) == 300 && same(got, 1e299), "300 digits are a number");
    text[300] = '0';
    ok(number_read(text, 2000, &got) == 0, "2,000 digits before the point overflow");
    text[1] = '.';
    text[1999] = '1';
    ok(number_read(text, 2000, &got) == 2000 && same(got, 1), "2,000 behind it do not");
}

int main(void)
{
    test_spellings();
    test_writing();
    test_tokens();
    test_reading();
    test_long();
    return tap_done();
}
