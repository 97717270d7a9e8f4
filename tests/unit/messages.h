/* Messages made up and messages compared: for the unit tests, and for the fuzzer, which hold the
 * scanner of the canonical spelling to what the JSON parser says. */
#ifndef UNIT_MESSAGES_H
#define UNIT_MESSAGES_H

#include <stdio.h>
#include <stdlib.h>

#include "calc/command.h"
#include "calc/outcome.h"
#include "random.h"

static inline bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static inline bool same_command(const struct command *a, const struct command *b)
{
    return a->action == b->action && id_equal(&a->id, &b->id) &&
           id_equal(&a->value_id, &b->value_id) && same_double(a->value, b->value) &&
           a->has_expected_version == b->has_expected_version &&
           (!a->has_expected_version || a->expected_version == b->expected_version) &&
           actor_equal(&a->expected_owner, &b->expected_owner) && a->timestamp == b->timestamp &&
           actor_equal(&a->actor, &b->actor);
}

static inline bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->reason != b->reason || !id_equal(&a->id, &b->id))
        return false;
    if (a->reason == REASON_MALFORMED)
        return strcmp(a->position, b->position) == 0;
    return id_equal(&a->parent, &b->parent) && a->action == b->action &&
           id_equal(&a->value_id, &b->value_id) && same_double(a->value, b->value) &&
           a->version == b->version &&
           (a->reason != REASON_NONE || same_double(a->result, b->result)) &&
           a->timestamp == b->timestamp && actor_equal(&a->actor, &b->actor);
}

/* A line in memory of just its size, with a newline behind it, so that a sanitizer sees who reads
 * on. With `json` a space stands behind its first brace: JSON's meaning is the same, but the
 * scanner gives up at once. The caller frees it. */
static inline char *line_copy(const char *line, size_t len, bool json)
{
    bool brace = len && line[0] == '{';
    size_t extra = json && brace;
    char *copy = malloc(len + extra + 1), *at = copy;

    if (!copy)
        abort();
    if (extra) {
        *at++ = '{';
        *at++ = ' ';
        line++;
        len--;
    }
    if (len)
        memcpy(at, line, len);
    at[len] = '\n';
    return copy;
}

static inline int parse_command(const char *line, size_t len, bool json, struct command *command)
{
    struct error error = {0};
    char *copy = line_copy(line, len, json);
    int result = command_parse(copy, len + (json && len && line[0] == '{'), command, &error);

    free(copy);
    return result < 0 && error.status != EX_DATAERR ? error.status : result;
}

static inline int parse_event(const char *line, size_t len, bool json, struct outcome *event)
{
    struct error error = {0};
    char *copy = line_copy(line, len, json);
    int result = event_parse(copy, len + (json && len && line[0] == '{'), event, &error);

    free(copy);
    return result < 0 && error.status != EX_DATAERR ? error.status : result;
}

/* Everything that must hold of a line read as a command: NULL, or what doesn't. *good tells whether
 * it is one. */
static inline const char *command_disagrees(const char *line, size_t len, bool *good)
{
    struct command *read = malloc(3 * sizeof *read);
    struct buffer once = {0}, twice = {0};
    const char *problem = NULL;
    int result;

    if (!read)
        abort();
    memset(read, 0x5a, 3 * sizeof *read); /* what is not set shows */
    memset(read + 1, 0xa5, sizeof *read);
    result = parse_command(line, len, false, read);
    *good = result == 0;
    if (parse_command(line, len, true, read + 1) != result)
        problem = "the scanner and the JSON parser differ in whether it is a command";
    else if (result > 0)
        problem = "neither a command nor data that is none";
    else if (*good && !same_command(read, read + 1))
        problem = "the scanner and the JSON parser read different commands";
    else if (*good) {
        command_write(read, &once);
        if (parse_command(once.data, once.len - 1, false, read + 2) != 0 ||
            !same_command(read, read + 2))
            problem = "what is written reads back as another command";
        command_write(read + 2, &twice);
        if (!problem && (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0))
            problem = "the canonical spelling is no fixed point";
    }
    buffer_release(&once);
    buffer_release(&twice);
    free(read);
    return problem;
}

/* The same of a line read as an event. */
static inline const char *event_disagrees(const char *line, size_t len, bool *good)
{
    struct outcome *read = malloc(3 * sizeof *read);
    struct buffer once = {0}, twice = {0};
    const char *problem = NULL;
    int result;

    if (!read)
        abort();
    memset(read, 0x5a, 3 * sizeof *read);
    memset(read + 1, 0xa5, sizeof *read);
    result = parse_event(line, len, false, read);
    *good = result == 0;
    if (parse_event(line, len, true, read + 1) != result)
        problem = "the scanner and the JSON parser differ in whether it is an event";
    else if (result > 0)
        problem = "neither an event nor data that is none";
    else if (*good && !same_outcome(read, read + 1))
        problem = "the scanner and the JSON parser read different events";
    else if (*good) {
        outcome_write(read, &once);
        if (parse_event(once.data, once.len - 1, false, read + 2) != 0 ||
            !same_outcome(read, read + 2))
            problem = "what is written reads back as another event";
        outcome_write(read + 2, &twice);
        if (!problem && (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0))
            problem = "the canonical spelling is no fixed point";
    }
    buffer_release(&once);
    buffer_release(&twice);
    free(read);
    return problem;
}

/* --- making messages --- */

