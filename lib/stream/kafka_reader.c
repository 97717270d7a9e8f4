/* Reading a topic: every partition of it, from positions that the caller keeps. The partitions are
 * assigned, never subscribed to, so that every reader reads all of them. */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "stream/kafka_reader.h"
#include "stream/kafka_record.h"

enum {
    LOOK_MS = 10000, /* between looks at the topic */
};

bool (*kafka_give_up)(void);

/* --- the broker --- */

/* Of all readers it is said once. */
static int readers_away;

static void say_away(struct kafka_reader *kafka, const char *reason)
{
    if (!kafka->away && readers_away++ == 0)
        diag_warn("Kafka at %s doesn't answer, waiting for it: %s", kafka_brokers(), reason);
    kafka->away = true;
}

static void say_back(struct kafka_reader *kafka)
{
    if (kafka->away && --readers_away == 0)
        diag_warn("Kafka at %s answers again", kafka_brokers());
    kafka->away = false;
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    kafka_log(client, strcmp(facility, "FAIL") == 0 ? LOG_INFO : level, facility, text);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct kafka_reader *kafka = opaque;
    char text[512];

    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(client, text, sizeof text);
        error_set(&kafka->reason, EX_IOERR, "Kafka at %s: %s", kafka_brokers(), text);
        kafka->failure = &kafka->reason;
    } else if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
               (kafka_turned_away(code) && !kafka->partitions)) { /* later it may pass */
        error_set(&kafka->reason, EX_CONFIG, "Kafka at %s: %s", kafka_brokers(), reason);
        kafka->failure = &kafka->reason;
    } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        say_away(kafka, reason);
    } else {
        diag_info("Kafka: %s", reason); /* librdkafka goes on and tries again */
    }
}

/* Counts the partitions; a broker that is away is waited for. */
static int count_partitions(struct reader *reader, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;

    for (int tries = 1;; tries++) {
        if (kafka_partition_count(kafka->client, kafka->topic, KAFKA_ANSWER_MS, &reader->partitions,
                                  error) == 0) {
            if (reader->partitions > 0)
                break;
            error_set(error, EX_TEMPFAIL, "Kafka at %s: %s has no partitions yet", kafka_brokers(),
                      kafka->topic);
        }
        rd_kafka_poll(kafka->client, 0);
        if (kafka->failure)
            *error = *kafka->failure;
        if (error->status != EX_TEMPFAIL || (kafka_give_up && kafka_give_up()) ||
            (!reader->follow && tries == KAFKA_PATIENCE))
            return -1;
        if (tries > 1)
            say_away(kafka, error->text);
    }
    say_back(kafka);
    return 0;
}

/* Partitions that come later would not be read, and split the histories of values; what is read of a
 * topic that is gone isn't it. And it tells whether a broker is back. librdkafka says none of that. */
static int look(struct reader *reader, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    int64_t wait_ms = kafka->away || kafka->missed ? KAFKA_ANSWER_MS : LOOK_MS;
    int32_t count;
    int result;

    if (clock_ms() - kafka->looked_ms < wait_ms)
        return 0;
    result = kafka_partition_count(kafka->client, kafka->topic, KAFKA_ANSWER_MS / 4, &count, error);
    kafka->looked_ms = clock_ms();
    if (result < 0 && error->status == EX_TEMPFAIL)
        return 0;
    say_back(kafka);
    if (result < 0)
        return kafka->missed++ ? -1 : 0; /* not at the first broker's word */
    kafka->missed = 0;
    if (!count || count == reader->partitions)
        return 0;
    return error_set(error, EX_CONFIG,
                     "%s has %d partitions now, and had %d: histories of values are split. Make "
                     "new topics and write the commands again",
                     reader->name, count, reader->partitions);
}

/* --- records --- */

static void read_record(struct reader *reader, struct line *record)
{
    struct kafka_reader *kafka = reader->kafka;
    const rd_kafka_message_t *message = kafka->current;
    struct kafka_partition *partition = &kafka->partitions[message->partition];

    kafka_line(message, record);
    record->number = ++kafka->number;
    partition->handed = partition->next = message->offset + 1;
    if (partition->ended && reader->follow) { /* else it has to come to an end */
        partition->ended = false;
        kafka->unended++;
    }
}

/* Markers of transactions take offsets, so that an end is known only when it is met. */
static void meet_end(struct kafka_reader *kafka, struct kafka_partition *partition, int64_t offset)
{
    if (partition->done >= 0 && partition->done == partition->handed)
        partition->done = offset;
    partition->next = offset;
    if (!partition->ended)
        kafka->unended--;
    partition->ended = true;
}

/* The position isn't there. */
static int out_of_range(struct reader *reader, const rd_kafka_message_t *message,
                        struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    int32_t partition = message->partition;
    int64_t wanted = message->offset, low, high;

    if (wanted < 0) /* the beginning or the end couldn't be asked for: why is the next event */
        return 0;
    if (rd_kafka_query_watermark_offsets(kafka->client, kafka->topic, partition, &low, &high,
                                         KAFKA_ANSWER_MS) == 0 &&
        wanted < low)
        return error_set(error, EX_DATAERR,
                         "%s begins at %d:%lld, behind the position %d:%lld that was reached",
                         reader->name, partition, (long long)low, partition, (long long)wanted);
    return error_set(error, EX_DATAERR, "%s ends before %d:%lld, the position that was reached",
                     reader->name, partition, (long long)wanted);
}

