/* Where a reader of a topic begins, and what its group is told. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/timestamp.h"
#include "stream/kafka_reader.h"

enum { PUBLISH_MS = 1000 }; /* between commits of the group's offsets */

/* --- where to begin --- */

static int read_time(const char *text, int64_t *ms, struct error *error)
{
    int64_t micros;
    char *end;
    double seconds;

    if (timestamp_read(text, strlen(text), &micros) == 0) {
        *ms = micros / 1000 + (micros % 1000 > 0);
        return 0;
    }
    seconds = strtod(text, &end);
    if (!*text || *end || !(seconds >= 0 && seconds < 1e12))
        return error_set(error, EX_USAGE,
                         "@ takes a time as in RFC 3339, or seconds since 1970, not '%s'", text);
    *ms = (int64_t)(seconds * 1000 + 0.999);
    return 0;
}

static int start_at_time(struct reader *reader, int64_t ms, struct error *error)
{
    struct kafka_reader *kafka = reader->kafka;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->partitions);
    rd_kafka_resp_err_t code;

    for (int32_t i = 0; i < reader->partitions; i++)
        rd_kafka_topic_partition_list_add(list, kafka->topic, i)->offset = ms;
    code = rd_kafka_offsets_for_times(kafka->client, list, KAFKA_PATIENCE * KAFKA_ANSWER_MS);
    for (int i = 0; i < list->cnt && !code; i++) {
        code = list->elems[i].err;
        kafka->partitions[list->elems[i].partition].start = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_error(error, kafka_forbidden(code) ? EX_CONFIG : EX_TEMPFAIL, code,
                              kafka->topic)
                : 0;
}

int kafka_start_from(struct reader *reader, const char *from, struct error *error)
{
    unsigned long long offset;
    int64_t start, ms = 0;
    char *end;

    if (*from == '@')
        return read_time(from + 1, &ms, error) < 0 ? -1 : start_at_time(reader, ms, error);
    errno = 0;
    offset = strtoull(from, &end, 10);
    if (strcmp(from, "beginning") == 0)
        start = RD_KAFKA_OFFSET_BEGINNING;
    else if (strcmp(from, "end") == 0)
        start = RD_KAFKA_OFFSET_END;
    else if (*from >= '0' && *from <= '9' && !*end && !errno && offset < INT64_MAX)
        start = (int64_t)offset;
    else
        return error_set(error, EX_USAGE,
                         "a topic is read from its beginning, end, an offset or @TIME, not '%s'",
                         from);
    for (int32_t i = 0; i < reader->partitions; i++)
        reader->kafka->partitions[i].start = start;
    return 0;
}

/* --- the group's offsets --- */

/* Its state is of no interest, so it isn't waited for. */
static void send_offsets(struct reader *reader)
{
    struct kafka_reader *kafka = reader->kafka;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->partitions);

    for (int32_t i = 0; i < reader->partitions; i++) {
        struct kafka_partition *partition = &kafka->partitions[i];
        if (partition->done == partition->published)
            continue;
        rd_kafka_topic_partition_list_add(list, kafka->topic, i)->offset = partition->done;
        partition->published = partition->done;
    }
    if (list->cnt && rd_kafka_commit(kafka->client, list, 1) == 0)
        kafka->commits++;
    rd_kafka_topic_partition_list_destroy(list);
    kafka->published_ms = clock_ms();
}

void kafka_publish_due(struct reader *reader)
{
    struct kafka_reader *kafka = reader->kafka;

    if (!kafka->commits && clock_ms() - kafka->published_ms >= PUBLISH_MS)
        send_offsets(reader);
}

/* Markers of transactions stand between the last record and the end, and count for the lag. */
void kafka_publish(struct reader *reader, int32_t number, uint64_t next)
{
    struct kafka_partition *partition = &reader->kafka->partitions[number];

    partition->done = (int64_t)next == partition->handed ? partition->next : (int64_t)next;
    kafka_publish_due(reader);
}

static void on_commit(rd_kafka_t *client, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    struct kafka_reader *kafka = opaque;

    (void)client;
    (void)offsets;
    kafka->commits--;
    if (code && code != RD_KAFKA_RESP_ERR__NO_OFFSET)
        diag_info("Kafka: group %s: the lag can't be published: %s", kafka_group(KAFKA_EVENTS),
                  rd_kafka_err2str(code));
}

void kafka_publish_init(struct rd_kafka_conf_s *conf)
{
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
}

/* The last offsets are worth a moment, and no more than that. */
void kafka_publish_last(struct reader *reader)
{
    struct kafka_reader *kafka = reader->kafka;
    int64_t deadline = clock_ms() + KAFKA_ANSWER_MS;
    struct error unsaid;

    if (!kafka->away)
        send_offsets(reader);
    while (kafka->commits && clock_ms() < deadline) {
        struct timespec moment = {.tv_nsec = 1000000};
        int64_t got = kafka_fetch(reader, &unsaid);
        while (kafka->count)
            rd_kafka_message_destroy(kafka->batch[--kafka->count]);
        if (got < 0)
            return;
        if (got == 0)
            nanosleep(&moment, NULL);
    }
}
