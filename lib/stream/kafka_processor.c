/* The consuming half of a processor: a member of the group, and what it is given. */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/diag.h"
#include "stream/kafka_client.h"
#include "stream/kafka_record.h"
#include "stream/kafka_transaction.h"

/* --- opening --- */

static int resize(struct kafka_processor *processor, const rd_kafka_topic_partition_list_t *list)
{
    size_t count = list ? (size_t)list->cnt : 0;

    free(processor->partitions);
    free(processor->shares);
    processor->partition_count = 0;
    processor->partitions = calloc(count + 1, sizeof *processor->partitions);
    processor->shares = calloc(count + 1, sizeof *processor->shares);
    if (!processor->partitions || !processor->shares)
        return -1;
    for (size_t i = 0; i < count; i++)
        processor->partitions[i] = list->elems[i].partition;
    processor->partition_count = count;
    return 0;
}

/* The group waits for our answer: it is given when the caller has done his part. */
static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_processor *processor = opaque;

    if (processor->closing || (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
                               code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)) {
        rd_kafka_assign(consumer, NULL);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        processor->event = PROCESSOR_REVOKED;
    else if (resize(processor, list) == 0)
        processor->event = PROCESSOR_ASSIGNED;
    else
        rd_kafka_assign(consumer, NULL); /* out of memory: others take them */
    /* The poll that it was told in would go on waiting for records. One for a batch would lose the record that
     * comes next, and doesn't wait. */
    if (processor->waits)
        rd_kafka_yield(consumer);
}

