/* Reads back what calc-sql writes, as the databases would: for the unit tests, and for the fuzzer.
 */
#ifndef UNIT_SQL_MODEL_H
#define UNIT_SQL_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cmd/calc-sql/batch.h"
#include "base/number.h"
#include "messages.h"

struct field {
    enum { FIELD_NULL, FIELD_TEXT, FIELD_NUMBER } kind;
    char text[4096];
    size_t len;
    double number;
};

static inline bool model_put(struct field *field, char c)
{
    if (field->len == sizeof field->text - 1)
        return false;
    field->text[field->len++] = c;
    field->text[field->len] = '\0';
    return true;
}

/* What stands between quotes, up to behind the last one. A control would not come through every
 * client, and a backslash means something else in another setting. */
static inline const char *model_quoted(const char *at, bool escapes, bool backslash,
                                       struct field *field)
{
    char hex[3] = {0};

    for (; at; at++) {
        char c = *at;
        if ((unsigned char)c < 0x20 || (c == '\\' && !escapes && !backslash))
            return NULL;
        if (c == '\'' && *++at != '\'')
            return at;
        if (c == '\\' && escapes && *++at == 'x') {
            memcpy(hex, at + 1, 2);
            c = (char)strtoul(hex, NULL, 16);
            at += 2;
        } else if (c == '\\' && *at != '\\') {
            return NULL;
        }
        if (!model_put(field, c))
            return NULL;
    }
    return NULL;
}

/* 'text', or SQLite's 'text'||char(10)||'text'. */
static inline const char *model_text(enum dialect dialect, const char *at, struct field *field)
{
    bool escapes = dialect == DIALECT_POSTGRESQL && *at == 'E';
    char *end;

    field->kind = FIELD_TEXT;
    at = model_quoted(at + escapes + 1, escapes, dialect == DIALECT_SQLITE, field);
    while (at && dialect == DIALECT_SQLITE && strncmp(at, "||char(", 7) == 0) {
        if (!model_put(field, (char)strtoul(at + 7, &end, 10)) || strncmp(end, ")||'", 4) != 0)
            return NULL;
        at = model_quoted(end + 4, false, true, field);
    }
    return at;
}

/* A number as SQLite reads it without fault: whole, and not above 2^53. */
static inline const char *model_whole(const char *at, double *number)
{
    char *end;

    if (*at < '0' || *at > '9')
        return NULL;
    *number = (double)strtoull(at, &end, 10);
    if (end - at > 16 || *number > 0x1p53)
        return NULL;
    return strncmp(end, ".0", 2) == 0 ? end + 2 : end;
}

static inline const char *model_number(const char *at, struct field *field)
{
    bool minus = *at == '-';
    double other = 0;

    field->kind = FIELD_NUMBER;
    at = model_whole(at + minus, &field->number);
    while (at && (*at == '*' || *at == '/')) {
        char operator= * at;
        at = model_whole(at + 1, &other);
        field->number = operator== '*' ? field->number * other : field->number / other;
    }
    if (minus)
        field->number = -field->number;
    return at;
}

/* Reads a literal: the place behind it, or NULL if it is none. */
static inline const char *model_literal(enum dialect dialect, const char *at, struct field *field)
{
    field->kind = FIELD_NULL;
    field->len = 0;
    field->text[0] = '\0';
    if (strncmp(at, "null", 4) == 0)
        return at + 4;
    return *at == '\'' || *at == 'E' ? model_text(dialect, at, field) : model_number(at, field);
}

/* --- rows --- */

/* A row being read; `at` is NULL once something was wrong. */
struct model_row {
    enum dialect dialect;
    const char *at;
    struct field field;
};

static inline void model_next(struct model_row *row, char before)
{
    if (row->at && *row->at++ != before)
        row->at = NULL;
    if (row->at)
        row->at = model_literal(row->dialect, row->at, &row->field);
}

static inline void model_expect(struct model_row *row, bool right)
{
    if (!right)
        row->at = NULL;
}

static inline void model_is_text(struct model_row *row, const char *text, size_t len)
{
    model_next(row, ',');
    model_expect(row, text ? row->field.kind == FIELD_TEXT && row->field.len == len &&
                                 memcmp(row->field.text, text, len) == 0
                           : row->field.kind == FIELD_NULL);
}

static inline void model_is_word(struct model_row *row, const char *word)
{
    model_is_text(row, word, word ? strlen(word) : 0);
}

static inline void model_is_id(struct model_row *row, const struct id *id, char before)
{
    char text[ID_TEXT];

    id_write(id, text);
    model_next(row, before);
    model_expect(row, row->field.len == ID_TEXT && memcmp(row->field.text, text, ID_TEXT) == 0);
}

