/* What the two halves of a processor share: kafka_processor.c consumes, kafka_transaction.c produces.
 * For these only. */
#ifndef STREAM_KAFKA_TRANSACTION_H
#define STREAM_KAFKA_TRANSACTION_H

#include "stream/kafka_processor.h"

enum {
    KAFKA_BATCH_RECORDS = 20000, /* in one transaction at most */
    KAFKA_START_MS = 60000,      /* for the first answers */
    KAFKA_WAIT_MS = 10000        /* for one answer, before we look whether we have to stop */
};

struct rd_kafka_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_s;
struct rd_kafka_message_s;
struct rd_kafka_topic_partition_list_s;
struct rd_kafka_consumer_group_metadata_s;

/* A partition that is given to us. */
struct kafka_share {
    bool ended;
};

struct kafka_processor {
    struct rd_kafka_s *consumer, *producer;
    struct rd_kafka_queue_s *queue;
    struct rd_kafka_topic_s *outputs[KAFKA_ROLES]; /* NULL for commands */
    int32_t counts[KAFKA_ROLES];                   /* of their partitions */
    int64_t *written[KAFKA_ROLES]; /* by partition: behind what this transaction wrote, or 0 */
    uint64_t *ends[KAFKA_ROLES];   /* the same of all that were committed */
    /* Which member of the group we were when our partitions were given to us: offsets are committed as
     * that one, so that who has lost them meanwhile is fenced. */
    struct rd_kafka_consumer_group_metadata_s *member;
    const char *commands;
    bool (*give_up)(void);

    enum processor_event event; /* of the group, that the caller hasn't seen yet */
    int32_t *partitions;        /* ours */
    struct kafka_share *shares;
    size_t partition_count;

    struct rd_kafka_message_s *messages[KAFKA_BATCH_RECORDS];
    size_t count;
    struct rd_kafka_topic_partition_list_s *offsets; /* that the transaction commits */
    bool broken; /* it can only be aborted */
    bool waits; /* for a first record */
    bool closing;
};

/* What we have of a partition; NULL if it isn't ours. */
struct kafka_share *kafka_share(const struct kafka_processor *processor, int32_t partition);

/* Whether the program was told to stop. */
bool kafka_must_stop(const struct kafka_processor *processor);

/* Opens the producing half, and ends what an earlier run under our name left open. What a failure
 * leaves is closed, too. */
int kafka_transactions_open(struct kafka_processor *processor,
                            const char *const topics[KAFKA_ROLES], const char *instance,
                            struct error *error);
void kafka_transactions_close(struct kafka_processor *processor);

#endif
