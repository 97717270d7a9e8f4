#include <math.h>

#include "sql_model.h"
#include "tap.h"

#define ID1 "0193a000-0000-7000-8000-000000000001"
#define ID2 "0193a000-0000-7000-8000-000000000002"
#define ID3 "0193a000-0000-7000-8000-000000000003"
#define UPDATED(version, result)                                                                   \
    "{\"action\":\"ValueUpdated\",\"id\":\"" ID1 "\",\"parent\":\"" ID2                            \
    "\",\"data\":{\"value_id\":\"" ID3                                                             \
    "\",\"operation\":\"ADD\",\"value\":3.0},\"version\":" version ",\"result\":" result
#define CURSOR(cursor) ",\"cursor\":\"" cursor "\"}"

static const char *const names[] = {"postgresql", "sqlite"};

static const char *literal(enum dialect dialect, double number, const char *text, size_t len)
{
    static char written[8192];
    struct buffer out = {0};

    if (text)
        sql_text(dialect, text, len, &out);
    else
        sql_number(dialect, number, &out);
    snprintf(written, sizeof written, "%.*s", (int)out.len - 1, out.data);
    buffer_release(&out);
    return written;
}

static void test_spellings(void)
{
    static const struct {
        double number;
        const char *text[2];
    } numbers[] = {
        {7, {"'7.0'", "7.0"}},
        {-0.0, {"'-0.0'", "-0.0"}},
        {0.1, {"'0.1'", "3602879701896397/4503599627370496.0/8.0"}},
        {-0.5, {"'-0.5'", "-1/2.0"}},
        {0x1p53, {"'9007199254740992.0'", "1*4503599627370496.0*2.0"}},
        {0x1p53 - 1, {"'9007199254740991.0'", "9007199254740991.0"}},
    };
    static const struct {
        const char *plain, *text[2];
    } texts[] = {
        {"ann", {"'ann'", "'ann'"}},
        {"o'neil", {"'o''neil'", "'o''neil'"}},
        {"a\\b", {"E'a\\\\b'", "'a\\b'"}},
        {"'\n", {"E'''\\x0a'", "''''||char(10)||''"}},
        {"", {"null", "null"}},
    };

    for (int d = 0; d < 2; d++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            const char *text = literal((enum dialect)d, numbers[i].number, NULL, 0);
            ok(strcmp(text, numbers[i].text[d]) == 0, "%s has %s for %g", names[d], text,
               numbers[i].number);
        }
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            const char *plain = texts[i].plain;
            const char *text = literal((enum dialect)d, 0, plain, strlen(plain));
            ok(strcmp(text, texts[i].text[d]) == 0, "%s has %s for text %zu", names[d], text, i);
        }
    }
}

static bool number_returns(enum dialect dialect, double number)
{
    static struct field field;
    const char *text = literal(dialect, number, NULL, 0), *end;

    end = model_literal(dialect, text, &field);
    return end && !*end && model_has_number(&field, number);
}

static void test_numbers(void)
{
    static const double edges[] = {0,        0x1p-1074,  0x1p-1022, 0x1.fffffffffffffp1023,
                                   0x1p1023, 0x1p62,     0x1p63,    9007199254740993.0,
                                   1e22,     1e23,       1.0 / 3,   0x0.fffffffffffffp-1022,
                                   1e-5,     123456.789, 0x1p52,    4503599627370497.5};
    struct random random = {7};
    int bad = 0;

    for (int d = 0; d < 2; d++) {
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
            for (int sign = -1; sign < 2; sign += 2)
                bad += wrong(number_returns((enum dialect)d, sign * edges[i]), "%s: %a", names[d],
                             sign * edges[i]);
        for (int i = 0; i < often(200000); i++) {
            double number = random_double(&random);
            if (i % 2)
                number = (double)(int64_t)random_below(&random, UINT64_C(1) << 40) / 1000;
            bad += wrong(number_returns((enum dialect)d, number), "%s: %a", names[d], number);
        }
    }
    ok(bad == 0, "every double comes back to its last bit");
}

static void test_texts(void)
{
    static struct field field;
    struct random random = {11};
    char text[300];
    int bad = 0;

    for (int i = 0; i < often(100000); i++) {
        enum dialect dialect = i % 2 ? DIALECT_SQLITE : DIALECT_POSTGRESQL;
        size_t len = 1 + random_below(&random, 40);
        const char *written, *end;
        for (size_t c = 0; c < len; c++)
            text[c] = random_below(&random, 3) ? "'\\\n\r|a:$\x7f"[random_below(&random, 9)]
                                               : (char)(1 + random_below(&random, 255));
        written = literal(dialect, 0, text, len);
        end = model_literal(dialect, written, &field);
        bad += wrong(end && !*end && field.len == len && memcmp(field.text, text, len) == 0, "%s",
                     written);
    }
    ok(bad == 0, "every text comes back, whatever is in it");
}

/* --- lines --- */

