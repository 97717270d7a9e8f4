#include "stream/kafka_processor.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "stream/kafka_client.h"
#include "stream/kafka_record.h"

enum {
    BATCH_RECORDS = 20000,  /* in one transaction at most */
    START_MS = 60000,       /* for the first answers */
    ANSWER_MS = 10000,      /* for one answer, before we look whether we have to stop */
    MOMENT_MS = 1000
};

/* A partition that is given to us. */
struct share {
    int64_t next; /* to be committed; -1: nothing */
    bool ended;
};

struct kafka_processor {
    rd_kafka_t *consumer, *producer;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *outputs[KAFKA_ROLES]; /* NULL for commands */
    const char *commands;
    bool (*give_up)(void);

    enum processor_event event; /* of the group, that the caller hasn't seen yet */
    int32_t *partitions;        /* ours */
    struct share *shares;
    size_t partition_count;

    rd_kafka_message_t *messages[BATCH_RECORDS];
    size_t count;
    bool broken; /* the transaction can only be aborted */
    bool closing;
};

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
    for (size_t i = 0; i < count; i++) {
        processor->partitions[i] = list->elems[i].partition;
        processor->shares[i].next = -1;
    }
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

static int open_producer(struct kafka_processor *processor, const char *instance,
                         struct error *error)
{
    static const struct kafka_property defaults[] = {
        {"transaction.timeout.ms", "10000"},
        {"retry.backoff.ms", "10"}, /* a commit may meet the end of the last: 100 shows in p99 */
        {"queue.buffering.max.messages", "1000000"},
        {"queue.buffering.max.kbytes", "262144"},
        {NULL, NULL}};
    char id[512];
    const struct kafka_property fixed[] = {
        {"transactional.id", id}, {"enable.idempotence", "true"}, {NULL, NULL}};
    rd_kafka_conf_t *conf;

    snprintf(id, sizeof id, "%.240s.%.240s", kafka_group(KAFKA_COMMANDS), instance);
    conf = kafka_conf(defaults, fixed, error);
    if (!conf)
        return -1;
    processor->producer = kafka_new(KAFKA_PRODUCER, conf, error);
    return processor->producer ? 0 : -1;
}

static bool must_stop(const struct kafka_processor *processor)
{
    return processor->give_up && processor->give_up();
}

