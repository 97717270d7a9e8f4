/* Reading a state that somebody else writes: a snapshot of it, in the order of the ids. */
#ifndef STORE_STATE_READ_H
#define STORE_STATE_READ_H

#include "calc/calculator.h"
#include "store/state.h"

struct state_read;

/* Opens the store of one partition ("DIR/0" of files), as the last checkpoint left it, with its
 * position. Nothing is changed; its handler may run. EX_IOERR if it isn't there, EX_DATAERR if it is
 * no state or has another format. */
int state_read_open(const char *folder, struct state_read **read, struct state_position *position,
                    struct error *error);
void state_read_close(struct state_read *read);

/* The next value: 1, 0 behind the last one, -1. One of version 0 doesn't exist: only rejected commands
 * are known of it. An owner of length 0 is nobody. */
int state_read_value(struct state_read *read, struct id *id, struct value *value,
                     struct actor *owner, struct error *error);

/* The next command that is remembered, with its body; by value, then command. 1, 0, -1. Independent
 * of state_read_value(). */
int state_read_command(struct state_read *read, struct id *value_id, struct id *command_id,
                       struct body *body, struct error *error);

/* A value that is looked up, and a command of it. 1, 0 if it isn't there, -1. */
int state_read_find_value(struct state_read *read, const struct id *id, struct value *value,
                          struct actor *owner, struct error *error);
int state_read_find_command(struct state_read *read, const struct id *value_id,
                            const struct id *command_id, struct body *body, struct error *error);

#endif
