/* A broker of Kafka inside the test, librdkafka's own, that fails on demand. */
#ifndef UNIT_MOCK_H
#define UNIT_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

static rd_kafka_t *mock_client;
static rd_kafka_mock_cluster_t *mock;

enum { MOCK_PRODUCE = 0 }; /* a request's number in Kafka's protocol */

/* One broker with one topic, which every client of this process connects to. */
static inline void mock_start(const char *topic, int partitions)
{
    mock_client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), NULL, 0);
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
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client;
    int64_t low = -1, high = -1;

    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock), NULL, 0);
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    rd_kafka_query_watermark_offsets(client, topic, partition, &low, &high, 10000);
    rd_kafka_destroy(client);
    return high;
}

#endif
