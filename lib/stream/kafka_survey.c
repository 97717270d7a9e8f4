/* Asking a cluster for a few topics at once. */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stream/kafka_topics.h"

/* The longest record: a line of 65,536 bytes, with room for its key, its headers and the batch
 * around. */
enum { LONGEST_RECORD = 65536 + 1024 };

/* For the first answer; each time twice as much. */
enum { PATIENCE_MS = 250 };

int survey_left_ms(const struct survey *survey)
{
    int64_t left = survey->deadline_ms - clock_ms();

    return left > 0 ? (int)left : 0;
}

static long long number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32] = "";
    size_t size = sizeof text;

    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ? atoll(text) : 0;
}

/* A producer fills its batches up to the smaller of both, if one record isn't longer. */
static long long largest_batch(const rd_kafka_conf_t *conf)
{
    long long batch = number_of(conf, "batch.size"), limit = number_of(conf, "message.max.bytes");

    batch = batch < limit ? batch : limit;
    return batch > LONGEST_RECORD ? batch : LONGEST_RECORD;
}

/* For survey_sample(): the first records, few of them; an empty answer tells the end, at once. */
static const struct kafka_property sampling[] = {{"isolation.level", "read_committed"},
                                                 {"enable.auto.commit", "false"},
                                                 {"enable.partition.eof", "true"},
                                                 {"auto.offset.reset", "earliest"},
                                                 {"fetch.message.max.bytes", "16384"},
                                                 {"fetch.wait.max.ms", "1"},
                                                 KAFKA_FETCH_AGAIN,
                                                 {NULL, NULL}};

int survey_open(struct survey *survey, struct kafka_topics *topics, const char *broker,
                struct error *error)
{
    const struct kafka_property only[] = {{"bootstrap.servers", broker}, {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf(sampling, broker ? only : sampling, error);

    *survey = (struct survey){.topics = topics, .deadline_ms = clock_ms() + topics->timeout_ms};
    if (!conf)
        return -1;
    kafka_watch_refusals(conf);
    survey->largest_batch = largest_batch(conf);
    survey->client = kafka_new(KAFKA_CONSUMER, conf, error);
    if (!survey->client)
        return -1;
    survey->answers = rd_kafka_queue_new(survey->client);
    for (int role = 0; role < KAFKA_ROLES; role++) {
        if (!topics->names[role])
            continue;
        survey->handles[role] = rd_kafka_topic_new(survey->client, topics->names[role], NULL);
        if (!survey->handles[role])
            return kafka_error(error, EX_CONFIG, rd_kafka_last_error(), topics->names[role]);
    }
    return 0;
}

void survey_close(struct survey *survey)
{
    for (int role = 0; role < KAFKA_ROLES; role++)
        if (survey->handles[role])
            rd_kafka_topic_destroy(survey->handles[role]);
    if (survey->answers)
        rd_kafka_queue_destroy(survey->answers);
    if (survey->client)
        rd_kafka_destroy(survey->client);
    *survey = (struct survey){0};
}

/* Whether the error is one of a topic that is there, and passes: it was just made, or a leader is
 * being chosen. */
static bool passes(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE;
}

static void look_at(struct survey *survey, int role, const rd_kafka_metadata_topic_t *topic)
{
    struct kafka_found *found = &survey->topics->found[role];

    survey->refusals[role] = passes(topic->err) ? RD_KAFKA_RESP_ERR_NO_ERROR : topic->err;
    found->exists = !survey->refusals[role];
    if (!found->exists)
        return;
    found->partitions = topic->partition_cnt;
    survey->led[role] = topic->partition_cnt > 0;
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (i == 0 || topic->partitions[i].replica_cnt < found->replicas)
            found->replicas = topic->partitions[i].replica_cnt;
        if (topic->partitions[i].leader < 0)
            survey->led[role] = false;
    }
}

/* A broker that was away answers before it is one of the cluster again: then there is none, and no
 * partition has a leader. One that refuses us is asked again by librdkafka until the time is up, which
 * is why it gets more and more of it. */
static int ask(const struct survey *survey, const rd_kafka_metadata_t **metadata,
               struct error *error)
{
    kafka_refusal(survey->client, error); /* an earlier one is over, for all that we know */
    for (int patience_ms = PATIENCE_MS;; patience_ms *= 2) {
        int left_ms = survey_left_ms(survey);
        rd_kafka_resp_err_t code = rd_kafka_metadata(
            survey->client, 0, NULL, metadata, left_ms < patience_ms ? left_ms : patience_ms);
        if (!code && (*metadata)->broker_cnt)
            return 0;
        if (!code)
            rd_kafka_metadata_destroy(*metadata);
        if (kafka_refusal(survey->client, error) < 0)
            return -1;
        if (!survey_left_ms(survey))
            return code ? kafka_error(error, EX_TEMPFAIL, code, "no answer")
                        : error_set(error, EX_TEMPFAIL, "Kafka at %s: no broker is ready",
                                    kafka_brokers());
        poll(NULL, 0, SURVEY_AGAIN_MS);
    }
}

int survey_look(struct survey *survey, struct error *error)
{
    const rd_kafka_metadata_t *metadata;

    if (ask(survey, &metadata, error) < 0)
        return -1;
    survey->brokers = metadata->broker_cnt;
    for (int role = 0; role < KAFKA_ROLES; role++)
        for (int i = 0; survey->handles[role] && i < metadata->topic_cnt; i++)
            if (strcmp(metadata->topics[i].topic, survey->topics->names[role]) == 0)
                look_at(survey, role, &metadata->topics[i]);
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

/* --- what was found --- */

static void note(struct buffer *buffer, const char *format, va_list args)
{
    buffer_vprintf(buffer, format, args);
    buffer_append_text(buffer, "\n");
}

void survey_problem(struct survey *survey, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(&survey->topics->problems, format, args);
    va_end(args);
}

void survey_warning(struct survey *survey, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(&survey->topics->warnings, format, args);
    va_end(args);
}

bool survey_needs(const struct survey *survey, int role)
{
    return survey->topics->needed >> role & 1;
}

void survey_forbidden(struct survey *survey, int role, const char *right)
{
    const char *name = survey->topics->names[role];

    if (survey_needs(survey, role))
        survey_problem(survey,
                       "topic %s can't be checked: there is no permission to %s it; grant that",
                       name, right);
    else
        survey_warning(survey, "topic %s isn't checked: there is no permission to %s it", name,
                       right);
}
