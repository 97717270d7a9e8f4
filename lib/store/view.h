/* The view: what events and rejections fold to, for queries. One projector writes it; any number of
 * readers in other processes see whole batches.
 *
 *   DIR/current -> 1        the copy in use, a symbolic link; view_copies.h has the others
 *   DIR/1/data.mdb          an LMDB environment; its tables are drawn in view_records.h
 *   DIR/projector.lock      held by the projector for life
 *   DIR/rebuild.lock        held by who folds a new copy
 *   DIR/wake                touched after each commit, so that waiting readers look again */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "calc/calculator.h"
#include "calc/outcome.h"

struct view;
struct view_txn;
struct view_record;

/* --- for the projector --- */

/* Opens the view in a folder, made if need be, for writing. EX_TEMPFAIL if another projector has it,
 * EX_DATAERR if it has a format that this version doesn't know. 1 if it has an older one: then all
 * that can be done with it is view_switch() to a new copy. */
int view_create(const char *folder, struct view **view, struct error *error);

enum view_log { VIEW_EVENTS, VIEW_REJECTIONS, VIEW_LOGS };

/* How far a partition of a log was read (a file has only partition 0), and which log it was: the
 * digests (UUIDv5) of its first record and of the last one consumed. */
struct view_position {
    bool begun;    /* false: nothing was read, the rest means nothing */
    uint64_t last; /* offset of the last record consumed */
    uint64_t next; /* offset behind it */
    struct id first_digest, last_digest;
};

/* A writing transaction: a batch, its positions included. */
int view_begin(struct view *view, struct view_txn **txn, struct error *error);

/* Applies an event, and appends it to the order with its place in its log. 1 if it did, 0 if it was a
 * duplicate; -1 with EX_DATAERR for a fork or a gap. */
int view_apply_event(struct view_txn *txn, const struct outcome *event, int32_t partition,
                     uint64_t offset, struct error *error);

/* The same for a rejection, as its command's outcome, if it is one (malformed, misplaced and id_reused
 * are not). 1 if it did, 0 if it was a duplicate; -1 with EX_DATAERR if the command has another. */
int view_apply_rejection(struct view_txn *txn, const struct outcome *rejection, int32_t partition,
                         uint64_t offset, struct error *error);

/* The operator's word that an event is left out: its value's next one sets the version. NULL: nobody
 * knows of which value it was. */
int view_skip_event(struct view_txn *txn, const struct outcome *event, struct error *error);

int view_get_position(struct view_txn *txn, enum view_log log, int32_t partition,
                      struct view_position *position, struct error *error);
int view_set_position(struct view_txn *txn, enum view_log log, int32_t partition,
                      const struct view_position *position, struct error *error);

/* How many partitions a log had when it was first read; 0: it wasn't yet. */
int view_get_partitions(struct view_txn *txn, enum view_log log, int32_t *count,
                        struct error *error);
int view_set_partitions(struct view_txn *txn, enum view_log log, int32_t count,
                        struct error *error);

/* Whether what was applied is better committed now than with `ahead` more records, so many as are at hand:
 * few of them would share a page. */
bool view_is_due(const struct view *view, struct view_txn *txn, uint64_t ahead);

/* Commits and wakes the readers; and only wakes them. A crash of the machine may take the view back by the last commit,
 * until the next one or view_sync(): what it had is in the logs, and its positions went back with it. */
int view_commit(struct view *view, struct view_txn *txn, struct error *error);
int view_sync(struct view *view, struct error *error);
void view_wake(const struct view *view);

/* --- for the projector: another copy in place of the one in use --- */

/* Whether a view is in the folder, in whatever state. */
bool view_is_there(const char *folder);

/* Begins a new copy, empty, beside the one in use. No reader sees it, and what is committed in it is
 * neither durable nor in all of its tables before it is offered or switched to; after view_abort() it
 * can only be given up. EX_TEMPFAIL if another one is being made. What an
 * earlier one left, that was interrupted, is removed. */
int view_rebuild(const char *folder, struct view **copy, struct error *error);

/* Puts what was committed so far into its tables, so that the rest of the way is short. */
int view_settle(struct view *copy, struct error *error);

/* Gives it up. NULL is allowed. */
void view_discard(struct view *copy);

/* Makes the copy durable and offers it to the projector that runs. From then on it is closed, until
 * view_withdraw(). */
int view_offer(struct view *copy, struct error *error);
enum view_offer { VIEW_OFFERED, VIEW_TAKEN, VIEW_REFUSED };
enum view_offer view_offered(const struct view *copy);
int view_withdraw(struct view *copy, struct error *error);

/* The projector's side: opens the copy that is offered for writing. 1, 0 if there is none, -1 if it
 * can't be taken over, which is a refusal. */
int view_take_offer(struct view *view, struct view **copy, struct error *error);

/* Says no, and closes it. */
void view_refuse(struct view *view, struct view *copy);

