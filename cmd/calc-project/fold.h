/* The projection without a view: every value's last state, in memory. */
#ifndef CALC_PROJECT_FOLD_H
#define CALC_PROJECT_FOLD_H

#include "base/table.h"
#include "calc/outcome.h"

struct fold {
    struct table values;  /* id -> its state */
    struct table history; /* id, version -> event id */
    uint64_t unplaced;
    bool midway; /* the events don't begin with the first: each value's sets its version */
};

void fold_init(struct fold *fold);
void fold_release(struct fold *fold);

/* As view_apply_event and view_skip_event. */
int fold_apply(struct fold *fold, const struct outcome *event, struct error *error);
int fold_skip(struct fold *fold, const struct outcome *event, struct error *error);

/* Appends a line a value, ordered by id. */
int fold_write(struct fold *fold, struct buffer *out, struct error *error);

#endif
