/* latency COUNT COMMANDS EVENTS: writes so many commands to one topic, each when the outcome of the
 * one before is visible in the other, and prints the median and the 99th percentile of what each
 * took, in milliseconds. Every command creates a value. KAFKA_BROKER says where. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WARM_UP = 20, DEADLINE_S = 30 };

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "latency: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const settings[][2])
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *broker = getenv("KAFKA_BROKER");
    char why[512];
    rd_kafka_t *made;

    if (rd_kafka_conf_set(conf, "bootstrap.servers", broker ? broker : "localhost:9092", why,
                          sizeof why))
        fail("bootstrap.servers", why);
    for (; (*settings)[0]; settings++)
        if (rd_kafka_conf_set(conf, (*settings)[0], (*settings)[1], why, sizeof why))
            fail((*settings)[0], why);
    made = rd_kafka_new(type, conf, why, sizeof why);
    if (!made)
        fail("client", why);
    return made;
}

/* Reads every partition of a topic, which is new. */
static void follow(rd_kafka_t *consumer, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(consumer, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_partition_list_t *list;

    if (rd_kafka_metadata(consumer, 0, handle, &metadata, 10000))
        fail(topic, "no metadata");
    list = rd_kafka_topic_partition_list_new(metadata->topics[0].partition_cnt);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
}

/* A version 4 UUID that no other run has. */
static void make_id(char id[37])
{
    static unsigned long high, low;

    if (!high)
        high = (unsigned long)time(NULL) << 20 ^ (unsigned long)now_ms();
    low++;
    snprintf(id, 37, "%08lx-%04lx-4000-8000-%012lx", high >> 16 & 0xffffffff, high & 0xffff, low);
}

/* Until a record with this key is there. */
static void await(rd_kafka_t *consumer, const char *key)
{
    double deadline = now_ms() + DEADLINE_S * 1e3;
    int found = 0;

    while (!found) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(consumer, 100);
        if (now_ms() > deadline)
            fail(key, "no outcome");
        if (!record)
            continue;
        found = !record->err && record->key_len == 36 && memcmp(record->key, key, 36) == 0;
        rd_kafka_message_destroy(record);
    }
}

static double one(rd_kafka_t *producer, const char *commands, rd_kafka_t *consumer)
{
    char line[256], id[37], value_id[37];
    double begin;
    int length;

    make_id(id);
    make_id(value_id);
    length = snprintf(
        line, sizeof line,
        "{\"action\":\"CreateValue\",\"id\":\"%s\",\"data\":{\"value_id\":\"%s\",\"value\":7.0}}",
        id, value_id);
    begin = now_ms();
    if (rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(commands), RD_KAFKA_V_KEY(value_id, 36),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(line, (size_t)length), RD_KAFKA_V_END))
        fail(commands, "can't produce");
    await(consumer, value_id);
    return now_ms() - begin;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const char *const producing[][2] = {
        {"acks", "all"}, {"linger.ms", "0"}, {"partitioner", "murmur2_random"}, {NULL, NULL}};
    static const char *const consuming[][2] = {{"group.id", "latency"},
                                               {"enable.auto.commit", "false"},
                                               {"isolation.level", "read_committed"},
                                               {NULL, NULL}};
    rd_kafka_t *producer, *consumer;
    int count = argc == 4 ? atoi(argv[1]) : 0;
    double *taken;

    if (count < 1) {
        fputs("usage: latency COUNT COMMANDS EVENTS\n", stderr);
        return 64;
    }
    taken = calloc((size_t)count, sizeof *taken);
    producer = client(RD_KAFKA_PRODUCER, producing);
    consumer = client(RD_KAFKA_CONSUMER, consuming);
    rd_kafka_poll_set_consumer(consumer);
    follow(consumer, argv[3]);
    for (int i = -WARM_UP; i < count; i++) {
        double ms = one(producer, argv[2], consumer);
        if (i >= 0)
            taken[i] = ms;
        rd_kafka_poll(producer, 0);
    }
    qsort(taken, (size_t)count, sizeof *taken, compare);
    printf("%.2f %.2f\n", taken[count / 2], taken[(int)(count * 0.99)]);
    rd_kafka_destroy(producer);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    free(taken);
    return 0;
}
