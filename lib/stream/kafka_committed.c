#include "stream/kafka_committed.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "base/clock.h"
#include "stream/kafka_client.h"

static int ask(rd_kafka_t *client, const char *topic, int timeout_ms, int64_t *offsets,
               int32_t count, struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    rd_kafka_resp_err_t code;

    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i);
    code = rd_kafka_committed(client, list, timeout_ms);
    for (int i = 0; !code && i < list->cnt; i++) {
        code = list->elems[i].err;
        offsets[list->elems[i].partition] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_error(error, EX_TEMPFAIL, code, "no answer about committed offsets") : 0;
}

int kafka_committed(enum kafka_role role, const char *topic, int timeout_ms, int64_t **offsets,
                    int32_t *count, struct error *error)
{
    const struct kafka_property fixed[] = {
        {"group.id", kafka_group(role)}, {"enable.auto.commit", "false"}, {NULL, NULL}};
    int64_t end_ms = clock_ms() + timeout_ms, left_ms;
    rd_kafka_conf_t *conf = kafka_conf(NULL, fixed, error);
    rd_kafka_t *client = conf ? kafka_new(KAFKA_CONSUMER, conf, error) : NULL;
    int result;

    *offsets = NULL;
    if (!client)
        return -1;
    result = kafka_partition_count(client, topic, timeout_ms, count, error);
    if (result == 0 && !(*offsets = calloc((size_t)*count, sizeof **offsets)))
        result = error_memory(error);
    left_ms = end_ms - clock_ms();
    if (result == 0)
        result = ask(client, topic, left_ms > 1 ? (int)left_ms : 1, *offsets, *count, error);
    if (result < 0) {
        free(*offsets);
        *offsets = NULL;
    }
    rd_kafka_destroy(client);
    return result;
}
