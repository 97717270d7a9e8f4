/* The handler's state: the values, who owns them, and which commands were seen on them. It is a
 * fold of the commands log (of one partition of it) and of nothing else.
 *
 * In memory it is a working set. With a store (state_open) what isn't there is looked up in the
 * store, a checkpoint writes what changed, and batches of commands can be taken back. */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/table.h"
#include "calc/outcome.h"

struct state_store;

/* Which partition of a log the state is of, and to which a value belongs; `of` NULL: there is but
 * one. A command in another partition than its value's is misplaced. */
struct state_place {
    int32_t partition, count;
    int32_t (*of)(const struct id *value_id, int32_t count);
};

/* How much was there when a batch began. */
struct state_mark {
    uint32_t values, commands, actors;
    size_t undo;
};

enum { STATE_BATCHES = 2 };

struct state {
    struct table values;   /* id -> value, owner */
    struct table commands; /* command id, value -> body */
    struct table actors;   /* owners, kept once each */
    struct state_place place;
    struct state_store *store; /* NULL: everything is in memory */
    struct buffer undo;        /* values as they were before what the open batches did to them */
    struct state_mark marks[STATE_BATCHES]; /* of the open batches, the oldest first */
    int open;
};

void state_init(struct state *state);
void state_release(struct state *state);

/* Takes the next line of the commands log, its newline left out; line[len] is readable. `len` is at
 * most LINE_MAX_BYTES; `unfit` says that it is no line: longer than that, or with a newline in it.
 * `position` is where it stands. Returns 1 with its outcome, 0 for a retry, which has none, -1 when
 * memory ran out or the store can't be read. */
int state_handle(struct state *state, const char *position, const char *line, size_t len,
                 bool unfit, struct outcome *outcome, struct error *error);

/* --- with a store --- */

/* How far the log was handled, and which one it is: the digests (UUIDv5) of its first record and of
 * the last one handled. Where the outputs stood then, and how far they are known to be durable, which
 * may be further. */
struct state_position {
    bool kept;             /* a position was written before; set by state_open() */
    bool begun;            /* false: nothing was handled, the rest means nothing but the ends */
    int32_t partitions;    /* of the log; 0: it is a file, or not known */
    uint64_t first, last;  /* offsets of the first record and of the last one handled */
    uint64_t next;         /* offset behind it */
    struct id first_digest, last_digest;
    uint64_t ends[2]; /* of events and of rejections: offset behind the last outcome before `next` */
    uint64_t last_outcomes[2]; /* of files: offset of the last outcome before an end that isn't 0 */
    struct id outcome_digests[2]; /* and its digest */
    uint64_t durable[2]; /* nothing before is an unsynced tail; at least the ends */
};

/* The digest of a record. */
void state_digest(const void *record, size_t len, struct id *digest);

/* Opens the store in a folder, made if need be, and reads its position. EX_DATAERR if it is no store
 * or has another format. The state is an initialised one. */
int state_open(struct state *state, const char *folder, struct state_position *position,
               struct error *error);

/* Forgets everything, the store's content too. */
int state_clear(struct state *state, struct error *error);

/* A batch begins: what is handled from here on can be taken back. STATE_BATCHES can be open: one whose
 * fate isn't known yet, and the one behind it. */
void state_begin(struct state *state);

/* The oldest open batch stays. */
void state_keep(struct state *state);

/* All open batches are taken back. */
void state_rollback(struct state *state);

/* Changes that no checkpoint has; entries. */
size_t state_unsaved(const struct state *state);

/* What the working set takes in memory; bytes. */
size_t state_memory(const struct state *state);

/* Whether it is time for a checkpoint in any case: there are many changes, or the working set takes
 * more than `memory` bytes, or writing the changes may take more than `pages` bytes; or the changes are so
 * scattered that those of `ahead` more commands, so many as are at hand, would share few pages with them. */
bool state_is_due(const struct state *state, size_t memory, size_t pages, uint64_t ahead);

/* Writes them and the position in one durable transaction; no batch may be open. When the working set
 * takes more than `memory` bytes, it is dropped afterwards, or as much of it as is needed. */
int state_checkpoint(struct state *state, const struct state_position *position, size_t memory,
                     struct error *error);

/* Writes the durable ends only: the position stays what the last checkpoint wrote. */
int state_mark_durable(struct state *state, const uint64_t durable[2], struct error *error);

/* Drops what no checkpoint has. */
void state_forget(struct state *state);

#endif
