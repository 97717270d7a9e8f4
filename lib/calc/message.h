/* What commands, events and rejections have in common: their members, read from JSON of any
 * spelling and written in the one spelling. */
#ifndef CALC_MESSAGE_H
#define CALC_MESSAGE_H

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

/* Append {"value_id":...} with its braces, and `,"timestamp":...,"actor":...` where there are. */
void message_write_data(enum action action, const struct id *value_id, double value,
                        struct buffer *out);
void message_write_asked(int64_t timestamp, const struct actor *actor, struct buffer *out);

#endif
