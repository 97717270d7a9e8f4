/* Whether a view is what the logs derive. */
#ifndef STORE_VIEW_CHECK_H
#define STORE_VIEW_CHECK_H

#include "store/state.h"
#include "store/view.h"

struct view_check;

/* Takes a snapshot of the view in a folder, which may be a copy or in use, of logs with so many
 * partitions. EX_DATAERR if it was folded from another number of them, or told to leave records out. */
int view_check_open(const char *folder, int32_t partitions, struct view_check **check,
                    struct error *error);
void view_check_close(struct view_check *check);

/* How far the view was folded: behind the last record of the log's partition that is in it, or 0. */
uint64_t view_check_next(const struct view_check *check, enum view_log log, int32_t partition);

/* An outcome that was derived, and where it stands in its log: `start` is UINT64_MAX if it isn't there
 * (yet). */
struct view_derived {
    const struct outcome *outcome;
    int32_t partition;
    uint64_t start, end;
    const char *line; /* without its newline */
    size_t len;
};

/* Takes the outcomes of each partition, in their order. What lies before the view's position has to be in
 * it, what lies behind must not. -1: EX_DATAERR with the difference. */
int view_check_outcome(struct view_check *check, const struct view_derived *derived,
                       struct error *error);

/* When all were taken: whether the positions are right, every value is as its history leaves it, and
 * nothing is there that was not derived. `state_of` gives the state that was derived to a value's
 * partition, with `context`; `tick` is called now and then. */
int view_check_finish(struct view_check *check,
                      const struct state *(*state_of)(void *context, const struct id *value_id),
                      void *context, void (*tick)(void), struct error *error);

/* What is in the view, and how many outcomes it lags behind. */
struct view_counts {
    uint64_t values, events, rejections, behind;
};
const struct view_counts *view_check_counts(const struct view_check *check);

/* Whether what was read may be no snapshot: see db_open_quietly(). */
bool view_check_disturbed(const struct view_check *check);

#endif
