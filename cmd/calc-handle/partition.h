/* A partition of the commands that is ours: its state, how far it is, and what it owes. */
#ifndef CALC_HANDLE_PARTITION_H
#define CALC_HANDLE_PARTITION_H

#include "store/state.h"
#include "stream/kafka_cursor.h"
#include "stream/kafka_processor.h"

enum { PARTITION_OUTPUTS = 2 }; /* events, rejections */

struct partition {
    bool ours;
    int32_t number;
    struct state state;
    struct state_position position;
    struct line last;  /* the last command, while its batch is at hand */
    uint64_t resume;   /* commands before it have their outcomes in the outputs */
    uint64_t goal;     /* where it ended when it came, as far as is known; UINT64_MAX: not yet */
    uint64_t compared; /* commands before it were compared with them, or are known to the state */
    struct kafka_reading *emitted[PARTITION_OUTPUTS]; /* to be compared; NULL: nothing (more) */
    struct {
        bool touched;                 /* it has commands of this partition */
        struct state_position before; /* the position when it began */
        uint64_t first, next;         /* offsets of its first command, and behind its last one */
    } batches[STATE_BATCHES]; /* by the batch's number modulo that; those whose fate isn't known */
    bool awaiting;    /* having gone back, we take no command before the one at `awaited` */
    uint64_t awaited;
    uint64_t moved;   /* commands since the last checkpoint */
    int64_t saved_ms; /* when the first of them came */
};

/* What all partitions of a handler have in common. */
struct topics {
    const char *names[KAFKA_ROLES];
    const char *state; /* the folder */
    size_t cache;      /* memory for the states; bytes */
    int32_t count;     /* of partitions */
    struct kafka_processor *processor;
    struct kafka_cursor *cursor;
};

/* Takes a partition over: opens its state, checks that it is of this log, and finds out from where on
 * outcomes have to be emitted. `committed` is the group's offset, or -1. The commands are to be read
 * from partition->position.next on. EX_DATAERR: the state or the outputs are of another log, or
 * damaged. EX_CONFIG: it can't be known where to go on. */
int partition_take(struct partition *partition, const struct topics *topics, int64_t committed,
                   struct error *error);

/* Gives it back; with a checkpoint unless something failed. */
int partition_leave(struct partition *partition, const struct topics *topics, bool checkpoint,
                    struct error *error);

/* Whether a checkpoint is due because of what it would write, or of what the state takes. */
bool partition_is_due(const struct partition *partition, const struct topics *topics);

/* Writes a checkpoint if something changed, and nothing can be taken back. */
int partition_checkpoint(struct partition *partition, const struct topics *topics,
                         struct error *error);

/* Compares an outcome that was derived with what is in the outputs. EX_DATAERR if it isn't that. */
int partition_compare(struct partition *partition, const struct topics *topics,
                      enum kafka_role role, const struct kafka_command *command, const void *data,
                      size_t len, struct error *error);

/* Whether a command is the next one to be handled. What was fetched before we went back is not: the
 * consumer should have dropped it, and this is where it would do harm. */
bool partition_wants(struct partition *partition, const struct line *command);

/* Notes that a command of this batch is handled: before it is. */
void partition_moves(struct partition *partition, int batch, const struct line *command);

/* The batch is complete: its commands are let go. */
void partition_seal(struct partition *partition, int batch);

/* The batch, which is the oldest one, is committed. */
void partition_keep(struct partition *partition, int batch);

/* No batch is committed. Whether there was one: then go back to partition->position.next. */
bool partition_rollback(struct partition *partition);

#endif
