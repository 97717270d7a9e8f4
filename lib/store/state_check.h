/* Whether a stored state is what the commands derive. */
#ifndef STORE_STATE_CHECK_H
#define STORE_STATE_CHECK_H

#include "store/state_read.h"

/* Compares all that is stored with all that `derived` holds, which has no store: 0, or -1, EX_DATAERR
 * with the first difference. `tick` is called now and then. */
int state_check(struct state_read *read, const struct state *derived, void (*tick)(void),
                struct error *error);

/* What a derived state holds: the version of a value (0: it doesn't exist), and whether a command on it
 * was decided. */
uint64_t state_version(const struct state *state, const struct id *value_id);
bool state_has_command(const struct state *state, const struct id *value_id,
                       const struct id *command_id);

#endif