static int open_consumer(struct kafka_processor *processor, const char *instance,
                         struct error *error)
{
    /* librdkafka 2.0 sleeps up to a second when its queue is full: only the bytes may fill it, and
     * 64 MB last that long */
    static const struct kafka_property defaults[] = {{"check.crcs", "true"},
                                                     {"session.timeout.ms", "10000"},
                                                     {"heartbeat.interval.ms", "1000"},
                                                     {"fetch.wait.max.ms", "100"}, /* an end is told when it is over */
                                                     KAFKA_FETCH_AGAIN,
                                                     {"queued.min.messages", "10000000"},
                                                     {"queued.max.messages.kbytes", "65536"},
                                                     {NULL, NULL}};
    const struct kafka_property fixed[] = {{"group.id", kafka_group(KAFKA_COMMANDS)},
                                           {"group.instance.id", instance},
                                           {"partition.assignment.strategy", "range"},
                                           {"isolation.level", "read_committed"},
                                           {"enable.auto.commit", "false"},
                                           {"enable.auto.offset.store", "false"},
                                           {"enable.partition.eof", "true"},
                                           {"auto.offset.reset", "error"},
                                           {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf(defaults, fixed, error);

    if (!conf)
        return -1;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, processor);
    processor->consumer = kafka_new(KAFKA_CONSUMER, conf, error);
    if (!processor->consumer)
        return -1;
    rd_kafka_poll_set_consumer(processor->consumer);
    processor->queue = rd_kafka_queue_get_consumer(processor->consumer);
    return 0;
}

static int subscribe(struct kafka_processor *processor, struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_partition_list_add(list, processor->commands, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(processor->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_error(error, EX_CONFIG, code, processor->commands) : 0;
}

int kafka_processor_open(const char *const topics[KAFKA_ROLES], const char *instance,
                         bool (*give_up)(void), struct kafka_processor **out, struct error *error)
{
    struct kafka_processor *processor = calloc(1, sizeof *processor);

    if (!processor)
        return error_memory(error);
    processor->commands = topics[KAFKA_COMMANDS];
    processor->give_up = give_up;
    if (kafka_transactions_open(processor, topics, instance, error) < 0 ||
        open_consumer(processor, instance, error) < 0 || subscribe(processor, error) < 0) {
        kafka_processor_close(processor);
        return -1;
    }
    *out = processor;
    return 0;
}

static void forget_member(struct kafka_processor *processor)
{
    if (processor->member)
        rd_kafka_consumer_group_metadata_destroy(processor->member);
    processor->member = NULL;
}

static void drop_messages(struct kafka_processor *processor)
{
    for (size_t i = 0; i < processor->count; i++)
        rd_kafka_message_destroy(processor->messages[i]);
    processor->count = 0;
}

void kafka_processor_close(struct kafka_processor *processor)
{
    if (!processor)
        return;
    processor->closing = true;
    drop_messages(processor);
    if (processor->queue)
        rd_kafka_queue_destroy(processor->queue);
    if (processor->consumer) {
        if (processor->event != PROCESSOR_NOTHING)
            rd_kafka_assign(processor->consumer, NULL);
        rd_kafka_consumer_close(processor->consumer);
        rd_kafka_destroy(processor->consumer);
    }
    kafka_transactions_close(processor);
    forget_member(processor);
    free(processor->partitions);
    free(processor->shares);
    free(processor);
}

/* --- consuming --- */

/* What a message that is no record says. -1 if we can't go on. */
static int take_event(struct kafka_processor *processor, const rd_kafka_message_t *message,
                      struct error *error)
{
    struct kafka_share *share = kafka_share(processor, message->partition);
    char reason[512];

    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (share)
            share->ended = true;
        return 0;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return error_set(error, EX_DATAERR, "topic %s, partition %d: a position isn't there: %s",
                         processor->commands, (int)message->partition,
                         rd_kafka_message_errstr(message));
    case RD_KAFKA_RESP_ERR__FATAL:
        rd_kafka_fatal_error(processor->consumer, reason, sizeof reason);
        return error_set(error, EX_TEMPFAIL, "Kafka at %s: this member was fenced: %s",
                         kafka_brokers(), reason);
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return error_set(error, EX_TEMPFAIL,
                         "Kafka at %s: this member was fenced: another one has its name",
                         kafka_brokers());
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
        return kafka_error(error, EX_CONFIG, message->err, processor->commands);
    default:
        diag_warn("Kafka: %s", rd_kafka_message_errstr(message)); /* librdkafka tries again */
        return 0;
    }
}

/* Keeps the records among the messages, and takes the rest. */
static int sort_out(struct kafka_processor *processor, struct error *error)
{
    size_t kept = 0;
    int result = 0;

    for (size_t i = 0; i < processor->count; i++) {
        rd_kafka_message_t *message = processor->messages[i];
        if (!message->err) {
            struct kafka_share *share = kafka_share(processor, message->partition);
            if (share)
                share->ended = false;
            processor->messages[kept++] = message;
            continue;
        }
        if (result == 0)
            result = take_event(processor, message, error);
        rd_kafka_message_destroy(message);
    }
    processor->count = kept;
    return result;
}

int kafka_processor_poll(struct kafka_processor *processor, int timeout_ms, struct error *error)
{
    char reason[512];
    ssize_t got;

    drop_messages(processor);
    rd_kafka_poll(processor->producer, 0);
    if (processor->event == PROCESSOR_NOTHING) {
        processor->waits = true;
        processor->messages[0] = rd_kafka_consumer_poll(processor->consumer, timeout_ms);
        processor->waits = false;
        processor->count = processor->messages[0] != NULL;
    }
    if (processor->count) {
        /* no waiting for more: that would be added to the time of each record */
        got = rd_kafka_consume_batch_queue(processor->queue, 0, processor->messages + 1,
                                           KAFKA_BATCH_RECORDS - 1);
        processor->count += got > 0 ? (size_t)got : 0;
    }
    /* The message that tells may have been dropped; a consumer with such an error does nothing more. */
    if (rd_kafka_fatal_error(processor->consumer, reason, sizeof reason))
        return error_set(error, EX_TEMPFAIL, "Kafka at %s: this member was fenced: %s",
                         kafka_brokers(), reason);
    if (processor->event != PROCESSOR_NOTHING) { /* what was fetched comes again, to whom it's for */
        drop_messages(processor);
        return processor->event;
    }
    if (sort_out(processor, error) < 0)
        return -1;
    return processor->count ? PROCESSOR_RECORDS : PROCESSOR_NOTHING;
}

size_t kafka_processor_count(const struct kafka_processor *processor)
{
    return processor->count;
}

void kafka_processor_record(struct kafka_processor *processor, size_t index,
                            struct kafka_command *command)
{
    const rd_kafka_message_t *message = processor->messages[index];

    kafka_line(message, &command->line);
    kafka_position_write(message->partition, (uint64_t)message->offset, command->position);
    command->key = message->key;
    command->key_len = message->key_len;
}

size_t kafka_processor_partitions(const struct kafka_processor *processor,
                                  const int32_t **partitions)
{
    *partitions = processor->partitions;
    return processor->partition_count;
}

bool kafka_processor_ended(const struct kafka_processor *processor, int32_t partition)
{
    const struct kafka_share *share = kafka_share(processor, partition);

    return share && share->ended;
}

uint64_t kafka_processor_known_end(const struct kafka_processor *processor, int32_t partition)
{
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(processor->consumer, processor->commands, partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return UINT64_MAX;
    return (uint64_t)high;
}

/* --- the assignment --- */

/* Our partitions at these offsets (NULL: none). */
static rd_kafka_topic_partition_list_t *our_list(const struct kafka_processor *processor,
                                                 const uint64_t *offsets)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)processor->partition_count);

