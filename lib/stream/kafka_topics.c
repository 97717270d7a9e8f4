/* Whether topics can be trusted with logs that are kept for ever.
 *
 * Every tool asks this at its start, so round trips count: one client asks for the settings and, at
 * the same time, for the partitions; only then it reads the first events. */
#include "stream/kafka_topics.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

/* --- settings --- */

static void ask_for_settings(struct survey *survey)
{
    rd_kafka_ConfigResource_t *resources[KAFKA_ROLES];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(survey->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    char reason[64];
    size_t count = 0;

    for (int role = 0; role < KAFKA_ROLES; role++)
        if (survey->handles[role])
            resources[count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, survey->topics->names[role]);
    rd_kafka_AdminOptions_set_request_timeout(options, survey_left_ms(survey), reason,
                                              sizeof reason);
    rd_kafka_DescribeConfigs(survey->client, resources, count, options, survey->answers);
    rd_kafka_ConfigResource_destroy_array(resources, count);
    rd_kafka_AdminOptions_destroy(options);
}

static void judge_min_insync(struct survey *survey, int role, int min_insync)
{
    struct kafka_found *found = &survey->topics->found[role];
    const char *name = survey->topics->names[role];

    found->min_insync = min_insync;
    if (min_insync > found->replicas)
        survey_problem(survey,
                       "topic %s: min.insync.replicas is %d, more than its replicas (%d), so that "
                       "no write ever succeeds: set it to %d at most, or add replicas",
                       name, min_insync, found->replicas, found->replicas);
    else if (found->replicas >= 3 && min_insync < 2)
        survey_warning(survey,
                       "topic %s: min.insync.replicas is %d, so that one disk may lose what was "
                       "acknowledged: set it to 2",
                       name, min_insync);
}

static void judge(struct survey *survey, int role, const char *setting, const char *value)
{
    const char *name = survey->topics->names[role];

    if (strcmp(setting, "retention.ms") == 0 || strcmp(setting, "retention.bytes") == 0) {
        if (strcmp(value, "-1") != 0)
            survey_problem(survey,
                           "topic %s: %s is %s, so that old records are deleted: set it to -1",
                           name, setting, value);
    } else if (strcmp(setting, "cleanup.policy") == 0) {
        if (strstr(value, "compact"))
            survey_problem(survey,
                           "topic %s: cleanup.policy is %s, which removes all but the last record "
                           "of a value: set it to delete",
                           name, value);
    } else if (strcmp(setting, "unclean.leader.election.enable") == 0) {
        if (strcmp(value, "false") != 0)
            survey_problem(survey,
                           "topic %s: %s is %s, which can lose acknowledged records: set it to "
                           "false",
                           name, setting, value);
    } else if (strcmp(setting, "max.message.bytes") == 0) {
        if (atoll(value) < survey->largest_batch)
            survey_problem(survey,
                           "topic %s: max.message.bytes is %s, too small for what is written at "
                           "once: set it to %lld or more",
                           name, value, survey->largest_batch);
    } else if (strcmp(setting, "min.insync.replicas") == 0) {
        judge_min_insync(survey, role, atoi(value));
    }
}

static void judge_settings(struct survey *survey, int role,
                           const rd_kafka_ConfigResource_t *resource)
{
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    const rd_kafka_ConfigEntry_t **entries;
    size_t count;

    if (!survey->topics->found[role].exists)
        return;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED) {
        survey_forbidden(survey, role, "describe the settings of");
        return;
    }
    if (code) {
        survey_problem(survey, "topic %s: its settings can't be had: %s",
                       survey->topics->names[role], rd_kafka_err2str(code));
        return;
    }
    entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_ConfigEntry_value(entries[i]))
            judge(survey, role, rd_kafka_ConfigEntry_name(entries[i]),
                  rd_kafka_ConfigEntry_value(entries[i]));
}

static int take_settings(struct survey *survey, struct error *error)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(survey->answers, survey_left_ms(survey));
    const rd_kafka_ConfigResource_t **resources;
    size_t count;

    if (!event || rd_kafka_event_error(event)) {
        kafka_error(error, EX_TEMPFAIL,
                    event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT,
                    "no answer about the topics' settings");
        rd_kafka_event_destroy(event);
        return -1;
    }
    resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    for (int role = 0; role < KAFKA_ROLES; role++)
        for (size_t i = 0; survey->handles[role] && i < count; i++)
            if (strcmp(rd_kafka_ConfigResource_name(resources[i]), survey->topics->names[role]) ==
                0)
                judge_settings(survey, role, resources[i]);
    rd_kafka_event_destroy(event);
    return 0;
}

/* --- the topics beside each other --- */

static void judge_presence(struct survey *survey, int role)
{
    const char *name = survey->topics->names[role];
    rd_kafka_resp_err_t code = (rd_kafka_resp_err_t)survey->refusals[role];

    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        if (survey_needs(survey, role))
            survey_problem(survey, "there is no topic %s: make it with calc-topics create", name);
    } else if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        survey_forbidden(survey, role, "describe");
    } else if (code) {
        survey_problem(survey, "topic %s: %s", name, rd_kafka_err2str(code));
    }
}

static void judge_names(struct survey *survey)
{
    const char *const *names = survey->topics->names;

    for (int role = 0; role < KAFKA_ROLES; role++)
        for (int other = 0; names[role] && other < role; other++)
            if (names[other] && strcmp(names[role], names[other]) == 0)
                survey_problem(survey, "topic %s can't be two of commands, events and rejections",
                               names[role]);
}

/* An outcome goes to the partition with its command's number. */
static void judge_counts(struct survey *survey)
{
    struct kafka_topics *topics = survey->topics;
    struct buffer list = {0};
    bool differ = false;

    topics->partitions = 0;
    for (int role = 0; role < KAFKA_ROLES; role++) {
        const struct kafka_found *found = &topics->found[role];
        if (!found->exists)
            continue;
        if (topics->partitions && topics->partitions != found->partitions)
            differ = true;
        topics->partitions = found->partitions;
        buffer_printf(&list, "%s%s %d", list.len ? ", " : "", topics->names[role],
                      found->partitions);
    }
    if (differ) {
        survey_problem(survey,
                       "the topics have different numbers of partitions (%.*s), so that outcomes "
                       "can't go where their commands are: make them anew, with the same number",
                       (int)list.len, list.data);
        topics->partitions = 0;
    }
    buffer_release(&list);
}

static int look(struct survey *survey, struct error *error)
{
    struct kafka_topics *topics = survey->topics;

    ask_for_settings(survey);
    if (survey_look(survey, error) < 0)
        return -1;
    judge_names(survey);
    for (int role = 0; role < KAFKA_ROLES; role++)
        judge_presence(survey, role);
    judge_counts(survey);
    if (take_settings(survey, error) < 0)
        return -1;
    if (!topics->unsampled && topics->found[KAFKA_EVENTS].exists && topics->partitions > 1)
        return survey_sample(survey, error);
    return 0;
}

int kafka_topics_check(struct kafka_topics *topics, struct error *error)
{
    struct survey survey;
    int result = survey_open(&survey, topics, NULL, error);

    if (result == 0)
        result = look(&survey, error);
    survey_close(&survey);
    if (topics->problems.failed || topics->warnings.failed)
        return error_memory(error);
    if (topics->problems.len)
        return error_set(error, EX_CONFIG, "%.*s", (int)strcspn(topics->problems.data, "\n"),
                         topics->problems.data);
    return result;
}

void kafka_topics_release(struct kafka_topics *topics)
{
    buffer_release(&topics->problems);
    buffer_release(&topics->warnings);
}
