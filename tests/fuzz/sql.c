/* Any line, read as one of calc-watch by the scanner and by the JSON parser alone, which must
 * agree; the row that it becomes reads back as what it was written of, and so does any text and any
 * double. */
#include "../unit/sql_model.h"
#include "require.h"

static void check_text(enum dialect dialect, const char *text, size_t len)
{
    static struct field field;
    struct buffer out = {0};
    const char *end;

    sql_text(dialect, text, len, &out);
    buffer_append(&out, "", 1);
    end = model_literal(dialect, out.data, &field);
    require(end && strcmp(end, ",") == 0 && field.len == len && memcmp(field.text, text, len) == 0,
            "a text doesn't read back");
    buffer_release(&out);
}

static void check_number(enum dialect dialect, double number)
{
    static struct field field;
    struct buffer out = {0};
    const char *end;

    sql_number(dialect, number, &out);
    buffer_append(&out, "", 1);
    end = model_literal(dialect, out.data, &field);
    require(end && strcmp(end, ",") == 0 && model_has_number(&field, number),
            "a number doesn't read back");
    buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *problem;
    double number;
    bool good;

    problem = told_disagrees((const char *)data, size, &good);
    require(!problem, problem);
    for (int dialect = DIALECT_POSTGRESQL; dialect <= DIALECT_SQLITE; dialect++) {
        if (size && !memchr(data, '\0', size))
            check_text((enum dialect)dialect, (const char *)data, size);
        if (size < sizeof number)
            continue;
        memcpy(&number, data, sizeof number);
        if (number - number == 0)
            check_number((enum dialect)dialect, number);
    }
    return 0;
}