/* What librdkafka says in place of a record: 0 if it goes on. */
static int read_event(struct reader *reader, const rd_kafka_message_t *message,
                      struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    int32_t number = message->partition;
    const char *reason = rd_kafka_message_errstr(message);

    if (!message->rkt && message->err != RD_KAFKA_RESP_ERR__FATAL) {
        diag_info("Kafka: %s", reason); /* only the group's, so the lag isn't published */
        return 0;
    }
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        meet_end(kafka, &kafka->partitions[number], message->offset);
        return 0;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return out_of_range(reader, message, error);
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return error_set(error, EX_CONFIG, "Kafka at %s has no topic %s any more",
                         kafka_brokers(), kafka->topic);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return kafka_error(error, EX_CONFIG, message->err, kafka->topic);
    default: /* what passes, librdkafka keeps to itself; a record that can't be read is no gap */
        return error_set(error, EX_IOERR, "Kafka at %s: %s, partition %d: %s", kafka_brokers(),
                         kafka->topic, number, reason);
    }
}

/* --- the operations --- */

static int assign(struct reader *reader, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->partitions);
    rd_kafka_resp_err_t code;

    for (int32_t i = 0; i < reader->partitions; i++)
        rd_kafka_topic_partition_list_add(list, kafka->topic, i)->offset =
            kafka->partitions[i].start;
    code = rd_kafka_assign(kafka->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return kafka_error(error, EX_IOERR, code, kafka->topic);
    kafka->assigned = true;
    return 0;
}

/* Takes what is there, without waiting. How many, or -1. */
int64_t kafka_fetch(struct reader *reader, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    uint64_t woken;
    int64_t got;

    while (read(reader->notify_fd, &woken, sizeof woken) > 0)
        ;
    got = rd_kafka_consume_batch_queue(kafka->queue, 0, kafka->batch, KAFKA_BATCH);
    if (got < 0)
        return kafka_error(error, EX_IOERR, rd_kafka_last_error(), kafka->topic);
    kafka->at = 0;
    kafka->count = (size_t)got;
    if (!kafka->failure)
        return got;
    *error = *kafka->failure;
    return -1;
}

static int kafka_next(struct reader *reader, struct line *record, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;

    if (!kafka->assigned && assign(reader, error) < 0)
        return -1;
    for (;;) {
        int64_t got;
        while (kafka->at < kafka->count) {
            if (kafka->current)
                rd_kafka_message_destroy(kafka->current);
            kafka->current = kafka->batch[kafka->at++];
            if (!kafka->current->err) {
                read_record(reader, record);
                return READ_RECORD;
            }
            if (read_event(reader, kafka->current, error) < 0)
                return -1;
        }
        if (!reader->follow && !kafka->unended)
            return READ_END;
        got = kafka_fetch(reader, error);
        if (got < 0 || look(reader, error) < 0)
            return -1;
        if (got > 0)
            continue;
        kafka_publish_due(reader);
        return READ_PAUSE;
    }
}

/* What was fetched of the partition is from before: librdkafka drops what it has of it itself. */
static void drop_fetched(struct kafka_reader *kafka, int32_t partition)
{
    size_t kept = kafka->at;

    for (size_t i = kafka->at; i < kafka->count; i++) {
        if (kafka->batch[i]->partition == partition)
            rd_kafka_message_destroy(kafka->batch[i]);
        else
            kafka->batch[kept++] = kafka->batch[i];
    }
    kafka->count = kept;
}

static int kafka_seek(struct reader *reader, int32_t number, uint64_t offset, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    struct kafka_partition *partition = &kafka->partitions[number];
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_error_t *failed;
    rd_kafka_resp_err_t code;

    partition->start = (int64_t)offset;
    if (!kafka->assigned)
        return 0;
    drop_fetched(kafka, number);
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, kafka->topic, number)->offset = (int64_t)offset;
    failed = rd_kafka_seek_partitions(kafka->client, list, KAFKA_SEEK_WAIT);
    code = failed ? rd_kafka_error_code(failed) : list->elems[0].err;
    rd_kafka_error_destroy(failed);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return kafka_error(error, EX_IOERR, code, kafka->topic);
    partition->handed = partition->next = -1;
    if (partition->ended)
        kafka->unended++;
    partition->ended = false;
    return 0;
}

static void kafka_position(const struct line *record, char text[STREAM_POSITION_TEXT])
{
    kafka_position_write(record->partition, record->start, text);
}

static bool kafka_ended(const struct reader *reader, int32_t partition)
{
    const struct kafka_reader *kafka = reader->kafka;

    return kafka->partitions[partition].ended;
}