static void test_lines(void)
{
    static const struct {
        const char *line;
        bool good;
    } lines[] = {
        {UPDATED("2", "10.0") CURSOR("1.0-3.."), true},
        {UPDATED(
             "2",
             "10.0") ",\"timestamp\":\"2026-11-23T11:00:00.000000Z\",\"actor\":\"ann\"" CURSOR("1"),
         true},
        {UPDATED("2", "10.0") CURSOR(""), false},
        {UPDATED("2", "10.0") CURSOR("1'"), false},
        {UPDATED("2", "10.0") "}", false},
        {UPDATED("2", "10.0") ",\"cursor\":\"1\",\"more\":1}", true},
        {UPDATED("2", "10.0") ",\"cursor\":\"1\"" CURSOR("1"), false},
        {UPDATED("2", "10.0") ",\"cursor\":\"\\u0031\"}", true},
        {UPDATED("2", "10.0") CURSOR("1") " ", true},
        {UPDATED("2", "10.0") CURSOR("1") "x", false},
        {UPDATED("0", "10.0") CURSOR("1"), false},
        {UPDATED("9223372036854775807", "10.0") CURSOR("1"), true},
        {UPDATED("9223372036854775808", "10.0") CURSOR("1"), false},
        {"{\"action\":\"CommandRejected\",\"id\":\"" ID1
         "\",\"parent\":null,\"data\":{\"position\":\"1:18\"},\"reason\":\"malformed\"" CURSOR("1"),
         true},
        {"{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
         "\",\"data\":{\"value_id\":\"" ID3 "\",\"value\":1e+22},\"reason\":\"value_exists\","
                                            "\"version\":3,\"actor\":\"o'neil\"" CURSOR("1"),
         true},
        {"{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
         "\",\"data\":{\"value_id\":\"" ID3
         "\",\"operation\":\"MULTIPLY\",\"value\":1.0},\"reason\":\"unknown_value\",\"version\":"
         "0" CURSOR("1"),
         true},
        {"{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
         "\",\"data\":{\"value_id\":\"" ID3
         "\",\"operation\":\"MULTIPLY\",\"value\":1.0},\"reason\":\"because\",\"version\":0" CURSOR(
             "1"),
         false},
        {"[]", false},
        {"", false},
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *line = lines[i].line;
        bool good;
        const char *problem = told_disagrees(line, strlen(line), &good);
        ok(!problem && good == lines[i].good, "%s: %s", line,
           problem ? problem
           : good  ? "is a line"
                   : "is none");
    }
}

/* --- batches --- */

static void add(struct batch *batch, const char *line)
{
    static struct told told;
    struct error error;
    char *copy = line_copy(line, strlen(line), false);

    if (told_parse(copy, strlen(line), &told, &error) < 0 || batch_add(batch, &told, &error) < 0)
        abort();
    free(copy);
}

static const char *transaction(struct batch *batch)
{
    static char text[8192];
    struct buffer out = {0};
    struct error error;

    if (batch_write(batch, &out, &error) < 0)
        abort();
    snprintf(text, sizeof text, "%.*s", (int)out.len, out.data ? out.data : "");
    buffer_release(&out);
    return text;
}

static void test_batches(void)
{
    struct batch batch;
    const char *text;

    batch_init(&batch, DIALECT_POSTGRESQL);
    ok(!*transaction(&batch), "nothing is no transaction");
    add(&batch, UPDATED("2", "10.0") CURSOR("a"));
    add(&batch, UPDATED("4", "12.0") CURSOR("b"));
    add(&batch, UPDATED("3", "11.0") CURSOR("c"));
    text = transaction(&batch);
    ok(strstr(text, "\\set ON_ERROR_STOP on\n") < strstr(text, "begin;\n"),
       "the client is told to end at the first error");
    ok(strstr(text, "begin;\ninsert into calc_cursor (id, cursor) values (1, 'c')"),
       "the last line's cursor is stored first");
    ok(strstr(text, "values\n('" ID3 "','12.0',4,null,null,null)\non"),
       "a value is there once, as its newest event left it");
    ok(strcmp(text + strlen(text) - 8, "commit;\n") == 0 && !strstr(text, "calc_rejections"),
       "what there is nothing of isn't named");
    add(&batch, UPDATED("5", "13.0") CURSOR("d"));
    batch_leave_out(&batch);
    add(&batch, UPDATED("6", "14.0") CURSOR("e"));
    text = transaction(&batch);
    ok(strncmp(text, "begin;\n", 7) == 0 && strstr(text, "(1, 'd')") && strstr(text, "'14.0',6,"),
       "behind a line that was left out, what comes is taken, but not its cursor");
    add(&batch, UPDATED("7", "15.0") CURSOR("f"));
    ok(!strstr(transaction(&batch), "calc_cursor"), "nor any later one");
    batch_release(&batch);
}

int main(void)
{
    test_spellings();
    test_numbers();
    test_texts();
    test_lines();
    test_batches();
    return tap_done();
}
