/* Writing to a topic: each record to its value's partition, by an idempotent producer.
 *
 * A value's records must not get a hole, so nothing is sent behind one that failed. librdkafka's
 * own time-out fails records one by one while it goes on with what was put in later; so the clock
 * is ours, and when it runs out the whole queue is dropped in one go. For what a broker refuses
 * there is enable.gapless.guarantee. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "stream/kafka_client.h"
#include "stream/kafka_record.h"
#include "stream/writer.h"

enum {
    LOOK_MS = 1000,    /* between two looks at signals, while there is no broker yet */
    STOP_MS = 5000,    /* for what is in flight, once we are told to give up, or a record failed */
    SLICE_MS = 100,    /* between two looks at clocks and signals */
    SERVE_EVERY = 1024 /* records put, between two looks at what was delivered */
};

struct kafka_writer {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    int32_t partitions;
    int64_t timeout_ms;  /* 0: none */
    int64_t progress_ms; /* when something was put into an empty queue, or was seen to be delivered: */
    bool progressed;     /* something was, since that was looked at */
    size_t waiting;      /* records without a delivery report */
    bool failed;         /* a record failed: nothing is sent any more */
    struct error error;  /* why the first one did */
};

/* --- what became of a record --- */

/* Whether trying again can't help before somebody has changed a setting. */
static bool is_permanent(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return true;
    default:
        return kafka_forbidden(code);
    }
}

/* The first failure; those behind it follow from it. */
static void fail(struct writer *writer, size_t index, rd_kafka_resp_err_t code, const char *reason)
{
    struct kafka_writer *kafka = writer->kafka;

    if (kafka->failed)
        return;
    kafka->failed = true;
    writer->failed = index;
    error_set(&kafka->error, is_permanent(code) ? EX_CONFIG : EX_TEMPFAIL,
              "Kafka at %s: can't append to %s: %s", kafka_brokers(), writer->name, reason);
}

static enum delivery delivery_of(const rd_kafka_message_t *message)
{
    if (!message->err)
        return DELIVERY_DONE;
    return rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED ? DELIVERY_FAILED
                                                                                 : DELIVERY_UNKNOWN;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct writer *writer = opaque;
    struct kafka_writer *kafka = writer->kafka;
    size_t index = (size_t)message->_private;
    struct writer_record *record = writer_record(writer, index);
    rd_kafka_resp_err_t fatal;
    char reason[512];

    record->partition = message->partition;
    record->offset = (uint64_t)message->offset;
    record->delivery = delivery_of(message);
    kafka->waiting--;
    if (!message->err)
        kafka->progressed = true;
    else if ((fatal = rd_kafka_fatal_error(client, reason, sizeof reason)) != 0)
        fail(writer, index, kafka_forbidden(fatal) ? fatal : message->err, reason);
    else
        fail(writer, index, message->err, rd_kafka_err2str(message->err));
}

/* --- writing --- */

static bool is_late(struct kafka_writer *kafka)
{
    if (kafka->progressed)
        kafka->progress_ms = clock_ms();
    kafka->progressed = false;
    return kafka->timeout_ms && clock_ms() - kafka->progress_ms >= kafka->timeout_ms;
}

/* Drops what was not sent; with `in_flight` also what was, which then may be in the log or not. All
 * of it is reported as failed. */
static void drop(struct kafka_writer *kafka, bool in_flight)
{
    rd_kafka_purge(kafka->client,
                   RD_KAFKA_PURGE_F_QUEUE | (in_flight ? RD_KAFKA_PURGE_F_INFLIGHT : 0));
}

/* The record that waits longest, if none has failed yet. */
static size_t first_waiting(const struct writer *writer)
{
    size_t index = 0;

    while (writer_record(writer, index)->delivery == DELIVERY_DONE)
        index++;
    return index;
}

static void time_out(struct writer *writer)
{
    struct kafka_writer *kafka = writer->kafka;
    char reason[64];

    snprintf(reason, sizeof reason, "nothing was acknowledged for %lld ms",
             (long long)(clock_ms() - kafka->progress_ms));
    fail(writer, first_waiting(writer), RD_KAFKA_RESP_ERR__TIMED_OUT, reason);
    rd_kafka_set_log_level(kafka->client, -1); /* it would call the drop a broken guarantee */
    drop(kafka, true);
}

static int put(struct writer *writer, size_t index, const struct id *id, struct error *error)
{
    struct kafka_writer *kafka = writer->kafka;
    struct writer_record *record = writer_record(writer, index);
    char *line = writer->batch.data + record->from;
    size_t len = writer->batch.len - record->from - 1;
    int32_t partition = kafka_partition(id, kafka->partitions);
    char key[ID_TEXT];

    id_write(id, key);
    if (!kafka->waiting)
        kafka->progress_ms = clock_ms();
    if (index % SERVE_EVERY == 0)
        rd_kafka_poll(kafka->client, 0);
    while (!kafka->failed && rd_kafka_produce(kafka->topic, partition, RD_KAFKA_MSG_F_COPY, line,
                                              len, key, sizeof key, (void *)index) < 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        /* after a fatal error, the report of a record that was put before says what it was */
        bool waits = code == RD_KAFKA_RESP_ERR__QUEUE_FULL ||
                     (code == RD_KAFKA_RESP_ERR__FATAL && kafka->waiting);
        if (!waits)
            fail(writer, index, code, rd_kafka_err2str(code));
        else if (is_late(kafka))
            time_out(writer);
        else
            rd_kafka_poll(kafka->client, SLICE_MS);
    }
    if (kafka->failed) {
        *error = kafka->error;
        return -1;
    }
    kafka->waiting++;
    return 0;
}

