/* What people and programs write to calc-submit, to commands. */
#ifndef CALC_SUBMIT_INPUT_H
#define CALC_SUBMIT_INPUT_H

#include "calc/command.h"

/* Reads a line: a short form or a whole command. Ids that are missing are made, and a missing
 * timestamp is `now`. -1 with the reason (EX_DATAERR), or no memory. */
int input_parse(const char *line, size_t len, int64_t now, struct command *command,
                struct error *error);

/* The id of the value that a create makes: a new one or, where the command's id was given, one that
 * follows from it, so that a retry under the same id is one. */
void input_value_id(struct command *command, bool id_given);

#endif
