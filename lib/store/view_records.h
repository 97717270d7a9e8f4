/* The view's records: what its tables hold, to the byte. For view*.c only.
 *
 * What was applied stands once, in `order`, under a sequence number that counts from 1 without holes;
 * the other tables point there. All numbers are big-endian, doubles their bits, times two's complement
 * microseconds (TIMESTAMP_NONE is none), counts as base/bytes.h has them. When any of it changes,
 * VIEW_FORMAT goes up, and calc-project rebuilds a view of an older format from the logs.
 *
 *   meta      "format"            -> format:8
 *             "unplaced"          -> skipped records of unknown values:8
 *             "totals"            -> events:8 of each action, rejections:8 of each reason
 *                                    (how many records of each kind order has)
 *             "partitions/LOG"    -> count:8
 *             "position/LOG/PARTITION" -> last:8 next:8 first_digest:16 last_digest:16
 *                                    (LOG: events, rejections; PARTITION: decimal)
 *   values    id:16               -> version:8 number:8 timestamp:8 flags:1 latest:8
 *                                    (version 0: only skips and rejections are known of it;
 *                                    latest: the sequence of its last event)
 *   order     sequence:8          -> kind:1 partition:count offset:count ...
 *                                    kind: the reason, 0 of an event, and the action times 16
 *             of an event            version:count back:count id:16 parent:16 value_id:16 operand:8
 *                                    timestamp:8 result:8 actor:rest
 *                                    (back: how many sequences before it the value's event before
 *                                    it is; 0: it is the first)
 *             of a rejection         version:count id:16 parent:16 value_id:16 operand:8
 *                                    timestamp:8 actor:rest
 *             of a malformed line    id:16 position:rest
 *   outcomes  command_id:16 value_id:16 -> sequence:8
 *             id:16               -> sequence:8   a rejection that is no command's outcome
 *   history   value_id:16 version:8 -> sequence:8
 *                                    (only of the first event in each VIEW_HISTORY_PAGE versions,
 *                                    without the first ones: the others are found going back)
 *   marks     log:1 partition:4 offset:8 -> sequence:8
 *                                    (of the first record that a partition has in each MARK_STRETCH
 *                                    sequences: where to look for what is behind an offset)
 *
 * The keys of order and marks only grow, and so do those of outcomes where commands have time-ordered
 * ids: most of what a batch writes goes to the end of a table. */
#ifndef STORE_VIEW_RECORDS_H
#define STORE_VIEW_RECORDS_H

#include "store/db.h"
#include "store/view.h"

enum { VIEW_FORMAT = 4, MARK_STRETCH = 4096, ORDER_MAX_BYTES = 128 + ACTOR_MAX_BYTES };
enum { VIEW_META, VIEW_VALUES, VIEW_ORDER, VIEW_OUTCOMES, VIEW_HISTORY, VIEW_MARKS };

struct view_batch;

struct view_txn {
    struct db_txn *db;
    struct view_batch *batch; /* of a writing one: what it hasn't put into the tables yet */
    uint64_t unplaced;        /* as read from meta, or changed since */
    bool unplaced_changed;
    struct view_totals totals; /* the same, of a writing one */
    bool totals_changed;
};

/* EX_DATAERR: a record in this table has a wrong size, or holds what can't be. Returns -1. */
int view_damaged(const char *table, struct error *error);

/* A value with what else is known of it. */
struct view_stored {
    struct view_value value; /* version 0: it doesn't exist */
    bool any_next;           /* its next event sets its version, whatever it is */
    bool rejected;           /* commands on it were */
    uint64_t latest;         /* sequence of its last event, or 0 */
};

/* 1, 0 if nothing is known of it, -1. */
int view_read_value(struct view_txn *txn, const struct id *id, struct view_stored *stored,
                    struct error *error);
int view_decode_value(const struct id *id, const struct db_bytes *found,
                      struct view_stored *stored, struct error *error);
/* Through a walk of the table, in the order of the ids. */
int view_write_value(struct db_cursor *cursor, const struct view_stored *stored,
                     struct error *error);

/* Appends to the order; `previous` is the sequence of the value's event before, or 0. */
int view_write_record(struct view_txn *txn, const struct view_record *place, uint64_t previous,
                      const struct outcome *outcome, struct error *error);
/* 1, 0 if there is none, -1. */
int view_read_record(struct view_txn *txn, uint64_t sequence, struct view_record *record,
                     uint64_t *previous, struct error *error);
/* The last sequence number, 0 if there is none. */
int view_read_last_sequence(struct view_txn *txn, uint64_t *sequence, struct error *error);

/* Puts the totals into meta. */
int view_write_totals(struct view_txn *txn, struct error *error);

/* Tables of sequences. 1, 0 if the key isn't there, -1. */
enum { OUTCOME_KEY = 32, HISTORY_KEY = 24, MARK_KEY = 13 };
void view_outcome_key(const struct id *command_id, const struct id *value_id,
                      unsigned char key[OUTCOME_KEY]);
void view_history_key(const struct id *value_id, uint64_t version, unsigned char key[HISTORY_KEY]);
void view_mark_key(enum view_log log, int32_t partition, uint64_t offset,
                   unsigned char key[MARK_KEY]);
int view_read_sequence(struct view_txn *txn, int table, const unsigned char *key, size_t len,
                       uint64_t *sequence, struct error *error);
/* The first entry at the key or behind it (or the last one up to it) that shares its first `prefix`
 * bytes; *key is replaced. */
int view_seek_sequence(struct view_txn *txn, int table, unsigned char *key, size_t len,
                       size_t prefix, uint64_t *sequence, struct error *error);
int view_seek_last_sequence(struct view_txn *txn, int table, unsigned char *key, size_t len,
                            size_t prefix, uint64_t *sequence, struct error *error);

#endif
