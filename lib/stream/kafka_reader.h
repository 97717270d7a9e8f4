/* A reader of a topic, for kafka_reader.c, which reads, and kafka_offsets.c, which knows where to begin
 * and tells the group how far it is. */
#ifndef STREAM_KAFKA_READER_H
#define STREAM_KAFKA_READER_H

#include "stream/kafka_client.h"
#include "stream/reader.h"

enum {
    KAFKA_BATCH = 1024,      /* records that are taken from librdkafka at once */
    KAFKA_ANSWER_MS = 1000,  /* how long we wait for an answer before we look around */
    KAFKA_PATIENCE = 10,     /* how many times, where we don't wait for ever */
};

struct kafka_partition {
    int64_t start;     /* where to begin: an offset, RD_KAFKA_OFFSET_BEGINNING or _END */
    int64_t handed;    /* behind the last record that was handed out; -1: none was */
    int64_t next;      /* the same, or the end that was met behind it */
    int64_t done;      /* what is to be published; -1: nothing */
    int64_t published; /* and what was */
    bool ended;
};

struct kafka_reader {
    struct rd_kafka_s *client;
    struct rd_kafka_queue_s *queue;
    const char *topic;
    struct kafka_partition *partitions;
    int32_t unended; /* partitions whose end wasn't met */
    bool assigned;
    bool away;             /* no broker answers, and it was said */
    int missed;            /* how often brokers said that there is no such topic */
    struct error *failure; /* what a callback has to say */
    struct error reason;
    int64_t looked_ms, published_ms;
    int commits; /* that are under way */
    uint64_t number;
    size_t at, count; /* of the batch */
    struct rd_kafka_message_s *batch[KAFKA_BATCH];
    struct rd_kafka_message_s *current; /* which the line points into that was handed out last */
};

/* Takes what is there into the batch, without waiting: how many, or -1. */
int64_t kafka_fetch(struct reader *reader, struct error *error);

/* The reader's operations of that name. */
int kafka_start_from(struct reader *reader, const char *from, struct error *error);
void kafka_publish(struct reader *reader, int32_t partition, uint64_t next);

/* Publishes what is due, if the last time was long enough ago; when the reader closes. */
void kafka_publish_due(struct reader *reader);
void kafka_publish_last(struct reader *reader);

/* Lets librdkafka tell what became of what was published. */
void kafka_publish_init(struct rd_kafka_conf_s *conf);

#endif
