/* librdkafka's simple consumer: a queue a partition, no group. */
#include "stream/kafka_cursor.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "base/clock.h"
#include "stream/kafka_client.h"
#include "stream/kafka_record.h"

struct kafka_cursor {
    rd_kafka_t *client;
    bool (*give_up)(void);
};

struct kafka_reading {
    struct kafka_cursor *cursor;
    rd_kafka_topic_t *topic;
    int32_t partition;
    int64_t high;                /* its end can't lie before */
    bool bounded;                /* and not behind */
    rd_kafka_message_t *message; /* the one that was returned last */
};

enum { SLICE_MS = 100, ASK_MS = 1000 };

int kafka_cursor_open(bool (*give_up)(void), struct kafka_cursor **out, struct error *error)
{
    static const struct kafka_property defaults[] = {{"check.crcs", "true"},
                                                     {"fetch.wait.max.ms", "10"},
                                                     KAFKA_FETCH_AGAIN,
                                                     {"queued.min.messages", "10000"},
                                                     {"queued.max.messages.kbytes", "16384"},
                                                     {NULL, NULL}};
    static const struct kafka_property fixed[] = {{"isolation.level", "read_committed"},
                                                  {"enable.partition.eof", "true"},
                                                  {"enable.auto.commit", "false"},
                                                  {"auto.offset.reset", "error"},
                                                  {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf(defaults, fixed, error);
    struct kafka_cursor *cursor;

    if (!conf)
        return -1;
    cursor = calloc(1, sizeof *cursor);
    if (!cursor) {
        rd_kafka_conf_destroy(conf);
        return error_memory(error);
    }
    cursor->give_up = give_up;
    cursor->client = kafka_new(KAFKA_CONSUMER, conf, error);
    if (!cursor->client) {
        free(cursor);
        return -1;
    }
    *out = cursor;
    return 0;
}

void kafka_cursor_close(struct kafka_cursor *cursor)
{
    if (!cursor)
        return;
    rd_kafka_destroy(cursor->client);
    free(cursor);
}

int kafka_reading_start(struct kafka_cursor *cursor, const char *topic, int32_t partition,
                        uint64_t offset, uint64_t known_high, struct kafka_reading **out,
                        struct error *error)
{
    struct kafka_reading *reading = calloc(1, sizeof *reading);

    if (!reading)
        return error_memory(error);
    *reading = (struct kafka_reading){.cursor = cursor, .partition = partition, .high = (int64_t)known_high};
    reading->topic = rd_kafka_topic_new(cursor->client, topic, NULL);
    if (reading->topic && rd_kafka_consume_start(reading->topic, partition, (int64_t)offset) == 0) {
        *out = reading;
        return 0;
    }
    kafka_error(error, EX_CONFIG, rd_kafka_last_error(), topic);
    if (reading->topic)
        rd_kafka_topic_destroy(reading->topic);
    free(reading);
    return -1;
}

void kafka_reading_end_at(struct kafka_reading *reading, uint64_t end)
{
    reading->high = (int64_t)end;
    reading->bounded = true;
}

void kafka_reading_stop(struct kafka_reading *reading)
{
    if (!reading)
        return;
    if (reading->message)
        rd_kafka_message_destroy(reading->message);
    rd_kafka_consume_stop(reading->topic, reading->partition);
    rd_kafka_topic_destroy(reading->topic);
    free(reading);
}

/* Whether an end that was reached is the partition's own, and not that of what is committed while a
 * transaction is still open. */
static bool is_stable(const struct kafka_reading *reading, int64_t end)
{
    int64_t low, high;

    if (reading->bounded)
        return end >= reading->high;
    return rd_kafka_get_watermark_offsets(reading->cursor->client,
                                          rd_kafka_topic_name(reading->topic), reading->partition,
                                          &low, &high) == 0 &&
           end >= high && end >= reading->high;
}

/* What a message without a record says: 0 the end, 1 nothing yet, -1. */
static int take_event(const struct kafka_reading *reading, const rd_kafka_message_t *message,
                      struct error *error)
{
    const char *topic = rd_kafka_topic_name(reading->topic);

    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        return is_stable(reading, message->offset) ? 0 : 1;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return error_set(error, EX_DATAERR, "topic %s, partition %d: a position isn't there: %s",
                         topic, (int)reading->partition, rd_kafka_message_errstr(message));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return kafka_error(error, EX_CONFIG, message->err, topic);
    default:
        return 1; /* librdkafka tries again */
    }
}

static void describe(const rd_kafka_message_t *message, struct kafka_entry *found)
{
    *found = (struct kafka_entry){.offset = (uint64_t)message->offset,
                                  .data = message->len ? message->payload : "",
                                  .len = message->len};
    kafka_line(message, &found->line);
    found->key = message->key;
    found->key_len = message->key_len;
    found->has_position =
        kafka_header_read(message, &found->position_partition, &found->position);
}

/* It took too long. */
static int no_end(const struct kafka_reading *reading, int64_t end, struct error *error)
{
    const char *topic = rd_kafka_topic_name(reading->topic);

    if (end < 0)
        return error_set(error, EX_TEMPFAIL, "Kafka at %s: no answer about topic %s, partition %d",
                         kafka_brokers(), topic, (int)reading->partition);
    return error_set(error, EX_TEMPFAIL,
                     "Kafka at %s: topic %s, partition %d: a transaction is open from %lld on; one "
                     "that doesn't end can be found and aborted by kafka-transactions.sh",
                     kafka_brokers(), topic, (int)reading->partition, (long long)end);
}

int kafka_reading_next(struct kafka_reading *reading, int timeout_ms, struct kafka_entry *found,
                       struct error *error)
{
    struct kafka_cursor *cursor = reading->cursor;
    int64_t deadline = clock_ms() + timeout_ms, end = -1;

    for (;;) {
        rd_kafka_message_t *message;
        if (reading->message)
            rd_kafka_message_destroy(reading->message);
        message = reading->message = rd_kafka_consume(reading->topic, reading->partition, SLICE_MS);
        rd_kafka_poll(cursor->client, 0);
        if (message && !message->err) {
            if (reading->bounded && message->offset >= reading->high)
                return 0;
            describe(message, found);
            return 1;
        }
        if (message) {
            int result = take_event(reading, message, error);
            if (result <= 0)
                return result;
            if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
                end = message->offset;
        } else if (end >= 0 && is_stable(reading, end)) {
            return 0; /* what was open was aborted before anything was written behind it */
        }
        if (clock_ms() >= deadline || (cursor->give_up && cursor->give_up()))
            return no_end(reading, end, error);
    }
}

/* Reads to the end and keeps the last record in the reading: 1, 0 if there was none, -1. */
static int read_to_end(struct kafka_reading *reading, int timeout_ms, struct kafka_entry *found,
                       struct error *error)
{
    rd_kafka_message_t *last = NULL;
    struct kafka_entry next;
    int result;

    while ((result = kafka_reading_next(reading, timeout_ms, &next, error)) > 0) {
        if (last)
            rd_kafka_message_destroy(last);
        last = reading->message;
        reading->message = NULL;
    }
    if (last && reading->message)
        rd_kafka_message_destroy(reading->message);
    if (last)
        reading->message = last;
    if (result < 0 || !last)
        return result;
    describe(last, found);
    return 1;
}

/* Where a partition begins (RD_KAFKA_OFFSET_BEGINNING) or ends (RD_KAFKA_OFFSET_END). Asked as for a
 * time: rd_kafka_query_watermark_offsets() doesn't heed its time-out before 2.3. */
static rd_kafka_resp_err_t ask_offset(struct kafka_cursor *cursor, const char *topic,
                                      int32_t partition, int64_t which, uint64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *asked = rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t code;

    asked->offset = which;
    code = rd_kafka_offsets_for_times(cursor->client, list, ASK_MS);
    if (!code)
        code = list->elems[0].err;
    if (!code && list->elems[0].offset < 0)
        code = RD_KAFKA_RESP_ERR__NO_OFFSET;
    if (!code)
        *offset = (uint64_t)list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

int kafka_cursor_bounds(struct kafka_cursor *cursor, const char *topic, int32_t partition,
                        int timeout_ms, uint64_t *low, uint64_t *high, struct error *error)
{
    int64_t deadline = clock_ms() + timeout_ms;
    rd_kafka_resp_err_t code;

    do {
        code = ask_offset(cursor, topic, partition, RD_KAFKA_OFFSET_BEGINNING, low);
        if (!code)
            code = ask_offset(cursor, topic, partition, RD_KAFKA_OFFSET_END, high);
        if (!code)
            return 0;
        if (kafka_forbidden(code))
            return kafka_error(error, EX_CONFIG, code, topic);
        rd_kafka_poll(cursor->client, 10); /* a leader that is being chosen answers at once */
    } while (clock_ms() < deadline && !(cursor->give_up && cursor->give_up()));
    return kafka_error(error, EX_TEMPFAIL, code, topic);
}

int kafka_cursor_last(struct kafka_cursor *cursor, const char *topic, int32_t partition,
                      int timeout_ms, struct kafka_reading **reading, struct kafka_entry *found,
                      struct error *error)
{
    uint64_t low, high, from;
    int result;

    *reading = NULL;
    if (kafka_cursor_bounds(cursor, topic, partition, timeout_ms, &low, &high, error) < 0)
        return -1;
    /* the offsets before the end may be those of aborted records and of transactions' markers */
    for (uint64_t tail = 16;; tail *= 16) {
        from = high - low > tail ? high - tail : low;
        kafka_reading_stop(*reading);
        *reading = NULL;
        if (kafka_reading_start(cursor, topic, partition, from, high, reading, error) < 0)
            return -1;
        result = read_to_end(*reading, timeout_ms, found, error);
        if (result != 0 || from == low)
            return result;
    }
}
