/* The handler's state: the values, who owns them, and which commands were seen on them. It is a
 * fold of the commands log and of nothing else. */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "base/error.h"
#include "base/table.h"
#include "calc/outcome.h"

struct state {
    struct table values;   /* id -> value, owner */
    struct table commands; /* command id, value -> body */
    struct table actors;   /* owners, kept once each */
};

void state_init(struct state *state);
void state_release(struct state *state);

/* Takes the next line of the commands log, its newline left out; line[len] is readable. `len` is at
 * most LINE_MAX_BYTES, and `oversize` says that the line goes on behind them. `position` is where
 * it stands. Returns 1 with its outcome, 0 for a retry, which has none, -1 when memory ran out. */
int state_handle(struct state *state, const char *position, const char *line, size_t len,
                 bool oversize, struct outcome *outcome, struct error *error);

#endif
