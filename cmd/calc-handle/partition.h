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
    struct state_position position, begun; /* now, and when the batch began */
    uint64_t resume;   /* commands before it have their outcomes in the outputs */
    uint64_t compared; /* commands before it were compared with them, or are known to the state */
    struct kafka_reading *emitted[PARTITION_OUTPUTS]; /* to be compared; NULL: nothing (more) */
    struct line last; /* of the batch */
    bool touched;     /* by the batch */
    uint64_t moved;   /* commands since the last checkpoint */
    int64_t saved_ms; /* when that was, or when the first one came since */
};

/* What all partitions of a handler have in common. */
struct topics {
    const char *names[KAFKA_ROLES];
    const char *state; /* the folder */
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

/* Writes a checkpoint if something changed. */
int partition_checkpoint(struct partition *partition, const struct topics *topics,
                         struct error *error);

/* Compares an outcome that was derived with what is in the outputs. EX_DATAERR if it isn't that. */
int partition_compare(struct partition *partition, const struct topics *topics,
                      enum kafka_role role, const struct kafka_command *command, const void *data,
                      size_t len, struct error *error);

/* A batch begins with the first command of this partition; it is kept, or taken back. */
void partition_begin(struct partition *partition);
void partition_keep(struct partition *partition);
void partition_rollback(struct partition *partition);

/* Notes that a command was handled. */
void partition_moved(struct partition *partition, const struct line *command);

#endif
