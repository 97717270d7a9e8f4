/* What becomes one transaction: the rows that lines stand for, and the cursor behind the last of
 * them. */
#ifndef CALC_SQL_BATCH_H
#define CALC_SQL_BATCH_H

#include "base/table.h"
#include "sql.h"
#include "told.h"

struct batch {
    enum dialect dialect;
    struct buffer events, rejections; /* rows with a comma behind each */
    struct table values;              /* of struct batch_value: what the events made of them */
    struct buffer cursor;
    bool opened; /* the client was told how to work */
    bool stays;  /* a line was left out: the cursor stays before it */
};

void batch_init(struct batch *batch, enum dialect dialect);
void batch_release(struct batch *batch);

/* Adds what a line tells. */
int batch_add(struct batch *batch, const struct told *told, struct error *error);

/* Says that a line was left out: what comes is added, but the cursor stays where it is, so that
 * whoever goes on from there comes by that line again. */
void batch_leave_out(struct batch *batch);

/* Whether it is time for its transaction, though more may be there. */
bool batch_is_full(const struct batch *batch);

/* Appends the transaction, if there is anything in it, and begins a new one. */
int batch_write(struct batch *batch, struct buffer *out, struct error *error);

#endif
