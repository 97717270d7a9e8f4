/* Making the topics that aren't there. */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "stream/kafka_topics.h"

enum { MOST_REPLICAS = 3 };

static bool is_missing(const struct survey *survey, int role)
{
    return survey->refusals[role] == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* What isn't there gets as many partitions as what is. */
static int choose_partitions(const struct kafka_topics *topics, int32_t *partitions,
                             struct error *error)
{
    for (int role = 0; role < KAFKA_ROLES; role++) {
        const struct kafka_found *found = &topics->found[role];
        if (!found->exists)
            continue;
        if (*partitions && *partitions != found->partitions)
            return error_set(error, EX_CONFIG,
                             "topic %s has %d partitions, and all topics need the same number, not "
                             "%d",
                             topics->names[role], (int)found->partitions, (int)*partitions);
        *partitions = found->partitions;
    }
    if (!*partitions)
        *partitions = KAFKA_PARTITIONS;
    return 0;
}

static int choose(const struct survey *survey, struct kafka_wanted *wanted, struct error *error)
{
    const struct kafka_topics *topics = survey->topics;

    for (int role = 0; role < KAFKA_ROLES; role++)
        if (survey->refusals[role] && !is_missing(survey, role))
            return kafka_error(error, EX_CONFIG, survey->refusals[role], topics->names[role]);
    if (choose_partitions(topics, &wanted->partitions, error) < 0)
        return -1;
    if (!wanted->replicas)
        wanted->replicas = survey->brokers < MOST_REPLICAS ? survey->brokers : MOST_REPLICAS;
    if (!wanted->min_insync)
        wanted->min_insync = wanted->replicas < MOST_REPLICAS ? 1 : 2;
    if (wanted->min_insync > wanted->replicas)
        return error_set(error, EX_CONFIG,
                         "with %d in-sync replicas of %d no write would ever succeed",
                         wanted->min_insync, wanted->replicas);
    return 0;
}

static rd_kafka_NewTopic_t *new_topic(const char *name, const struct kafka_wanted *wanted,
                                      struct error *error)
{
    char reason[256], min_insync[16];
    const struct kafka_property settings[] = {{"retention.ms", "-1"},
                                              {"retention.bytes", "-1"},
                                              {"cleanup.policy", "delete"},
                                              {"unclean.leader.election.enable", "false"},
                                              {"min.insync.replicas", min_insync},
                                              {NULL, NULL}};
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, wanted->partitions, wanted->replicas, reason, sizeof reason);

    if (!topic) {
        error_set(error, EX_CONFIG, "topic %s: %s", name, reason);
        return NULL;
    }
    snprintf(min_insync, sizeof min_insync, "%d", wanted->min_insync);
    for (const struct kafka_property *setting = settings; setting->name; setting++)
        rd_kafka_NewTopic_set_config(topic, setting->name, setting->value);
    return topic;
}

/* Whether it can't be done so, rather than not now. */
static bool is_refusal(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return true;
    default:
        return false;
    }
}

static int take_result(struct survey *survey, const rd_kafka_topic_result_t *result,
                       struct error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(result);
    const char *name = rd_kafka_topic_result_name(result);
    const char *reason = rd_kafka_topic_result_error_string(result);

    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0; /* somebody else was quicker */
    if (code)
        return error_set(error, is_refusal(code) ? EX_CONFIG : EX_TEMPFAIL,
                         "topic %s can't be made: %s", name,
                         reason && *reason ? reason : rd_kafka_err2str(code));
    for (int role = 0; role < KAFKA_ROLES; role++)
        if (survey->handles[role] && strcmp(survey->topics->names[role], name) == 0)
            survey->topics->found[role].created = true;
    return 0;
}

static int take_results(struct survey *survey, struct error *error)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(survey->answers, survey_left_ms(survey));
    const rd_kafka_topic_result_t **results;
    size_t count;
    int result = 0;

    if (!event || rd_kafka_event_error(event)) {
        result = kafka_error(error, EX_TEMPFAIL,
                             event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT,
                             "topics can't be made");
        rd_kafka_event_destroy(event);
        return result;
    }
    results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        if (take_result(survey, results[i], error) < 0)
            result = -1;
    rd_kafka_event_destroy(event);
    return result;
}

/* All in one request: of two that come at once, one makes them all. */
static int create(struct survey *survey, const struct kafka_wanted *wanted, struct error *error)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(survey->client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_NewTopic_t *made[KAFKA_ROLES];
    char reason[64];
    size_t count = 0;
    int result = 0;

    for (int role = 0; result == 0 && role < KAFKA_ROLES; role++) {
        if (!is_missing(survey, role))
            continue;
        made[count] = new_topic(survey->topics->names[role], wanted, error);
        result = made[count] ? 0 : -1;
        count += made[count] != NULL;
    }
    if (result == 0 && count) {
        int left = survey_left_ms(survey);
        rd_kafka_AdminOptions_set_request_timeout(options, left, reason, sizeof reason);
        rd_kafka_AdminOptions_set_operation_timeout(options, left, reason, sizeof reason);
        rd_kafka_CreateTopics(survey->client, made, count, options, survey->answers);
        result = take_results(survey, error);
    }
    rd_kafka_NewTopic_destroy_array(made, count);
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

/* Until this broker knows all of them, with their leaders. */
static int wait_for_broker(const struct survey *first, const char *address, struct error *error)
{
    struct survey survey;
    int result = survey_open(&survey, first->topics, address, error);

    survey.deadline_ms = first->deadline_ms;
    while (result == 0) {
        bool ready = true;
        result = survey_look(&survey, error);
        for (int role = 0; role < KAFKA_ROLES; role++)
            if (survey.handles[role] && !survey.led[role])
                ready = false;
        if (result < 0 || ready)
            break;
        if (!survey_left_ms(&survey))
            result = error_set(error, EX_TEMPFAIL, "Kafka at %s doesn't know the new topics yet",
                               address);
        poll(NULL, 0, SURVEY_AGAIN_MS);
    }
    survey_close(&survey);
    return result;
}

/* A tool that starts after this may ask any of them. */
static int wait_for_brokers(struct survey *survey, struct error *error)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(survey->client, 0, NULL, &metadata, survey_left_ms(survey));
    int result = 0;

    if (code)
        return kafka_error(error, EX_TEMPFAIL, code, "no answer");
    for (int i = 0; result == 0 && i < metadata->broker_cnt; i++) {
        char address[300];
        snprintf(address, sizeof address, "%s:%d", metadata->brokers[i].host,
                 metadata->brokers[i].port);
        result = wait_for_broker(survey, address, error);
    }
    rd_kafka_metadata_destroy(metadata);
    return result;
}

int kafka_topics_create(struct kafka_topics *topics, const struct kafka_wanted *wanted,
                        struct error *error)
{
    struct kafka_wanted chosen = *wanted;
    int32_t partitions = wanted->partitions;
    struct survey survey;
    int result = survey_open(&survey, topics, NULL, error);

    if (result == 0)
        result = survey_look(&survey, error);
    if (result == 0)
        result = choose(&survey, &chosen, error);
    if (result == 0)
        result = create(&survey, &chosen, error);
    if (result == 0)
        result = wait_for_brokers(&survey, error);
    if (result == 0) /* somebody else may have made them otherwise */
        result = choose_partitions(topics, &partitions, error);
    survey_close(&survey);
    return result;
}