static uint64_t kafka_end(const struct reader *reader, int32_t partition)
{
    const struct kafka_reader *kafka = reader->kafka;
    int64_t low, high;

    if (rd_kafka_query_watermark_offsets(kafka->client, kafka->topic, partition, &low, &high,
                                         KAFKA_ANSWER_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return UINT64_MAX;
    return (uint64_t)high;
}

static uint64_t kafka_known_end(const struct reader *reader, int32_t partition)
{
    const struct kafka_reader *kafka = reader->kafka;
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(kafka->client, kafka->topic, partition, &low, &high) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return UINT64_MAX;
    return (uint64_t)high;
}

static int kafka_sync(struct reader *reader, struct error *error)
{
    (void)reader; /* what was committed is as durable as the topic is */
    (void)error;
    return 0;
}

static void *destroy(void *client)
{
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); /* of a group it isn't in */
    return NULL;
}

/* librdkafka 2.0 would wait for a minute if offsets have no answer yet, and for ever if the topic was
 * deleted: then it is left alone, until the process ends. */
static void close_client(struct kafka_reader *kafka)
{
    struct timespec deadline;
    pthread_t thread;

    if (kafka->queue) {
        rd_kafka_queue_io_event_enable(kafka->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(kafka->queue);
    }
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += KAFKA_ANSWER_MS / 1000;
    if (!kafka->client || kafka->commits || pthread_create(&thread, NULL, destroy, kafka->client))
        return;
    if (pthread_timedjoin_np(thread, NULL, &deadline))
        pthread_detach(thread);
}

static void kafka_close(struct reader *reader)
{
    struct kafka_reader *kafka = reader->kafka;

    if (kafka->current)
        rd_kafka_message_destroy(kafka->current);
    for (; kafka->at < kafka->count; kafka->at++)
        rd_kafka_message_destroy(kafka->batch[kafka->at]);
    kafka->count = 0;
    if (kafka->assigned)
        kafka_publish_last(reader);
    close_client(kafka);
    readers_away -= kafka->away;
    if (reader->notify_fd >= 0)
        close(reader->notify_fd);
    free(kafka->partitions);
    free(kafka);
}

/* --- opening --- */

static rd_kafka_t *open_client(struct reader *reader, struct error *error)
{
    const struct kafka_property defaults[] = {
        /* an end is known only when a fetch came back empty, and a seek waits until one did */
        {"fetch.wait.max.ms", reader->follow ? "100" : "10"},
        KAFKA_FETCH_AGAIN,
        /* when a queue is full, librdkafka 2.0 looks at it again after up to a second: what is in it
         * has to last as long */
        {"queued.min.messages", "10000000"},
        {"queued.max.messages.kbytes", "65536"},
        {NULL, NULL}};
    const struct kafka_property fixed[] = {{"group.id", kafka_group(KAFKA_EVENTS)},
                                           {"isolation.level", "read_committed"},
                                           {"enable.auto.commit", "false"},
                                           {"enable.auto.offset.store", "false"},
                                           {"auto.offset.reset", "error"},
                                           {"enable.partition.eof", "true"},
                                           {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf(defaults, fixed, error);

    if (!conf)
        return NULL;
    rd_kafka_conf_set_opaque(conf, reader->kafka);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    kafka_publish_init(conf);
    return kafka_new(KAFKA_CONSUMER, conf, error);
}

int kafka_reader_init(struct reader *reader, struct error *error)
{
    static const struct reader_operations operations = {.next = kafka_next,
                                                        .seek = kafka_seek,
                                                        .position = kafka_position,
                                                        .ended = kafka_ended,
                                                        .end = kafka_end,
                                                        .known_end = kafka_known_end,
                                                        .start_from = kafka_start_from,
                                                        .publish = kafka_publish,
                                                        .sync = kafka_sync,
                                                        .close = kafka_close};
    const uint64_t one = 1;
    struct kafka_reader *kafka = calloc(1, sizeof *kafka);

    if (!kafka)
        return error_memory(error);
    reader->kafka = kafka;
    reader->operations = &operations;
    kafka->topic = kafka_topic(strchr(reader->name, ':') + 1, KAFKA_EVENTS);
    reader->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reader->notify_fd < 0)
        return error_errno(error, EX_IOERR, "can't wait for %s", reader->name);
    kafka->client = open_client(reader, error);
    if (!kafka->client || count_partitions(reader, error) < 0)
        return -1;
    kafka->looked_ms = clock_ms();
    kafka->unended = reader->partitions;
    kafka->partitions = calloc((size_t)reader->partitions, sizeof *kafka->partitions);
    if (!kafka->partitions)
        return error_memory(error);
    for (int32_t i = 0; i < reader->partitions; i++)
        kafka->partitions[i] =
            (struct kafka_partition){RD_KAFKA_OFFSET_BEGINNING, -1, -1, -1, -1, false};
    rd_kafka_poll_set_consumer(kafka->client);
    kafka->queue = rd_kafka_queue_get_consumer(kafka->client);
    rd_kafka_queue_io_event_enable(kafka->queue, reader->notify_fd, &one, sizeof one);
    return 0;
}