/* Takes the projector's place, without opening the copy in use: that may be damaged. As
 * view_create(). */
int view_claim(const char *folder, struct view **view, struct error *error);

/* Makes the copy the one in use, which takes over what `view` has as the projector's: that is closed.
 * After -1 both are as they were, or the copy is in use: end. */
int view_switch(struct view *view, struct view *copy, struct error *error);

/* Removes, now and then, copies that were in use when their last reader has left. */
void view_tidy(struct view *view);

/* --- for readers --- */

/* Opens the view in a folder for reading. EX_TEMPFAIL if there is none yet, or one of an older format,
 * which is rebuilt. */
int view_open(const char *folder, struct view **view, struct error *error);

/* The same if *view is NULL or was replaced, which closes it; else it stays. */
int view_refresh(const char *folder, struct view **view, struct error *error);
void view_close(struct view *view);

/* The same without leaving a trace, of a copy, too, which may be the folder of a data.mdb: see
 * db_open_quietly() and db_was_written(). */
int view_open_quietly(const char *folder, struct view **view, struct error *error);
bool view_was_written(const struct view *view);

/* Whether the folder holds another view by now than the one that was opened. */
bool view_replaced(const struct view *view);

/* A snapshot. Don't wait while you hold one. */
int view_snapshot(struct view *view, struct view_txn **txn, struct error *error);
void view_abort(struct view_txn *txn);

/* How many records the order has, of each kind: kept by the projector, so that nobody has to count. */
enum { VIEW_ACTIONS = ACTION_MULTIPLY + 1, VIEW_REASONS = REASON_OUT_OF_RANGE + 1 };
struct view_totals {
    uint64_t events[VIEW_ACTIONS];
    uint64_t rejections[VIEW_REASONS]; /* by reason */
};
int view_get_totals(struct view_txn *txn, struct view_totals *totals, struct error *error);

/* The last sequence number in the order, 0 if there is none; and the record that has one: 1, 0, -1. */
int view_get_last(struct view_txn *txn, uint64_t *sequence, struct error *error);
int view_get_record(struct view_txn *txn, uint64_t sequence, struct view_record *record,
                    struct error *error);

struct view_value {
    struct id id;
    struct value value;
    int64_t timestamp; /* its last event's, or TIMESTAMP_NONE */
};

/* 1, 0 if there is no such value, -1. */
int view_get_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                   struct error *error);

/* The first value with an id behind *after (NULL: the first of all). 1, 0 behind the last, -1. */
int view_next_value(struct view_txn *txn, const struct id *after, struct view_value *value,
                    struct error *error);

/* The outcome of a command on a value: an event or a rejection, whole. 1, 0 if none is there, -1. */
int view_get_outcome(struct view_txn *txn, const struct id *value_id, const struct id *command_id,
                     struct outcome *outcome, struct error *error);

/* The sequence of that in the view's order (view_record below). 1, 0, -1. */
int view_get_outcome_sequence(struct view_txn *txn, const struct id *value_id,
                              const struct id *command_id, uint64_t *sequence,
                              struct error *error);

/* An event of a value by its version. 1, 0 if there is none, -1. */
int view_get_event(struct view_txn *txn, const struct id *id, uint64_t version,
                   struct outcome *event, struct error *error);

/* The next events of a value behind version `after`, at least one if there is any, in order. */
enum { VIEW_HISTORY_PAGE = 64 };
int view_get_history(struct view_txn *txn, const struct id *id, uint64_t after,
                     struct outcome events[VIEW_HISTORY_PAGE], int *count, struct error *error);

/* The event with the highest version whose timestamp isn't later than `time`; one without a timestamp
 * has that of the event before, and the first one's is then before all time. 1, 0 if there is none,
 * -1. It reads all that are later, from the last one back. */
int view_get_as_of(struct view_txn *txn, const struct id *id, int64_t time, struct outcome *event,
                   struct error *error);

/* What was applied, in the view's order: the sequence numbers count from 1 without holes. */
struct view_record {
    uint64_t sequence;
    enum view_log log;
    int32_t partition;
    uint64_t offset; /* where it stands in its log */
    struct outcome outcome;
};

/* Waiting for the view to change. Open the waiter, look, wait, look again: no change is missed. It
 * works on a view that isn't there yet. */
struct view_waiter {
    int fd; /* inotify; -1 until the view's folder is there */
    char folder[4096];
};
void view_waiter_open(struct view_waiter *waiter, const char *folder);
void view_waiter_close(struct view_waiter *waiter);

/* Returns after a commit, after `timeout_ms`, or after a second. */
void view_wait(struct view_waiter *waiter, int64_t timeout_ms);

/* For who waits for other things too: polls waiter->fd, which may be -1, for no longer than so many
 * milliseconds, and calls view_wait() with 0 then. */
int view_wait_most(const struct view_waiter *waiter);

#endif
