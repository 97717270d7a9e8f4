/* What a handler does on Kafka: it consumes commands as a member of a group, and produces their
 * outcomes and commits their offsets in one transaction, so that each is done once. */
#ifndef STREAM_KAFKA_PROCESSOR_H
#define STREAM_KAFKA_PROCESSOR_H

#include "stream/kafka.h"
#include "stream/stream.h"

struct kafka_processor;

/* The group is that of commands. `instance` names this member for ever: who comes back under it gets
 * its partitions back at once and ends the transaction that it left open; a second one at the same
 * time fences the first. It has the characters of a topic's name. */
int kafka_processor_open(const char *const topics[KAFKA_ROLES], const char *instance,
                         bool (*give_up)(void), struct kafka_processor **processor,
                         struct error *error);

/* Leaves, without touching the outputs; NULL is allowed. */
void kafka_processor_close(struct kafka_processor *processor);

/* --- consuming --- */

/* What happened:
 *   PROCESSOR_NOTHING   no record within timeout_ms
 *   PROCESSOR_RECORDS   records came: the first one, and all that were waiting, up to a limit
 *   PROCESSOR_ASSIGNED  partitions are given to us: answer with kafka_processor_start()
 *   PROCESSOR_REVOKED   all of ours are taken away: answer with kafka_processor_stop()
 *   -1                  EX_TEMPFAIL if we were fenced; EX_DATAERR if a position isn't in the log */
enum processor_event { PROCESSOR_NOTHING, PROCESSOR_RECORDS, PROCESSOR_ASSIGNED, PROCESSOR_REVOKED };
int kafka_processor_poll(struct kafka_processor *processor, int timeout_ms, struct error *error);

/* The records of the last poll, in the order of each partition; good until the next one. */
struct kafka_command {
    struct line line; /* its partition and its offset (start) too */
    const void *key;  /* NULL: none */
    size_t key_len;
    char position[STREAM_POSITION_TEXT];
};
size_t kafka_processor_count(const struct kafka_processor *processor);
void kafka_processor_record(struct kafka_processor *processor, size_t index,
                            struct kafka_command *command);

/* The partitions that are given to us or ours, and how many. */
size_t kafka_processor_partitions(const struct kafka_processor *processor,
                                  const int32_t **partitions);

/* Begins to consume the given partitions, each at its offset (as many as there are partitions). */
int kafka_processor_start(struct kafka_processor *processor, const uint64_t *offsets,
                          struct error *error);
int kafka_processor_stop(struct kafka_processor *processor, struct error *error);

/* Goes (back) to an offset of one of our partitions; what was fetched beyond is dropped. */
int kafka_processor_seek(struct kafka_processor *processor, int32_t partition, uint64_t offset,
                         struct error *error);

/* Whether the end of a partition was reached, and nothing came since. */
bool kafka_processor_ended(const struct kafka_processor *processor, int32_t partition);

/* Where a partition ends, as far as the last fetch saw it; UINT64_MAX if none did. */
uint64_t kafka_processor_known_end(const struct kafka_processor *processor, int32_t partition);

/* The group's committed offsets of the partitions, in their order; -1 where there is none. Waits for
 * transactions that are about to commit. */
int kafka_processor_committed(struct kafka_processor *processor, int64_t *offsets,
                              struct error *error);

/* --- producing --- */

/* Begins a transaction. */
int kafka_processor_begin(struct kafka_processor *processor, struct error *error);

/* An outcome: what is emitted, and the partition and the position of its command. */
struct kafka_outcome {
    enum kafka_role role;
    int32_t partition;
    char position[STREAM_POSITION_TEXT];
    const void *key, *data; /* key NULL: none */
    size_t key_len, len;
};

/* Puts an outcome, which is copied, into it: to the partition that its command came from. If that
 * can't be done, the transaction is aborted when it should be committed. */
void kafka_processor_put(struct kafka_processor *processor, const struct kafka_outcome *outcome);

/* Says that the offset is the next one of a partition once the transaction is committed. */
void kafka_processor_done(struct kafka_processor *processor, int32_t partition, uint64_t next);

/* Commits: 1. 0 if it was aborted instead: nothing of it was done, the caller goes back. -1:
 * EX_TEMPFAIL if another instance fenced us, or nobody knows: a new start finds out. Another thread
 * may poll meanwhile, and nothing else. */
int kafka_processor_commit(struct kafka_processor *processor, struct error *error);

/* Behind the last outcome that we committed to a partition of an output, or 0: what is committed before
 * it stems from commands up to that outcome's. Behind it may be other handlers' outcomes. Not to be
 * asked during a commit. */
uint64_t kafka_processor_end(const struct kafka_processor *processor, enum kafka_role role,
                             int32_t partition);

/* Aborts: 0, or -1 as above. */
int kafka_processor_abort(struct kafka_processor *processor, struct error *error);

#endif
