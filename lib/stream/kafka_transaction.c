/* The producing half of a processor: transactions. */
#include "stream/kafka_transaction.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "stream/kafka_client.h"
#include "stream/kafka_record.h"

struct kafka_share *kafka_share(const struct kafka_processor *processor, int32_t partition)
{
    for (size_t i = 0; i < processor->partition_count; i++)
        if (processor->partitions[i] == partition)
            return &processor->shares[i];
    return NULL;
}

bool kafka_must_stop(const struct kafka_processor *processor)
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
    if (kafka_forbidden(rd_kafka_error_code(answer)))
        error->status = EX_CONFIG; /* done again it would be refused again */
    else if (rd_kafka_error_is_fatal(answer))
        result = -1; /* fenced by another instance, or by the broker, which gave us up */
    else if (rd_kafka_error_txn_requires_abort(answer))
        result = 2;
    else if (rd_kafka_error_is_retriable(answer))
        result = 1;
    else if (rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR__FENCED ||
             rd_kafka_error_code(answer) == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH)
        error->status = EX_TEMPFAIL;
    if (result == 1 && kafka_must_stop(processor)) {
        error->status = EX_TEMPFAIL;
        result = -1;
    }
    rd_kafka_error_destroy(answer);
    return result;
}

/* --- opening --- */

/* A record is in its partition. The thread that commits is told, or the one that polls. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    int64_t *written = message->_private;
    int64_t before = __atomic_load_n(written, __ATOMIC_RELAXED);

    (void)client;
    (void)opaque;
    while (!message->err && before <= message->offset &&
           !__atomic_compare_exchange_n(written, &before, message->offset + 1, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
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
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    processor->producer = kafka_new(KAFKA_PRODUCER, conf, error);
    return processor->producer ? 0 : -1;
}

/* Ends what an earlier run under our name left open. */
static int init_transactions(struct kafka_processor *processor, struct error *error)
{
    int64_t deadline = clock_ms() + KAFKA_START_MS;
    int result;

    do
        result = judge(processor, rd_kafka_init_transactions(processor->producer, KAFKA_WAIT_MS),
                       "can't begin to work", error);
    while (result == 1 && clock_ms() < deadline);
    if (result > 0)
        error->status = EX_TEMPFAIL;
    return result == 0 ? 0 : -1;
}

/* Lets the producer know its topics before the first transaction, which would wait for that. */
static int open_outputs(struct kafka_processor *processor, const char *const topics[KAFKA_ROLES],
                        struct error *error)
{
    for (int role = KAFKA_EVENTS; role <= KAFKA_REJECTIONS; role++) {
        int32_t *count = &processor->counts[role];
        if (kafka_partition_count(processor->producer, topics[role], KAFKA_WAIT_MS, count, error) < 0)
            return -1;
        processor->written[role] = calloc((size_t)*count, sizeof **processor->written);
        processor->ends[role] = calloc((size_t)*count, sizeof **processor->ends);
        if (!processor->written[role] || !processor->ends[role])
            return error_memory(error);
        processor->outputs[role] = rd_kafka_topic_new(processor->producer, topics[role], NULL);
        if (!processor->outputs[role])
            return kafka_error(error, EX_CONFIG, rd_kafka_last_error(), topics[role]);
    }
    return 0;
}

int kafka_transactions_open(struct kafka_processor *processor,
                            const char *const topics[KAFKA_ROLES], const char *instance,
                            struct error *error)
{
    if (open_producer(processor, instance, error) < 0 ||
        open_outputs(processor, topics, error) < 0)
        return -1;
    return init_transactions(processor, error);
}

static void forget_offsets(struct kafka_processor *processor)
{
    if (processor->offsets)
        rd_kafka_topic_partition_list_destroy(processor->offsets);
    processor->offsets = NULL;
}

