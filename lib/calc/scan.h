/* Steps of the scanner for the canonical spelling, which most lines have: members in their order,
 * without spaces, strings in plain ASCII without escapes. It runs at five times the speed of a
 * JSON parser. What it doesn't know it leaves to json.h, so a step that fails says nothing about
 * the line. A fuzz test holds the two equal. Every step moves *at behind what it took. */
#ifndef CALC_SCAN_H
#define CALC_SCAN_H

#include <stdbool.h>
#include <string.h>

#include "base/id.h"
#include "base/number.h"
#include "calc/command.h"

struct scan {
    const char *at, *end; /* *end is readable, and is no part of a number */
};

/* A run of characters, given as a string literal. */
#define scan_literal(scan, literal) scan_bytes(scan, literal, sizeof(literal) - 1)

static inline bool scan_bytes(struct scan *scan, const char *bytes, size_t len)
{
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, bytes, len) != 0)
        return false;
    scan->at += len;
    return true;
}

/* A UUID with its closing quote. */
static inline bool scan_id(struct scan *scan, struct id *id)
{
    if (scan->end - scan->at <= ID_TEXT || scan->at[ID_TEXT] != '"' || id_read(scan->at, id) < 0)
        return false;
    scan->at += ID_TEXT + 1;
    return true;
}

/* A number of a length that people and programs write. */
static inline bool scan_number(struct scan *scan, double *number)
{
    size_t len = (size_t)(scan->end - scan->at);

    len = number_read(scan->at, len, number);
    scan->at += len;
    return len > 0 && len <= 400;
}

/* An unsigned integer of at most 19 digits, without leading zeros. */
static inline bool scan_count(struct scan *scan, uint64_t *count)
{
    const char *first = scan->at;

    for (*count = 0; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++)
        if (scan->at - first == 19)
            return false;
        else
            *count = *count * 10 + (uint64_t)(*scan->at - '0');
    return scan->at > first && (*first != '0' || scan->at == first + 1);
}

/* A string of printable ASCII without escapes, with its closing quote. */
static inline bool scan_string(struct scan *scan, const char **text, size_t *len)
{
    *text = scan->at;
    for (; scan->at < scan->end; scan->at++) {
        unsigned char c = (unsigned char)*scan->at;
        if (c == '"') {
            *len = (size_t)(scan->at++ - *text);
            return true;
        }
        if (c < 0x20 || c >= 0x80 || c == '\\')
            return false;
    }
    return false;
}

static inline bool scan_actor(struct scan *scan, struct actor *actor)
{
    const char *text;
    size_t len;

    return scan_string(scan, &text, &len) && len && actor_set(actor, text, len) == 0;
}

static inline bool scan_timestamp(struct scan *scan, int64_t *micros)
{
    const char *text = scan->at;
    size_t len;

    if (scan->end - text > TIMESTAMP_TEXT && text[TIMESTAMP_TEXT] == '"') { /* as we write it */
        scan->at += TIMESTAMP_TEXT + 1;
        return timestamp_read(text, TIMESTAMP_TEXT, micros) == 0;
    }
    return scan_string(scan, &text, &len) && timestamp_read(text, len, micros) == 0;
}

/* The data of a command or an event, from its brace to its brace; `create` tells which form. */
static inline bool scan_data(struct scan *scan, bool create, struct id *value_id,
                             enum action *action, double *value)
{
    *action = ACTION_CREATE;
    if (!scan_literal(scan, "{\"value_id\":\"") || !scan_id(scan, value_id))
        return false;
    if (!create) {
        if (scan_literal(scan, ",\"operation\":\"ADD\""))
            *action = ACTION_ADD;
        else if (scan_literal(scan, ",\"operation\":\"MULTIPLY\""))
            *action = ACTION_MULTIPLY;
        else
            return false;
    }
    return scan_literal(scan, ",\"value\":") && scan_number(scan, value) &&
           scan_literal(scan, "}");
}

#endif
