/* A broker of Kafka inside the test, librdkafka's own, that fails on demand. */
#ifndef UNIT_MOCK_H
#define UNIT_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "base/diag.h"

static rd_kafka_t *mock_client;
static rd_kafka_mock_cluster_t *mock;

enum { MOCK_PRODUCE = 0 }; /* a request's number in Kafka's protocol */

/* A client of our own, for the mock; it has nothing to say. */
static inline rd_kafka_t *mock_new_client(const char *brokers)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
}

/* One broker with one topic, which every client of this process connects to. What those say of its
 * failures is kept off the test's output. */
static inline void mock_start(const char *topic, int partitions)
{
    setenv("LOG_LEVEL", "error", 1);
    diag_open("test");
    mock_client = mock_new_client("127.0.0.1:1");
    mock = rd_kafka_mock_cluster_new(mock_client, 1);
    rd_kafka_mock_topic_create(mock, topic, partitions, 1);
    setenv("KAFKA_BROKER", rd_kafka_mock_cluster_bootstraps(mock), 1);
}

static inline void mock_stop(void)
{
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_client);
}

/* How many records a partition has. */
static inline int64_t mock_records(const char *topic, int32_t partition)
{
    rd_kafka_t *client = mock_new_client(rd_kafka_mock_cluster_bootstraps(mock));
    int64_t low = -1, high = -1;

    rd_kafka_query_watermark_offsets(client, topic, partition, &low, &high, 10000);
    rd_kafka_destroy(client);
    return high;
}

#endif
