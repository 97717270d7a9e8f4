/* copy [-e] [-X NAME=VALUE]... FROM TO: one Kafka topic to another with as many partitions, exactly
 * once, and nothing else: the yardstick of calc-handle on Kafka. It takes the first record, then
 * all that is waiting, up to 20,000; produces them to the partition numbers that they came from,
 * with a header as the handler's, sends the offsets and commits, all in one transaction.
 *
 * KAFKA_BROKER says where. The group is copy-TO, the transactional id too. With -e it ends when
 * every partition is at its end. Any error ends it: it is a yardstick, and keeps no promises. */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 20000
#define PARTITIONS 256

static volatile sig_atomic_t stopped;

struct copy {
    rd_kafka_t *consumer, *producer;
    rd_kafka_queue_t *queue;
    const char *to;
    int64_t next[PARTITIONS]; /* the offset behind the last one taken in this batch, or -1 */
    char ended[PARTITIONS];   /* at its end, as far as was read */
    const char *from;
};

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "copy: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, rd_kafka_error_t *error)
{
    if (error)
        fail(what, rd_kafka_error_string(error));
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[512];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail(name, why);
}

/* What the two have in common: the broker, and the -X of the command line, which each takes,
 * whether it is of use to it or not. */
static rd_kafka_conf_t *configuration(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *broker = getenv("KAFKA_BROKER");
    int option;

    set(conf, "bootstrap.servers", broker ? broker : "localhost:9092");
    set(conf, "log_level", "3");
    optind = 1;
    while ((option = getopt(argc, argv, "eX:")) != -1) {
        char *value;
        if (option != 'X')
            continue;
        value = strchr(optarg, '=');
        if (!value)
            fail(optarg, "no NAME=VALUE");
        *value = '\0';
        set(conf, optarg, value + 1);
        *value = '=';
    }
    return conf;
}

static void open_consumer(struct copy *copy, rd_kafka_conf_t *conf, const char *group)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    char why[512];

    /* librdkafka 2.0 sleeps for up to a second when its queue is full: the 64 MB of its default
     * last that long, its 100,000 messages don't */
    set(conf, "queued.min.messages", "10000000");
    set(conf, "check.crcs", "true");
    set(conf, "fetch.wait.max.ms", "100"); /* an end is told when it is over */
    set(conf, "group.id", group);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.partition.eof", "true");
    copy->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!copy->consumer)
        fail("consumer", why);
    rd_kafka_poll_set_consumer(copy->consumer);
    copy->queue = rd_kafka_queue_get_consumer(copy->consumer);
    rd_kafka_topic_partition_list_add(topics, copy->from, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(copy->consumer, topics))
        fail(copy->from, "can't subscribe");
    rd_kafka_topic_partition_list_destroy(topics);
}

static void open_producer(struct copy *copy, rd_kafka_conf_t *conf, const char *id)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic;
    char why[512];

    set(conf, "transactional.id", id);
    set(conf, "retry.backoff.ms", "10"); /* a commit may meet the end of the last */
    copy->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!copy->producer)
        fail("producer", why);
    /* known before the first transaction, which would wait for it up to a second */
    topic = rd_kafka_topic_new(copy->producer, copy->to, NULL);
    if (rd_kafka_metadata(copy->producer, 0, topic, &metadata, 10000))
        fail(copy->to, "no metadata");
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    check("init_transactions", rd_kafka_init_transactions(copy->producer, 10000));
}

static void copy_record(struct copy *copy, const rd_kafka_message_t *record)
{
    char position[32];
    rd_kafka_resp_err_t error;
    int length = snprintf(position, sizeof position, "%d:%lld", record->partition,
                          (long long)record->offset);

    do {
        error = rd_kafka_producev(
            copy->producer, RD_KAFKA_V_TOPIC(copy->to), RD_KAFKA_V_PARTITION(record->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(record->key, record->key_len),
            RD_KAFKA_V_VALUE(record->payload, record->len),
            RD_KAFKA_V_HEADER("position", position, length), RD_KAFKA_V_END);
    } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL && rd_kafka_poll(copy->producer, 10) >= 0);
    if (error)
        fail(copy->to, rd_kafka_err2str(error));
    copy->next[record->partition] = record->offset + 1;
    copy->ended[record->partition] = 0;
}

/* Takes over what was read; says how many records that were. */
static size_t copy_batch(struct copy *copy, rd_kafka_message_t **records, size_t count)
{
    size_t copied = 0;

    for (size_t i = 0; i < count; i++) {
        if (records[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            copy->ended[records[i]->partition] = 1;
        } else if (records[i]->err) {
            fail(copy->from, rd_kafka_message_errstr(records[i]));
        } else {
            if (copied++ == 0)
                check("begin", rd_kafka_begin_transaction(copy->producer));
            copy_record(copy, records[i]);
        }
        rd_kafka_message_destroy(records[i]);
    }
    return copied;
}

static void commit(struct copy *copy)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(PARTITIONS);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(copy->consumer);

    for (int i = 0; i < PARTITIONS; i++) {
        if (copy->next[i] >= 0)
            rd_kafka_topic_partition_list_add(offsets, copy->from, i)->offset = copy->next[i];
        copy->next[i] = -1;
    }
    check("offsets", rd_kafka_send_offsets_to_transaction(copy->producer, offsets, group, 10000));
    check("commit", rd_kafka_commit_transaction(copy->producer, 10000));
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
}

/* Every partition that it has is at its end, and it has some. */
static int at_end(struct copy *copy)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    int ended;

    if (rd_kafka_assignment(copy->consumer, &assigned))
        return 0;
    ended = assigned->cnt > 0;
    for (int i = 0; i < assigned->cnt; i++)
        ended = ended && copy->ended[assigned->elems[i].partition];
    rd_kafka_topic_partition_list_destroy(assigned);
    return ended;
}

int main(int argc, char **argv)
{
    static rd_kafka_message_t *records[BATCH];
    static struct copy copy;
    rd_kafka_conf_t *conf;
    char name[512];
    size_t transactions = 0, total = 0;
    int to_end = 0, option;

    while ((option = getopt(argc, argv, "eX:")) != -1) {
        if (option == '?')
            return 64;
        to_end |= option == 'e';
    }
    if (argc - optind != 2) {
        fputs("usage: copy [-e] [-X NAME=VALUE]... FROM TO\n", stderr);
        return 64;
    }
    copy.from = argv[optind];
    copy.to = argv[optind + 1];
    memset(copy.next, -1, sizeof copy.next);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    snprintf(name, sizeof name, "copy-%s", copy.to);
    conf = configuration(argc, argv);
    open_producer(&copy, rd_kafka_conf_dup(conf), name);
    open_consumer(&copy, conf, name);
    while (!stopped) {
        ssize_t count = rd_kafka_consume_batch_queue(copy.queue, 100, records, 1);
        size_t copied;
        if (count == 1)
            count += rd_kafka_consume_batch_queue(copy.queue, 0, records + 1, BATCH - 1);
        if (count <= 0)
            continue;
        copied = copy_batch(&copy, records, (size_t)count);
        if (copied > 0) {
            commit(&copy);
            transactions++;
            total += copied;
        }
        if (to_end && at_end(&copy))
            break;
    }
    fprintf(stderr, "copy: %zu records in %zu transactions\n", total, transactions);
    rd_kafka_queue_destroy(copy.queue);
    rd_kafka_consumer_close(copy.consumer);
    rd_kafka_destroy(copy.consumer);
    rd_kafka_destroy(copy.producer);
    return 0;
}
