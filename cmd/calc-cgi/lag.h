/* How far handler and projector are behind the commands, of logs that are files: found out from what the
 * logs and the view hold, at a bounded cost. */
#ifndef CALC_CGI_LAG_H
#define CALC_CGI_LAG_H

#include "store/view.h"
#include "stream/log_look.h"

struct lag {
    uint64_t offset;   /* the first record that isn't handled, or the log's end */
    bool lost;         /* that is further back than was looked for, */
    uint64_t records;  /* and there are at least so many; else it is how many there are from there on */
    int64_t timestamp; /* the first one's or, if it is lost, that of the last one that was handled;
                          TIMESTAMP_NONE: it has none, or everything is handled */
};

/* The last outcomes that are there, of each log: they name their commands. */
struct last_outcomes {
    bool there[VIEW_LOGS];
    struct outcome of[VIEW_LOGS];
};

/* Those in the logs, and those in the view. */
int last_in_logs(struct log_look logs[VIEW_LOGS], struct last_outcomes *last, struct error *error);
int last_in_view(struct view_txn *txn, struct last_outcomes *last, struct error *error);

/* Which commands have no outcome: those behind the last one that has, and that the view knows none of (a
 * retry has an earlier one's). */
int lag_of_commands(struct log_look *commands, const struct last_outcomes *last,
                    struct view_txn *txn, struct lag *lag, struct error *error);

/* Which records of a log lie behind an offset. */
int lag_behind(struct log_look *log, uint64_t offset, bool events, struct lag *lag,
               struct error *error);

#endif