    for (size_t i = 0; i < processor->partition_count; i++) {
        rd_kafka_topic_partition_t *added = rd_kafka_topic_partition_list_add(
            list, processor->commands, processor->partitions[i]);
        if (offsets)
            added->offset = (int64_t)offsets[i];
    }
    return list;
}

int kafka_processor_start(struct kafka_processor *processor, const uint64_t *offsets,
                          struct error *error)
{
    rd_kafka_topic_partition_list_t *list = our_list(processor, offsets);
    rd_kafka_resp_err_t code = rd_kafka_assign(processor->consumer, list);

    rd_kafka_topic_partition_list_destroy(list);
    forget_member(processor);
    processor->member = rd_kafka_consumer_group_metadata(processor->consumer);
    processor->event = PROCESSOR_NOTHING;
    for (size_t i = 0; i < processor->partition_count; i++)
        processor->shares[i] = (struct kafka_share){0};
    if (!code && !processor->member)
        code = RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    return code ? kafka_error(error, EX_TEMPFAIL, code, "can't take partitions") : 0;
}

int kafka_processor_stop(struct kafka_processor *processor, struct error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_assign(processor->consumer, NULL);

    processor->event = PROCESSOR_NOTHING;
    processor->partition_count = 0;
    return code ? kafka_error(error, EX_TEMPFAIL, code, "can't give partitions back") : 0;
}

int kafka_processor_seek(struct kafka_processor *processor, int32_t partition, uint64_t offset,
                         struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_t *failed;
    struct kafka_share *share = kafka_share(processor, partition);

    rd_kafka_topic_partition_list_add(list, processor->commands, partition)->offset =
        (int64_t)offset;
    failed = rd_kafka_seek_partitions(processor->consumer, list, KAFKA_SEEK_WAIT);
    if (failed) {
        code = rd_kafka_error_code(failed);
        rd_kafka_error_destroy(failed);
    } else {
        code = list->elems[0].err;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (share)
        share->ended = false;
    return code ? kafka_error(error, EX_TEMPFAIL, code, "can't go back to what was committed") : 0;
}

int kafka_processor_committed(struct kafka_processor *processor, int64_t *offsets,
                              struct error *error)
{
    int64_t deadline = clock_ms() + KAFKA_START_MS;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    for (;;) {
        list = our_list(processor, NULL);
        code = rd_kafka_committed(processor->consumer, list, KAFKA_WAIT_MS);
        for (int i = 0; !code && i < list->cnt; i++) {
            code = list->elems[i].err;
            offsets[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
        }
        rd_kafka_topic_partition_list_destroy(list);
        if (!code)
            return 0;
        if (kafka_forbidden(code))
            return kafka_error(error, EX_CONFIG, code, "can't read committed offsets");
        if (clock_ms() >= deadline || kafka_must_stop(processor))
            return kafka_error(error, EX_TEMPFAIL, code, "no answer about committed offsets");
    }
}
