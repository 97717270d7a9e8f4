/* What people and programs write to calc-submit, to commands. */
#ifndef CALC_SUBMIT_INPUT_H
#define CALC_SUBMIT_INPUT_H

#include "calc/command.h"

/* Reads a line: a short form or a whole command; line[len] must be readable. Ids that are missing are
 * made, and a missing timestamp is `now`. -1 with the reason (EX_DATAERR), or no memory. */
int input_parse(const char *line, size_t len, int64_t now, struct command *command,
                struct error *error);

/* The id of the value that a create makes: a new one or, where the command's id was given, one that
 * follows from it, so that a retry under the same id is one. */
void input_value_id(struct command *command, bool id_given);

/* --- for input.c and tests: the two ways to read a line --- */

/* Which of a command's ids are there; those that aren't are still to be made. */
struct input_ids {
    bool command, value;
};

/* A short form, without a JSON parser: false says nothing about the line. */
bool input_scan_short(const char *line, size_t len, struct command *command,
                      struct input_ids *given);

/* Any line, as input_parse(). Of a whole command, what isn't there is made at once. */
int input_parse_json(const char *line, size_t len, struct command *command,
                     struct input_ids *given, struct error *error);

#endif
