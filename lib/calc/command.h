/* A command: what a client wants done to a value. */
#ifndef CALC_COMMAND_H
#define CALC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"
#include "base/timestamp.h"

enum action { ACTION_CREATE, ACTION_ADD, ACTION_MULTIPLY };

enum { ACTOR_MAX_BYTES = 256 };

/* Who asked, or who owns: 1 to ACTOR_MAX_BYTES bytes of UTF-8. len 0 is nobody. */
struct actor {
    uint16_t len;
    char text[ACTOR_MAX_BYTES];
};

struct command {
    enum action action;
    struct id id, value_id;
    double value; /* to start with, or the operand; finite */
    bool has_expected_version;
    uint64_t expected_version; /* UINT64_MAX stands for everything above, too: no value gets there */
    struct actor expected_owner;
    int64_t timestamp; /* or TIMESTAMP_NONE */
    struct actor actor;
};

/* Reads a line without its newline; line[len] must be readable. Returns -1 with the reason if it
 * is no command: what the handler calls malformed (status EX_DATAERR), or no memory. */
int command_parse(const char *line, size_t len, struct command *command, struct error *error);

/* Appends the canonical spelling and a newline. */
void command_write(const struct command *command, struct buffer *out);

/* The same for a command that clients made: appended only if command_parse accepts what was written.
 * -1 (EX_DATAERR) if not, with nothing appended. */
int command_write_checked(const struct command *command, struct buffer *out, struct error *error);

/* A command's body, which with (value id, command id) tells a retry from a reused id: the action
 * with its operation, the double's bits, and the actor. Equal bytes, equal bodies: the actor, which
 * has no fixed length, stands as 11 bytes of its UUIDv5. */
enum { BODY_BYTES = 20 };
struct body {
    uint8_t bytes[BODY_BYTES];
};
void body_of(enum action action, double value, const struct actor *actor, struct body *body);
static inline bool body_equal(const struct body *a, const struct body *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Sets an actor from 0 to 256 bytes of valid UTF-8 without U+0000. Returns -1 if it is longer. */
int actor_set(struct actor *actor, const char *text, size_t len);

/* The same of bytes that may be anything: -1 if they are no actor. */
int actor_read(struct actor *actor, const char *text, size_t len);
bool actor_equal(const struct actor *a, const struct actor *b);

/* "ADD" or "MULTIPLY"; NULL for ACTION_CREATE. And back: -1 if it is neither. */
const char *action_operation(enum action action);
int operation_read(const char *text, size_t len, enum action *action);

#endif
