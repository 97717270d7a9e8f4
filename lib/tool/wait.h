/* Waiting for what becomes of a command. */
#ifndef TOOL_WAIT_H
#define TOOL_WAIT_H

#include "store/view.h"

/* Waits until the outcome of a command on a value is in the view, which may still have to come. The
 * view is opened into *view if that is NULL or was replaced, and stays open. 1 with the outcome, 0 if the deadline
 * (clock_ms(); one that is past looks once) comes first, -1. */
int wait_for_outcome(const char *folder, struct view **view, const struct id *value_id,
                     const struct id *command_id, int64_t deadline_ms, struct outcome *outcome,
                     struct error *error);

#endif
