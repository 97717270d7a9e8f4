/* The calculator: what commands do to values. Pure: no clock, no random number, no I/O.
 *
 * To change what the calculator can do, edit this and its tests, the spelling of the new command
 * and event in command.c and outcome.c, and the manual; nothing else. */
#ifndef CALC_CALCULATOR_H
#define CALC_CALCULATOR_H

#include "calc/command.h"
#include "calc/outcome.h"

/* The aggregate. Version 0 is a value that doesn't exist. */
struct value {
    double number;
    uint64_t version; /* counts its events */
};

/* Appends a value's state as a line: {"value_id":...,"value":...,"version":...}, with "timestamp"
 * unless that is TIMESTAMP_NONE. */
void value_write(const struct id *id, const struct value *value, int64_t timestamp,
                 struct buffer *out);

/* Decides a command against its value: REASON_NONE with the value that results, or why not.
 * `owner` is the actor that created the value, of length 0 if nobody did. */
enum reason calculator_decide(const struct value *value, const struct actor *owner,
                              const struct command *command, double *result);

/* Applies an event to its value. */
void calculator_evolve(struct value *value, const struct outcome *event);

#endif
