/* The view's records: what its tables hold, to the byte. For view*.c only.
 *
 * The tables, all numbers big-endian, doubles as their bits, times as two's complement microseconds
 * (TIMESTAMP_NONE is none). When any of it changes, VIEW_FORMAT goes up, and a view of another
 * format is refused: it has to be folded anew from the logs.
 *
 *   meta      "format"            -> format:8
 *             "unplaced"          -> skipped records of unknown values:8
 *             "partitions/LOG"    -> count:8
 *             "position/LOG/PARTITION" -> last:8 next:8 first_digest:16 last_digest:16
 *                                    (LOG: events, rejections; PARTITION: decimal)
 *   values    id:16               -> version:8 number:8 timestamp:8 any_next:1
 *                                    (version 0: only skips are known of it)
 *   history   id:16 version:8     -> event_id:16 parent:16 action:1 operand:8 result:8
 *                                    timestamp:8 actor:rest
 *   outcomes  id:16 command_id:16 -> 0:1 version:8                        an event, in history
 *                                 -> reason:1 version:8 id:16 action:1 operand:8
 *                                    timestamp:8 actor:rest               a rejection */
#ifndef STORE_VIEW_RECORDS_H
#define STORE_VIEW_RECORDS_H

#include "store/db.h"
#include "store/view.h"

enum { VIEW_FORMAT = 2 };
enum { VIEW_META, VIEW_VALUES, VIEW_HISTORY, VIEW_OUTCOMES };

struct view_txn {
    struct db_txn *db;
    uint64_t unplaced; /* as read from meta, or changed since */
    bool unplaced_changed;
};

/* EX_DATAERR: a record in this table has a wrong size, or holds what can't be. Returns -1. */
int view_damaged(const char *table, struct error *error);

/* A value with what is granted to it. 1, 0 if there is none (version 0), -1. */
int view_read_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                    bool *any_next, struct error *error);
int view_write_value(struct view_txn *txn, const struct view_value *value, bool any_next,
                     struct error *error);

/* The event of a version. 1, 0, -1. */
int view_read_event(struct view_txn *txn, const struct id *id, uint64_t version,
                    struct outcome *event, struct error *error);
int view_write_event(struct view_txn *txn, const struct outcome *event, struct error *error);

/* Whether something became of a command: 1 with its reason (REASON_NONE: applied), 0, -1. */
int view_read_reason(struct view_txn *txn, const struct id *value_id, const struct id *command_id,
                     enum reason *reason, struct error *error);

/* What became of the event's command; of the rejection's. */
int view_write_applied(struct view_txn *txn, const struct outcome *event, struct error *error);
int view_write_rejected(struct view_txn *txn, const struct outcome *rejection,
                        struct error *error);

#endif
