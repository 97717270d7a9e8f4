/* What commands, events and rejections have in common: their members, read from JSON of any
 * spelling and written in the one spelling. */
#ifndef CALC_MESSAGE_H
#define CALC_MESSAGE_H

#include <string.h>

#include "base/digits.h"
#include "base/number.h"
#include "calc/command.h"
#include "calc/json.h"

/* Under which every derived UUIDv5 of this project stands. */
extern const struct id calc_namespace;

/* Each reads a member of an object (NULL is an object without members). They return -1 with the
 * reason (EX_DATAERR) if the member is not what it has to be. */
int message_read_id(const struct json *object, const char *key, struct id *id, struct error *error);

/* Optional: an absent one leaves *actor as it is. */
int message_read_actor(const struct json *object, const char *key, struct actor *actor,
                       struct error *error);

/* Optional: an absent one is TIMESTAMP_NONE. */
int message_read_timestamp(const struct json *object, int64_t *timestamp, struct error *error);

/* "operation" (unless `create`) and "value". */
int message_read_data(const struct json *object, bool create, enum action *action, double *value,
                      struct error *error);

/* A whole command; with `id_optional`, one without an id gets a new one. `line` is the text that
 * `object` came from. */
int command_read(const struct json *object, const char *line, size_t len, bool id_optional,
                 struct command *command, struct error *error);

/* A command's preconditions, timestamp and actor; `line` is the text that `object` came from. */
int command_read_optional(const struct json *object, const char *line, size_t len,
                          struct command *command, struct error *error);

/* Appends a literal. Where `more` bytes can follow it, or NULL. */
static inline char *message_write_literal(const char *literal, size_t more, struct buffer *out)
{
    size_t len = strlen(literal);
    char *at = buffer_reserve(out, len + more);

    if (!at)
        return NULL;
    memcpy(at, literal, len);
    out->len += len;
    return at + len;
}

/* Append a literal and what comes behind it: an id, a count in decimal, a number as it is spelled here. Not by
 * printf: they are on every path, and a short process would fetch printf's pages of libc for nothing else.
 * Inline, so that the length of the literal is known. */
static inline void message_write_id(const char *literal, const struct id *id, struct buffer *out)
{
    char *at = message_write_literal(literal, ID_TEXT, out);

    if (!at)
        return;
    id_write(id, at);
    out->len += ID_TEXT;
}

static inline void message_write_count(const char *literal, uint64_t count, struct buffer *out)
{
    char *at = message_write_literal(literal, 20, out);

    if (at)
        out->len += (size_t)(digits_put(at, count) - at);
}

static inline void message_write_number(const char *literal, double number, struct buffer *out)
{
    char *at = message_write_literal(literal, NUMBER_TEXT, out);

    if (at)
        out->len += number_write(number, at);
}

/* Append {"value_id":...} with its braces, and `,"timestamp":...,"actor":...` where there are. */
void message_write_data(enum action action, const struct id *value_id, double value,
                        struct buffer *out);
void message_write_asked(int64_t timestamp, const struct actor *actor, struct buffer *out);

#endif
