#include "sql.h"

#include <math.h>
#include <string.h>

#include "base/digits.h"
#include "base/number.h"
#include "base/timestamp.h"

void sql_row(struct buffer *out)
{
    buffer_append(out, "(", 1);
}

void sql_row_end(struct buffer *out)
{
    if (!out->failed)
        out->len--; /* the last literal's comma */
    buffer_append(out, "),\n", 3);
}

/* --- text --- */

void sql_word(const char *word, struct buffer *out)
{
    size_t len = word ? strlen(word) : 0;
    char *at = buffer_reserve(out, len + 5);

    if (!at)
        return;
    if (!word) {
        memcpy(at, "null,", 5);
        out->len += 5;
        return;
    }
    at[0] = at[len + 1] = '\'';
    memcpy(at + 1, word, len);
    at[len + 2] = ',';
    out->len += len + 3;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20;
}

/* How many bytes stand as they are between quotes. */
static size_t plain_run(const char *text, size_t len, bool backslash)
{
    size_t run = 0;

    while (run < len && text[run] != '\'' && !is_control(text[run]) &&
           !(backslash && text[run] == '\\'))
        run++;
    return run;
}

/* A string with escapes, where one is needed: it means the same whatever the server's settings are.
 */
static void postgresql_text(const char *text, size_t len, struct buffer *out)
{
    bool escapes = false;

    for (size_t i = 0; i < len && !escapes; i++)
        escapes = is_control(text[i]) || text[i] == '\\';
    buffer_append_text(out, escapes ? "E'" : "'");
    while (len) {
        size_t run = plain_run(text, len, true);
        buffer_append(out, text, run);
        if (run < len && is_control(text[run])) {
            buffer_printf(out, "\\x%02x", (unsigned)text[run++]);
        } else if (run < len) {
            buffer_append(out, &text[run], 1);
            buffer_append(out, &text[run++], 1);
        }
        text += run;
        len -= run;
    }
}

/* SQLite has no escapes, and its client reads lines: controls stand outside of the quotes. */
static void sqlite_text(const char *text, size_t len, struct buffer *out)
{
    buffer_append(out, "'", 1);
    while (len) {
        size_t run = plain_run(text, len, false);
        buffer_append(out, text, run);
        if (run < len && is_control(text[run])) {
            buffer_printf(out, "'||char(%u)||'", (unsigned)text[run++]);
        } else if (run < len) {
            buffer_append(out, "''", 2);
            run++;
        }
        text += run;
        len -= run;
    }
}

void sql_text(enum dialect dialect, const char *text, size_t len, struct buffer *out)
{
    if (!len) {
        sql_word(NULL, out);
        return;
    }
    if (dialect == DIALECT_POSTGRESQL)
        postgresql_text(text, len, out);
    else
        sqlite_text(text, len, out);
    buffer_append(out, "',", 2);
}

/* --- numbers --- */

static void put_digits(uint64_t number, struct buffer *out)
{
    char *at = buffer_reserve(out, 20);

    if (at)
        out->len += (size_t)(digits_put(at, number) - at);
}

static void put_decimal(double number, struct buffer *out)
{
    char *at = buffer_reserve(out, NUMBER_TEXT);

    if (at)
        out->len += number_write(number, at);
}

/* SQLite reads a decimal fraction to within some last bits, not to the nearest double. Whole
 * numbers below 2^53 and powers of two it reads exactly, and multiplies and divides them without
 * rounding: 0.1 is 3602879701896397/4503599627370496.0/8.0. */
static void sqlite_number(double number, struct buffer *out)
{
    enum { BITS = 53, STEP = 52 };
    int exponent;
    uint64_t whole;

    if (fabs(number) < 0x1p53 && trunc(number) == number) {
        put_decimal(number, out);
        return;
    }
    whole = (uint64_t)ldexp(frexp(fabs(number), &exponent), BITS);
    exponent -= BITS;
    for (; whole % 2 == 0; whole /= 2)
        exponent++;
    buffer_append_text(out, number < 0 ? "-" : "");
    put_digits(whole, out);
    while (exponent) {
        int most = exponent < 0 ? -exponent : exponent, step = most < STEP ? most : STEP;
        buffer_append(out, exponent < 0 ? "/" : "*", 1);
        put_digits(UINT64_C(1) << step, out);
        buffer_append(out, ".0", 2);
        exponent += exponent < 0 ? step : -step;
    }
}

/* PostgreSQL takes a number without quotes for a decimal one, which has no -0.0. */
void sql_number(enum dialect dialect, double number, struct buffer *out)
{
    if (dialect == DIALECT_SQLITE) {
        sqlite_number(number, out);
        buffer_append(out, ",", 1);
        return;
    }
    buffer_append(out, "'", 1);
    put_decimal(number, out);
    buffer_append(out, "',", 2);
}

void sql_count(uint64_t number, struct buffer *out)
{
    put_digits(number, out);
    buffer_append(out, ",", 1);
}

/* --- ids and times --- */

void sql_id(const struct id *id, struct buffer *out)
{
    char *at = buffer_reserve(out, ID_TEXT + 3);

    if (!at)
        return;
    at[0] = at[ID_TEXT + 1] = '\'';
    id_write(id, at + 1);
    at[ID_TEXT + 2] = ',';
    out->len += ID_TEXT + 3;
}

void sql_time(int64_t micros, struct buffer *out)
{
    char *at = buffer_reserve(out, TIMESTAMP_TEXT + 3);

    if (!at)
        return;
    if (micros == TIMESTAMP_NONE) {
        sql_word(NULL, out);
        return;
    }
    at[0] = at[TIMESTAMP_TEXT + 1] = '\'';
    timestamp_write(micros, at + 1);
    at[TIMESTAMP_TEXT + 2] = ',';
    out->len += TIMESTAMP_TEXT + 3;
}
