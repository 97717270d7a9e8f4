/* What a writing transaction has in memory before it is put into the tables, sorted, so that each page
 * is touched once: the values, and which command has which outcome. For view*.c only. */
#ifndef STORE_VIEW_BATCH_H
#define STORE_VIEW_BATCH_H

#include "store/view_records.h"

/* Begins a batch. What an earlier one knew, which was committed, may be given to it, and is its then. */
int view_batch_open(struct view_txn *txn, struct view_batch *earlier, struct error *error);
void view_batch_close(struct view_batch *batch);

/* Puts everything into the tables. What is known of the values stays, so far as there is room. */
int view_batch_flush(struct view_txn *txn, struct error *error);

/* Whether it may have more, so far as memory goes, before it is put into the tables. */
bool view_batch_has_room(const struct view_batch *batch);

/* How many records of the tables that will change. */
size_t view_batch_changes(const struct view_batch *batch);

struct value_entry {
    struct id id;
    struct value value; /* as in struct view_stored, all */
    int64_t timestamp;
    uint64_t latest;
    bool any_next, rejected;
    bool changed; /* the table hasn't it so */
};

/* The value's entry, read if need be, version 0 if it doesn't exist; good until the next call. NULL on
 * error. */
struct value_entry *view_batch_value(struct view_txn *txn, const struct id *id,
                                     struct error *error);

/* Says that an entry is about to be changed. */
int view_batch_change(struct view_txn *txn, struct value_entry *entry, struct error *error);

/* Appends to the order: 0 with its sequence number. */
int view_batch_append(struct view_txn *txn, const struct outcome *outcome, int32_t partition,
                      uint64_t offset, uint64_t previous, uint64_t *sequence,
                      struct error *error);

/* Says what became of a command. The first outcome stands. */
int view_batch_set_outcome(struct view_txn *txn, const struct id *command_id,
                           const struct id *value_id, uint64_t sequence, struct error *error);
/* 1 with the sequence of the outcome, 0 if there is none, -1. */
int view_batch_get_outcome(struct view_txn *txn, const struct id *command_id,
                           const struct id *value_id, uint64_t *sequence, struct error *error);

#endif
