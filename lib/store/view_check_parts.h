/* What view_check*.c share: what was met so far. For them only. */
#ifndef STORE_VIEW_CHECK_PARTS_H
#define STORE_VIEW_CHECK_PARTS_H

#include "base/table.h"
#include "store/view_check.h"
#include "store/view_records.h"

/* A partition of a log: where the view is in it, and what of that was met. */
struct view_place {
    struct view_position position;
    bool any, last;    /* its first record, the last one consumed */
    uint64_t sequence; /* of the record that was met last; 0: none was */
};

struct view_check {
    struct view *view;
    struct view_txn *snapshot;
    int32_t partitions;
    struct view_place *places[VIEW_LOGS];
    struct view_counts counts; /* of values: those that were created */
    struct view_totals totals; /* of what was met */
    struct table rejected;     /* ids of values of which commands were rejected */
    uint64_t pages, marks;     /* entries that history and marks have to have */
};

/* -1: EX_DATAERR that names the value, or the record in order. */
int view_wrong_value(const struct id *id, const char *what, struct error *error);
int view_wrong_record(uint64_t sequence, const char *what, struct error *error);

/* Whether everything that the tables hold was met. */
int view_check_tables(struct view_check *check,
                      const struct state *(*state_of)(void *context, const struct id *value_id),
                      void *context, void (*tick)(void), struct error *error);

/* The key of an outcome in table outcomes: how many bytes it has. */
size_t view_check_key(const struct outcome *outcome, unsigned char key[OUTCOME_KEY]);

#endif