static inline bool model_has_number(const struct field *field, double number)
{
    char *end;

    if (field->kind == FIELD_NUMBER)
        return same_double(field->number, number);
    return field->kind == FIELD_TEXT && same_double(strtod(field->text, &end), number) && !*end;
}

static inline void model_is_number(struct model_row *row, double number)
{
    model_next(row, ',');
    model_expect(row, model_has_number(&row->field, number));
}

static inline void model_is_count(struct model_row *row, uint64_t count)
{
    char *end = NULL;

    if (row->at && *row->at++ == ',' && strtoull(row->at, &end, 10) == count && end > row->at)
        row->at = end;
    else
        row->at = NULL;
}

static inline void model_is_asked(struct model_row *row, const struct outcome *outcome)
{
    char text[TIMESTAMP_TEXT];
    bool timed = outcome->timestamp != TIMESTAMP_NONE;

    if (timed)
        timestamp_write(outcome->timestamp, text);
    model_is_text(row, timed ? text : NULL, sizeof text);
    model_is_text(row, outcome->actor.len ? outcome->actor.text : NULL, outcome->actor.len);
}

static inline void model_event(struct model_row *row, const struct outcome *event)
{
    model_is_id(row, &event->id, '(');
    model_is_id(row, &event->parent, ',');
    model_is_word(row, outcome_action(event));
    model_is_id(row, &event->value_id, ',');
    model_is_word(row, action_operation(event->action));
    model_is_number(row, event->value);
    model_is_count(row, event->version);
    model_is_number(row, event->result);
    model_is_asked(row, event);
}

static inline void model_rejection(struct model_row *row, const struct outcome *rejection)
{
    bool malformed = rejection->reason == REASON_MALFORMED;

    model_is_id(row, &rejection->id, '(');
    for (int i = 0; malformed && i < 4; i++)
        model_is_word(row, NULL);
    if (!malformed) {
        model_is_id(row, &rejection->parent, ',');
        model_is_id(row, &rejection->value_id, ',');
        model_is_word(row, action_operation(rejection->action));
        model_is_number(row, rejection->value);
    }
    model_is_word(row, reason_text(rejection->reason));
    if (malformed) {
        model_is_word(row, NULL);
        model_is_word(row, *rejection->position ? rejection->position : NULL);
        model_is_word(row, NULL);
        model_is_word(row, NULL);
        return;
    }
    model_is_count(row, rejection->version);
    model_is_word(row, NULL);
    model_is_asked(row, rejection);
}

/* NULL, or what doesn't hold of the row that an outcome becomes. */
static inline const char *row_disagrees(enum dialect dialect, const struct told *told)
{
    bool event = told->outcome.reason == REASON_NONE;
    struct model_row row = {.dialect = dialect};
    struct buffer *rows;
    struct batch batch;
    struct error error;
    bool good;

    batch_init(&batch, dialect);
    if (batch_add(&batch, told, &error) < 0)
        abort();
    rows = event ? &batch.events : &batch.rejections;
    buffer_append(rows, "", 1);
    if (rows->failed)
        abort();
    row.at = rows->data;
    if (event)
        model_event(&row, &told->outcome);
    else
        model_rejection(&row, &told->outcome);
    good = row.at && strcmp(row.at, "),\n") == 0;
    batch_release(&batch);
    return good ? NULL : "a row doesn't read back as what it was written of";
}

/* The same of a line, which is read by the scanner and by the JSON parser alone. *good tells
 * whether it is one of calc-watch's. */
static inline const char *told_disagrees(const char *line, size_t len, bool *good)
{
    struct told fast = {0}, slow = {0};
    struct error error = {0}, other = {0};
    char *copy = line_copy(line, len, false), *spaced = line_copy(line, len, true);
    const char *problem = NULL;
    int result = told_parse(copy, len, &fast, &error);

    *good = result == 0;
    if (told_parse(spaced, len + (len && line[0] == '{'), &slow, &other) != result)
        problem = "the scanner and the JSON parser differ in whether it is a line of calc-watch";
    else if (result < 0 && (error.status != EX_DATAERR || fast.cursor.len))
        problem = "neither a line of calc-watch nor data that is none";
    else if (*good &&
             (!same_outcome(&fast.outcome, &slow.outcome) || fast.cursor.len != slow.cursor.len ||
              !fast.cursor.len || memcmp(fast.cursor.data, slow.cursor.data, fast.cursor.len) != 0))
        problem = "the scanner and the JSON parser read different lines";
    for (int dialect = DIALECT_POSTGRESQL; *good && !problem && dialect <= DIALECT_SQLITE;
         dialect++)
        problem = row_disagrees((enum dialect)dialect, &fast);
    told_release(&fast);
    told_release(&slow);
    free(copy);
    free(spaced);
    return problem;
}

#endif