/* Takes what a transactional call answered: 0 done, 1 to be asked again, 2 to be aborted, -1. */
static int judge(const struct kafka_processor *processor, rd_kafka_error_t *answer,
                 const char *what, struct error *error)
{
    int result = -1;

    if (!answer)
        return 0;
    error_set(error, rd_kafka_error_is_fatal(answer) ? EX_TEMPFAIL : EX_IOERR,
              "Kafka at %s: %s: %s", kafka_brokers(), what, rd_kafka_error_string(answer));
    if (rd_kafka_error_is_fatal(answer))
        result = -1; /* fenced by another instance, or by the broker, which gave us up */
    else if (rd_kafka_error_txn_requires_abort(answer))
        result = 2;
    else if (rd_kafka_error_is_retriable(answer))
        result = 1;
    else if (rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR__FENCED ||
             rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH)
        error->status = EX_TEMPFAIL;
    else if (rd_kafka_error_code(answer) ==
                 RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
             rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
             rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
             rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        error->status = EX_CONFIG;
    if (result == 1 && must_stop(processor)) {
        error->status = EX_TEMPFAIL;
        result = -1;
    }
    rd_kafka_error_destroy(answer);
    return result;
}

/* Ends what an earlier run under our name left open. */
static int init_transactions(struct kafka_processor *processor, struct error *error)
{
    int64_t deadline = clock_ms() + START_MS;
    int result;

    do
        result = judge(processor, rd_kafka_init_transactions(processor->producer, ANSWER_MS),
                       "can't begin to work", error);
    while (result == 1 && clock_ms() < deadline);
    if (result > 0)
        error->status = EX_TEMPFAIL;
    return result == 0 ? 0 : -1;
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

/* Lets the producer know its topics before the first transaction, which would wait for that. */
static int open_outputs(struct kafka_processor *processor, const char *const topics[KAFKA_ROLES],
                        struct error *error)
{
    for (int role = KAFKA_EVENTS; role <= KAFKA_REJECTIONS; role++) {
        int32_t count;
        if (kafka_partition_count(processor->producer, topics[role], ANSWER_MS, &count, error) < 0)
            return -1;
        processor->outputs[role] = rd_kafka_topic_new(processor->producer, topics[role], NULL);
        if (!processor->outputs[role])
            return kafka_error(error, EX_CONFIG, rd_kafka_last_error(), topics[role]);
    }
    return 0;
}

int kafka_processor_open(const char *const topics[KAFKA_ROLES], const char *instance,
                         bool (*give_up)(void), struct kafka_processor **out, struct error *error)
{
    struct kafka_processor *processor = calloc(1, sizeof *processor);

    if (!processor)
        return error_memory(error);
    processor->commands = topics[KAFKA_COMMANDS];
    processor->give_up = give_up;
    if (open_producer(processor, instance, error) < 0 ||
        open_outputs(processor, topics, error) < 0 || init_transactions(processor, error) < 0 ||
        open_consumer(processor, instance, error) < 0 || subscribe(processor, error) < 0) {
        kafka_processor_close(processor);
        return -1;
    }
    *out = processor;
    return 0;
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
    for (int role = 0; role < KAFKA_ROLES; role++)
        if (processor->outputs[role])
            rd_kafka_topic_destroy(processor->outputs[role]);
    if (processor->producer) {
        rd_kafka_purge(processor->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(processor->producer);
    }
    free(processor->partitions);
    free(processor->shares);
    free(processor);
}

/* --- consuming --- */

static struct share *find_share(const struct kafka_processor *processor, int32_t partition)
{
    for (size_t i = 0; i < processor->partition_count; i++)
        if (processor->partitions[i] == partition)
            return &processor->shares[i];
    return NULL;
}

/* What a message that is no record says. -1 if we can't go on. */
static int take_event(struct kafka_processor *processor, const rd_kafka_message_t *message,
                      struct error *error)
{
    struct share *share = find_share(processor, message->partition);
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
            struct share *share = find_share(processor, message->partition);
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
    ssize_t got;

    drop_messages(processor);
    rd_kafka_poll(processor->producer, 0);
    if (processor->event == PROCESSOR_NOTHING) {
        processor->messages[0] = rd_kafka_consumer_poll(processor->consumer, timeout_ms);
        processor->count = processor->messages[0] != NULL;
    }
    if (processor->count) {
        /* no waiting for more: that would be added to the time of each record */
        got = rd_kafka_consume_batch_queue(processor->queue, 0, processor->messages + 1,
                                           BATCH_RECORDS - 1);
        processor->count += got > 0 ? (size_t)got : 0;
    }
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
    const struct share *share = find_share(processor, partition);

    return share && share->ended;
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
    processor->event = PROCESSOR_NOTHING;
    for (size_t i = 0; i < processor->partition_count; i++)
        processor->shares[i] = (struct share){.next = -1};
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
    struct share *share = find_share(processor, partition);

    rd_kafka_topic_partition_list_add(list, processor->commands, partition)->offset =
        (int64_t)offset;
    failed = rd_kafka_seek_partitions(processor->consumer, list, ANSWER_MS);
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
    int64_t deadline = clock_ms() + START_MS;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    for (;;) {
        list = our_list(processor, NULL);
        code = rd_kafka_committed(processor->consumer, list, ANSWER_MS);
        for (int i = 0; !code && i < list->cnt; i++) {
            code = list->elems[i].err;
            offsets[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
        }
        rd_kafka_topic_partition_list_destroy(list);
        if (!code)
            return 0;
        if (clock_ms() >= deadline || must_stop(processor))
            return kafka_error(error, EX_TEMPFAIL, code, "no answer about committed offsets");
    }
}

void kafka_processor_end(struct kafka_processor *processor, enum kafka_role role, int32_t partition,
                         uint64_t *offset)
{
    int64_t low, high;

    if (rd_kafka_query_watermark_offsets(processor->consumer,
                                         rd_kafka_topic_name(processor->outputs[role]), partition,
                                         &low, &high, MOMENT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        *offset = (uint64_t)high;
}

/* --- producing --- */

int kafka_processor_begin(struct kafka_processor *processor, struct error *error)
{
    int result = judge(processor, rd_kafka_begin_transaction(processor->producer),
                       "can't begin a transaction", error);

    processor->broken = result > 0;
    for (size_t i = 0; i < processor->partition_count; i++)
        processor->shares[i].next = -1;
    return result < 0 ? -1 : 0;
}

void kafka_processor_put(struct kafka_processor *processor, enum kafka_role role,
                         const struct kafka_command *command, const void *key, size_t key_len,
                         const void *data, size_t len)
{
    int64_t deadline = 0;

    if (processor->broken)
        return;
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            processor->producer, RD_KAFKA_V_RKT(processor->outputs[role]),
            RD_KAFKA_V_PARTITION(command->line.partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY((void *)(uintptr_t)key, key_len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)data, len),
            RD_KAFKA_V_HEADER(KAFKA_POSITION_HEADER, command->position, -1), RD_KAFKA_V_END);
        if (!code)
            return;
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            deadline = deadline ? deadline : clock_ms() + START_MS;
            rd_kafka_poll(processor->producer, 10);
            if (clock_ms() < deadline && !must_stop(processor))
                continue;
        }
        processor->broken = true; /* the commit finds out whether an abort helps */
        diag_warn("Kafka: can't produce an outcome: %s", rd_kafka_err2str(code));
        return;
    }
}

void kafka_processor_done(struct kafka_processor *processor, int32_t partition, uint64_t next)
{
    struct share *share = find_share(processor, partition);

    if (share)
        share->next = (int64_t)next;
}

static int send_offsets(struct kafka_processor *processor, struct error *error)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)processor->partition_count);
    rd_kafka_consumer_group_metadata_t *group =
        rd_kafka_consumer_group_metadata(processor->consumer);
    int result;

    for (size_t i = 0; i < processor->partition_count; i++)
        if (processor->shares[i].next >= 0)
            rd_kafka_topic_partition_list_add(list, processor->commands, processor->partitions[i])
                ->offset = processor->shares[i].next;
    do
        result = judge(processor,
                       rd_kafka_send_offsets_to_transaction(processor->producer, list, group,
                                                            ANSWER_MS),
                       "can't commit offsets", error);
    while (result == 1);
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

int kafka_processor_abort(struct kafka_processor *processor, struct error *error)
{
    int result;

    do
        result = judge(processor, rd_kafka_abort_transaction(processor->producer, ANSWER_MS),
                       "can't abort a transaction", error);
    while (result > 0 && !must_stop(processor));
    return result == 0 ? 0 : -1;
}

int kafka_processor_commit(struct kafka_processor *processor, struct error *error)
{
    int result = processor->broken ? 2 : send_offsets(processor, error);

    while (result == 0 || result == 1) {
        result = judge(processor, rd_kafka_commit_transaction(processor->producer, ANSWER_MS),
                       "can't commit a transaction", error);
        if (result == 0) {
                    return 1;
        }
    }
    if (result < 0)
        return -1;
    diag_warn("%s; the transaction is aborted and done again",
              processor->broken ? "an outcome can't be produced" : error->text);
    return kafka_processor_abort(processor, error);
}
