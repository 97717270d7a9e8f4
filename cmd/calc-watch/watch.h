/* Following a view's order: what was asked for, each record once, a line each. */
#ifndef CALC_WATCH_WATCH_H
#define CALC_WATCH_WATCH_H

#include "base/table.h"
#include "store/view_cursor.h"
#include "tool/progress.h"

struct watch {
    const char *folder;
    const char *from; /* a cursor's text, "beginning" or "now" */
    bool ends;        /* when everything that is in the view was told */
    struct table ids; /* of the values that are asked for; empty: all */

    struct view *view; /* NULL: not open */
    struct view_waiter waiter;
    struct view_cursor cursor;
    bool begun;  /* the cursor stands where it was asked for */
    bool placed; /* and in the view that is open */
    struct buffer out;

    const char *stats;       /* a file; NULL: none */
    uint64_t told[VIEW_LOGS]; /* records that were printed */
    uint64_t passed;          /* and those that weren't asked for */
    struct progress progress; /* if we end, on a terminal that isn't the output */
};

/* The members of a line of statistics; the context is the watch. */
void watch_write_stats(void *context, struct buffer *out);

/* Takes the arguments; `from` is read. EX_DATAERR if it is no cursor. The rest is zeroed before. */
int watch_open(struct watch *watch, struct error *error);
void watch_close(struct watch *watch);

/* Prints records as they become visible, until everything was told (`ends`) or a stop is asked for. What
 * isn't there yet is waited for, the view included; with `ends` it is EX_TEMPFAIL. */
int watch_follow(struct watch *watch, struct error *error);

/* Waits until the outcome of a command on a value is there and prints it. 1 with its reason; 0 if the
 * deadline (clock_ms(); one that is past looks once) comes first; -1. */
int watch_outcome(struct watch *watch, const struct id *value_id, const struct id *command_id,
                  int64_t deadline_ms, enum reason *reason, struct error *error);

#endif