static inline double random_value(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return random_double(random);
    case 1:
        return (double)random_below(random, 1000) / 8;
    case 2:
        return -0.0;
    }
    return (double)random_below(random, 1000000);
}

static inline int64_t random_timestamp(struct random *random)
{
    if (random_below(random, 4) == 0)
        return TIMESTAMP_NONE;
    return INT64_C(-62135596800000000) +
           (int64_t)random_below(random, UINT64_C(315537897600000000));
}

static inline void random_actor(struct random *random, struct actor *actor)
{
    static const char *const names[] = {
        "a", "ann", "u\xc3\xa9\xe2\x98\x83", "\"\\/", "\x01\x1f\n", "\x7f", "a b"};
    char text[ACTOR_MAX_BYTES];

    actor->len = 0;
    switch (random_below(random, 4)) {
    case 0:
        memset(text, 'x', sizeof text);
        actor_set(actor, text, 1 + random_below(random, sizeof text));
        break;
    case 1:
    case 2: {
        const char *name = names[random_below(random, 7)];
        actor_set(actor, name, strlen(name));
        break;
    }
    }
}

static inline uint64_t random_count(struct random *random)
{
    return random_u64(random) >> random_below(random, 64);
}

static inline void random_command(struct random *random, struct command *command)
{
    memset(command, 0, sizeof *command);
    command->action = (enum action)random_below(random, 3);
    random_id(random, &command->id);
    random_id(random, &command->value_id);
    command->value = random_value(random);
    command->has_expected_version = random_below(random, 2);
    if (command->has_expected_version)
        command->expected_version = random_count(random);
    random_actor(random, &command->expected_owner);
    command->timestamp = random_timestamp(random);
    random_actor(random, &command->actor);
}

static inline void random_outcome(struct random *random, enum reason reason,
                                  struct outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->reason = reason;
    random_id(random, &outcome->id);
    random_id(random, &outcome->parent);
    outcome->action = (enum action)random_below(random, 3);
    random_id(random, &outcome->value_id);
    outcome->value = random_value(random);
    outcome->result = random_value(random);
    outcome->version = random_count(random);
    if (outcome->version == UINT64_MAX || (!outcome->version && reason == REASON_NONE))
        outcome->version = 1;
    outcome->timestamp = random_timestamp(random);
    random_actor(random, &outcome->actor);
    snprintf(outcome->position, sizeof outcome->position, "%llu",
             (unsigned long long)random_count(random));
}

/* Changes a line in a few places, in ways that people and broken programs do. Returns its new
 * length, at most cap. */
static inline size_t mutate(struct random *random, char *line, size_t len, size_t cap)
{
    static const char bytes[] = "\"\\{}[]:,-+.eE0159azAZTnul \t\r\x01\x7f\xc3\xff";
    static const char *const words[] = {
        "null",
        "-0",
        "0",
        "01",
        "1.0",
        "1e5",
        "1e400",
        "-1",
        "18446744073709551616",
        "9999999999999999999",
        "10000000000000000000",
        "\\u0061",
        "\\ud800",
        ",\"x\":1",
        ",\"action\":\"CreateValue\"",
        ",\"actor\":\"\"",
        ",\"actor\":null",
        ",\"expected_version\":0",
        ",\"expected_version\":1.0",
        ",\"expected_owner\":\"o\"",
        ",\"timestamp\":\"2026-11-23t11:00:00z\"",
        ",\"version\":7",
        ",\"operation\":\"ADD\"",
        "ADD",
        "MULTIPLY",
        "CreateValue",
        "UpdateValue",
        "ValueCreated",
        "ValueUpdated",
        "  ",
        "0000000000000000000000000000000000000000",
    };

    for (uint64_t changes = 1 + random_below(random, 3); changes; changes--) {
        size_t at = random_below(random, len + 1);
        const char *word = words[random_below(random, sizeof words / sizeof *words)];
        size_t count = 1 + random_below(random, 8);
        switch (random_below(random, 6)) {
        case 0: /* another byte */
            if (at < len)
                line[at] = bytes[random_below(random, sizeof bytes - 1)];
            break;
        case 1: /* one more */
            if (len < cap) {
                memmove(line + at + 1, line + at, len - at);
                line[at] = bytes[random_below(random, sizeof bytes - 1)];
                len++;
            }
            break;
        case 2: /* a few fewer */
            if (at + count <= len) {
                memmove(line + at, line + at + count, len - at - count);
                len -= count;
            }
            break;
        case 3: /* a word between */
            count = strlen(word);
            if (len + count <= cap) {
                memmove(line + at + count, line + at, len - at);
                memcpy(line + at, word, count);
                len += count;
            }
            break;
        case 4: /* a member, where members end */
            count = strlen(word);
            if (*word == ',' && len && len + count <= cap) {
                memmove(line + len - 1 + count, line + len - 1, 1);
                memcpy(line + len - 1, word, count);
                len += count;
            }
            break;
        case 5: { /* another value behind a colon */
            char *colon = memchr(line + at, ':', len - at);
            size_t from = colon ? (size_t)(colon + 1 - line) : len, to = from;
            while (to < len && !strchr(",}", line[to]))
                to++;
            count = strlen(word);
            if (colon && len - (to - from) + count <= cap) {
                memmove(line + from + count, line + to, len - to);
                memcpy(line + from, word, count);
                len = len - (to - from) + count;
            }
            break;
        }
        }
    }
    return len;
}

#endif