/* Waits until every record is reported. */
static void wait_for_reports(struct writer *writer)
{
    struct kafka_writer *kafka = writer->kafka;
    int64_t stop_ms = 0;

    while (kafka->waiting) {
        bool give_up = writer->log.give_up && writer->log.give_up();
        rd_kafka_flush(kafka->client, SLICE_MS); /* doesn't wait for linger.ms */
        if (!stop_ms && (give_up || kafka->failed))
            stop_ms = clock_ms() + STOP_MS;
        if (is_late(kafka) || (stop_ms && clock_ms() >= stop_ms))
            time_out(writer);
        else if (kafka->failed)
            drop(kafka, false);
    }
}

static int commit(struct writer *writer, uint64_t *offset, uint64_t *cut, struct error *error)
{
    struct kafka_writer *kafka = writer->kafka;
    size_t count = writer->records.len / sizeof(struct writer_record);
    bool done = false, unknown = false;

    *offset = *cut = 0;
    wait_for_reports(writer);
    if (!kafka->failed)
        return 0;
    for (size_t i = 0; i < count; i++) {
        done |= writer_record(writer, i)->delivery == DELIVERY_DONE;
        unknown |= writer_record(writer, i)->delivery == DELIVERY_UNKNOWN;
    }
    *error = kafka->error;
    if (unknown)
        error->status = EX_UNAVAILABLE;
    else if (done)
        error->status = EX_IOERR;
    return -1;
}

/* A batch that was sent twice because the first answer got lost may be acknowledged without its
 * offset. */
static void write_position(const struct writer_record *record, char text[STREAM_POSITION_TEXT])
{
    if ((int64_t)record->offset < 0)
        snprintf(text, STREAM_POSITION_TEXT, "%d:?", (int)record->partition);
    else
        kafka_position_write(record->partition, record->offset, text);
}

/* --- opening --- */

static void close_kafka(struct writer *writer)
{
    struct kafka_writer *kafka = writer->kafka;

    if (kafka->topic)
        rd_kafka_topic_destroy(kafka->topic);
    if (kafka->client)
        rd_kafka_destroy(kafka->client);
    free(kafka);
}

/* Takes the user's time-out over from librdkafka. */
static int64_t take_timeout(rd_kafka_conf_t *conf)
{
    char value[32] = "0", reason[128];
    size_t size = sizeof value;

    rd_kafka_conf_get(conf, "message.timeout.ms", value, &size);
    rd_kafka_conf_set(conf, "message.timeout.ms", "0", reason, sizeof reason);
    return atoll(value);
}

static int open_client(struct writer *writer, struct error *error)
{
    static const struct kafka_property defaults[] = {
        {"message.timeout.ms", "30000"},
        {"linger.ms", "10"},                         /* a commit doesn't wait for it */
        {"queue.buffering.max.messages", "1000000"}, /* the batch is the bound */
        {NULL, NULL}};
    static const struct kafka_property fixed[] = {{"acks", "all"},
                                                  {"enable.idempotence", "true"},
                                                  {"enable.gapless.guarantee", "true"},
                                                  {NULL, NULL}};
    struct kafka_writer *kafka = writer->kafka;
    rd_kafka_conf_t *conf = kafka_conf(defaults, fixed, error);

    if (!conf)
        return -1;
    kafka->timeout_ms = take_timeout(conf);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, writer);
    kafka->client = kafka_new(KAFKA_PRODUCER, conf, error);
    return kafka->client ? 0 : -1;
}

/* A broker that is away is waited for, as long as for a delivery. */
static int count_partitions(struct writer *writer, struct error *error)
{
    struct kafka_writer *kafka = writer->kafka;
    int64_t end_ms = kafka->timeout_ms ? clock_ms() + kafka->timeout_ms : INT64_MAX;
    struct error reason;
    bool refused = false;
    int result;

    do {
        int64_t left_ms = end_ms - clock_ms();
        if (left_ms < 0)
            left_ms = 0;
        result = kafka_partition_count(kafka->client, writer->name,
                                       left_ms < LOOK_MS ? (int)left_ms : LOOK_MS,
                                       &kafka->partitions, error);
        if (result < 0 && error->status == EX_TEMPFAIL && left_ms >= LOOK_MS)
            refused = kafka_ask_why(LOOK_MS, &reason) < 0;
        if (refused)
            *error = reason;
    } while (result < 0 && error->status == EX_TEMPFAIL && clock_ms() < end_ms &&
             !(kafka_give_up && kafka_give_up()));
    return result;
}

int kafka_writer_init(struct writer *writer, struct error *error)
{
    static const struct writer_operations operations = {.is_log = true,
                                                        .put = put,
                                                        .commit = commit,
                                                        .position = write_position,
                                                        .close = close_kafka};
    struct kafka_writer *kafka = writer->kafka = calloc(1, sizeof *kafka);

    if (!kafka)
        return error_memory(error);
    writer->operations = &operations;
    if (open_client(writer, error) < 0)
        return -1;
    if (count_partitions(writer, error) < 0)
        return -1;
    kafka->topic = rd_kafka_topic_new(kafka->client, writer->name, NULL);
    return kafka->topic ? 0 : kafka_error(error, EX_CONFIG, rd_kafka_last_error(), writer->name);
}
