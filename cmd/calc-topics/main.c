/* calc-topics: makes and checks the topics of Kafka. */
#include <limits.h>
#include <string.h>

#include "base/diag.h"
#include "stream/stream.h"
#include "tool/kafka_check.h"
#include "tool/kafka_options.h"

static const char help[] =
    "usage: calc-topics [-i COMMANDS] [-o EVENTS] [-r REJECTIONS] [check]\n"
    "       calc-topics [-i COMMANDS] [-o EVENTS] [-r REJECTIONS] create [--partitions N]\n"
    "                   [--replication N] [--min-insync N]\n"
    "\n"
    "Checks that Kafka's topics lose nothing and split no value's history, or makes those that\n"
    "aren't there and checks all. Prints a line of JSON for each.\n"
    "\n"
    "  -i, --input TOPIC        commands; $KAFKA_COMMANDS_TOPICS or 'commands' by default\n"
    "  -o, --output TOPIC       events; $KAFKA_EVENTS_TOPICS or 'events' by default\n"
    "  -r, --rejections TOPIC   rejections; $KAFKA_REJECTIONS_TOPICS or 'rejections' by default\n"
    "      --partitions N       of each topic; as the others have, else 8 by default\n"
    "      --replication N      copies of each; 3 by default, or as many as there are brokers\n"
    "      --min-insync N       copies that a write needs; 2 by default, 1 of less than "
    "3\n" KAFKA_OPTIONS_HELP "      --help, --version\n"
    "\n"
    "A topic is NAME or kafka:NAME. The broker is $KAFKA_BROKER or localhost:9092.\n"
    "Exit status: 0; 75 if no broker answers; 78 if a topic is wrong. See calc-topics(1).\n";

enum { OPTION_PARTITIONS = OPTION_FIRST, OPTION_REPLICATION, OPTION_MIN_INSYNC };

enum { CREATE_MS = 30000 };

struct settings {
    struct kafka_topics topics;
    struct kafka_wanted wanted;
    bool create;
};

/* The topic that an option names; the default of its role if it is empty. */
static const char *topic_of(const char *name, enum kafka_role role)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *topic = strncmp(name, "kafka:", 6) == 0 ? name + 6 : name;

    topic = kafka_topic(topic, role);
    if (strspn(topic, allowed) != strlen(topic) || strlen(topic) > 249 || strcmp(topic, ".") == 0 ||
        strcmp(topic, "..") == 0 || strcmp(topic, "-") == 0)
        options_bad("no topic has the name '%s'", topic);
    return topic;
}

/* A number from 1 on, as large as the protocol has it. */
static int number_of(const char *name, const char *text, int most)
{
    uint64_t number = options_count(name, text);

    if (number < 1 || number > (uint64_t)most)
        options_bad("%s is a number from 1 to %d, not '%s'", name, most, text);
    return (int)number;
}

static void parse_operands(struct settings *settings, const struct options *options)
{
    const struct kafka_wanted *wanted = &settings->wanted;

    if (options->operand_count > 1)
        options_bad("unexpected argument '%s'", options->operands[1]);
    if (options->operand_count)
        settings->create = strcmp(options->operands[0], "create") == 0;
    if (options->operand_count && !settings->create && strcmp(options->operands[0], "check") != 0)
        options_bad("check or create, not '%s'", options->operands[0]);
    if (!settings->create && (wanted->partitions || wanted->replicas || wanted->min_insync))
        options_bad("--partitions, --replication and --min-insync go with create");
    if (wanted->replicas && wanted->min_insync > wanted->replicas)
        options_bad("--min-insync %d is more than --replication %d: no write would ever succeed",
                    wanted->min_insync, wanted->replicas);
}

static void parse_options(struct settings *settings, int argc, char **argv)
{
    static const struct option longer[] = {
        {"input", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"rejections", required_argument, NULL, 'r'},
        {"partitions", required_argument, NULL, OPTION_PARTITIONS},
        {"replication", required_argument, NULL, OPTION_REPLICATION},
        {"min-insync", required_argument, NULL, OPTION_MIN_INSYNC},
        OPTIONS_COMMON};
    const char *names[KAFKA_ROLES] = {"", "", ""};
    struct kafka_wanted *wanted = &settings->wanted;
    struct options options;
    int option;

    options_open(&options, argc, argv, "+:i:o:r:" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option == 'i')
            names[KAFKA_COMMANDS] = optarg;
        else if (option == 'o')
            names[KAFKA_EVENTS] = optarg;
        else if (option == 'r')
            names[KAFKA_REJECTIONS] = optarg;
        else if (option == OPTION_PARTITIONS)
            wanted->partitions = number_of("--partitions", optarg, INT32_MAX);
        else if (option == OPTION_REPLICATION)
            wanted->replicas = number_of("--replication", optarg, INT16_MAX);
        else if (option == OPTION_MIN_INSYNC)
            wanted->min_insync = number_of("--min-insync", optarg, INT16_MAX);
        else
            kafka_option(option, optarg);
    }
    parse_operands(settings, &options);
    for (int role = 0; role < KAFKA_ROLES; role++) {
        settings->topics.names[role] = topic_of(names[role], (enum kafka_role)role);
        for (int other = 0; other < role; other++)
            if (strcmp(settings->topics.names[role], settings->topics.names[other]) == 0)
                options_bad("topic %s can't be two of commands, events and rejections",
                            settings->topics.names[role]);
    }
}

static void write_lines(const struct kafka_topics *topics, struct buffer *out)
{
    for (int role = 0; role < KAFKA_ROLES; role++) {
        const struct kafka_found *found = &topics->found[role];
        if (!found->exists)
            continue;
        buffer_printf(out, "{\"topic\":\"%s\",\"partitions\":%d,\"replication\":%d,",
                      topics->names[role], (int)found->partitions, found->replicas);
        buffer_append_text(out, "\"min_insync_replicas\":");
        if (found->min_insync)
            buffer_printf(out, "%d", found->min_insync);
        else
            buffer_append_text(out, "null"); /* we may not ask */
        buffer_printf(out, ",\"created\":%s}\n", found->created ? "true" : "false");
    }
}

static int print(const struct kafka_topics *topics, struct error *error)
{
    struct writer *out;
    int result;

    if (writer_open("-", &out, error) < 0)
        return -1;
    write_lines(topics, writer_batch(out));
    result = writer_commit(out, NULL, NULL, error);
    writer_close(out);
    return result;
}

/* Prints what is wrong, and the topics as they are in any case. Returns the exit status. */
static int check(struct kafka_topics *topics)
{
    struct error error = {0}, failure;

    topics->timeout_ms = KAFKA_CHECK_MS;
    if (kafka_topics_check(topics, &error) < 0) {
        kafka_check_say(topics, &error);
        diag_error("%s", error.text);
        if (error.status != EX_CONFIG)
            return error.status;
    } else {
        kafka_check_say(topics, &error);
    }
    if (print(topics, &failure) < 0) {
        diag_error("%s", failure.text);
        return failure.status;
    }
    return error.status;
}

int main(int argc, char **argv)
{
    struct settings settings = {.topics = {.needed = (1u << KAFKA_ROLES) - 1}};
    struct kafka_topics *topics = &settings.topics;
    struct error error;
    int status;

    parse_options(&settings, argc, argv);
    topics->timeout_ms = CREATE_MS;
    if (settings.create && kafka_topics_create(topics, &settings.wanted, &error) < 0) {
        diag_error("%s", error.text);
        status = error.status;
    } else {
        status = check(topics);
    }
    kafka_topics_release(topics);
    return status;
}