void kafka_transactions_close(struct kafka_processor *processor)
{
    for (int role = 0; role < KAFKA_ROLES; role++)
        if (processor->outputs[role])
            rd_kafka_topic_destroy(processor->outputs[role]);
    forget_offsets(processor);
    if (processor->producer) {
        rd_kafka_purge(processor->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(processor->producer);
    }
    for (int role = 0; role < KAFKA_ROLES; role++) {
        free(processor->written[role]);
        free(processor->ends[role]);
    }
}

/* --- producing --- */

int kafka_processor_begin(struct kafka_processor *processor, struct error *error)
{
    int result = judge(processor, rd_kafka_begin_transaction(processor->producer),
                       "can't begin a transaction", error);

    forget_offsets(processor);
    processor->offsets = rd_kafka_topic_partition_list_new(8);
    processor->broken = result > 0;
    for (int role = KAFKA_EVENTS; role <= KAFKA_REJECTIONS; role++)
        memset(processor->written[role], 0,
               (size_t)processor->counts[role] * sizeof **processor->written);
    return result < 0 ? -1 : 0;
}

void kafka_processor_put(struct kafka_processor *processor, const struct kafka_outcome *outcome)
{
    int64_t deadline = 0;

    while (!processor->broken) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            processor->producer, RD_KAFKA_V_RKT(processor->outputs[outcome->role]),
            RD_KAFKA_V_PARTITION(outcome->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY((void *)(uintptr_t)outcome->key, outcome->key_len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)outcome->data, outcome->len),
            RD_KAFKA_V_HEADER(KAFKA_POSITION_HEADER, outcome->position, -1),
            RD_KAFKA_V_OPAQUE(&processor->written[outcome->role][outcome->partition]),
            RD_KAFKA_V_END);
        if (!code)
            return;
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            deadline = deadline ? deadline : clock_ms() + KAFKA_START_MS;
            rd_kafka_poll(processor->producer, 10);
            if (clock_ms() < deadline && !kafka_must_stop(processor))
                continue;
        }
        processor->broken = true; /* the commit finds out whether an abort helps */
        diag_warn("Kafka: can't produce an outcome: %s", rd_kafka_err2str(code));
    }
}

void kafka_processor_done(struct kafka_processor *processor, int32_t partition, uint64_t next)
{
    rd_kafka_topic_partition_list_add(processor->offsets, processor->commands, partition)->offset =
        (int64_t)next;
}

static int send_offsets(struct kafka_processor *processor, struct error *error)
{
    int result;

    do
        result = judge(processor,
                       rd_kafka_send_offsets_to_transaction(processor->producer, processor->offsets,
                                                            processor->member, KAFKA_WAIT_MS),
                       "can't commit offsets", error);
    while (result == 1);
    return result;
}

int kafka_processor_abort(struct kafka_processor *processor, struct error *error)
{
    int result;

    while ((result = judge(processor,
                           rd_kafka_abort_transaction(processor->producer, KAFKA_WAIT_MS),
                           "can't abort a transaction", error)) > 0 &&
           !kafka_must_stop(processor))
        rd_kafka_poll(processor->producer, 100);
    if (result > 0)
        error->status = EX_TEMPFAIL;
    return result == 0 ? 0 : -1;
}

/* Only now: what an aborted transaction wrote may stand behind what others committed meanwhile. */
static void keep_ends(struct kafka_processor *processor)
{
    for (int role = KAFKA_EVENTS; role <= KAFKA_REJECTIONS; role++)
        for (int32_t i = 0; i < processor->counts[role]; i++)
            if (processor->written[role][i])
                processor->ends[role][i] = (uint64_t)processor->written[role][i];
}

uint64_t kafka_processor_end(const struct kafka_processor *processor, enum kafka_role role,
                             int32_t partition)
{
    return processor->ends[role][partition];
}

int kafka_processor_commit(struct kafka_processor *processor, struct error *error)
{
    struct error unsaid;
    int result = send_offsets(processor, error); /* which tells, too, why a transaction is broken */

    if (result == 0 && processor->broken)
        result = 2;
    while (result == 0 || result == 1) {
        result = judge(processor, rd_kafka_commit_transaction(processor->producer, KAFKA_WAIT_MS),
                       "can't commit a transaction", error);
        if (result == 0) {
            keep_ends(processor);
            return 1;
        }
    }
    if (result < 0 && error->status == EX_CONFIG)
        kafka_processor_abort(processor, &unsaid); /* so that readers needn't wait for its time-out */
    if (result < 0)
        return -1;
    diag_warn("%s; the transaction is aborted and done again",
              processor->broken ? "an outcome can't be produced" : error->text);
    return kafka_processor_abort(processor, error);
}
