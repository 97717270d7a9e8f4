/* Settings and handles: what every client of Kafka has in common. */
#include "stream/kafka_client.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/diag.h"
#include "stream/reader.h"

/* The user's properties, in their order: the environment of every client of this process. */
static struct user_property {
    char *name, *value;
} *user_properties;
static size_t user_property_count;

/* Properties that are not the user's to choose, and why. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"isolation.level", "outcomes of transactions that were aborted must not be read"},
    {"enable.auto.commit", "offsets are committed with what was made of the records"},
    {"auto.commit.enable", "offsets are committed with what was made of the records"},
    {"enable.auto.offset.store", "offsets are committed with what was made of the records"},
    {"auto.offset.reset", "a position that is gone has to be an error, not a jump"},
    {"enable.partition.eof", "the end of a partition has to be known"},
    {"acks", "a record is acknowledged when all in-sync replicas have it"},
    {"request.required.acks", "a record is acknowledged when all in-sync replicas have it"},
    {"enable.idempotence", "a producer's own retries must not write a record twice"},
    {"enable.gapless.guarantee", "a failed record is told, and what comes after it is not sent"},
    {"max.in.flight", "a producer's own retries must not change the order"},
    {"max.in.flight.requests.per.connection", "a producer's own retries must not change the order"},
    {"message.send.max.retries", "a producer retries until message.timeout.ms"},
    {"retries", "a producer retries until message.timeout.ms"},
    {"queuing.strategy", "records have to keep their order"},
    {"partitioner", "a value's records have to be in one partition for every client"},
    {"transactional.id", "it follows from --instance"},
    {"group.instance.id", "it follows from --instance"},
    {"group.id", "set KAFKA_COMMANDS_GROUP_ID or KAFKA_EVENTS_GROUP_ID"},
    {"partition.assignment.strategy", "handlers of one group have to use the same"},
    {"allow.auto.create.topics", "topics are made by calc-topics, with the right settings"},
};

/* By their names, so that a later librdkafka's are among them. */
static bool is_secret(const char *name, size_t len)
{
    static const char *const parts[] = {"password", "secret", "ssl.key.pem", "ssl_key"};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (memmem(name, len, parts[i], strlen(parts[i])))
            return true;
    return false;
}

/* Takes a property; *secret tells whether its value is one. No message has a value in it. */
static int take(const char *property, bool *secret, struct error *error)
{
    const char *equals = strchr(property, '=');
    struct user_property *grown;
    size_t len;

    if (!equals || equals == property)
        return error_set(error, EX_USAGE, "a property is name=value");
    len = (size_t)(equals - property);
    if (len > 6 && strncmp(property, "topic.", 6) == 0) /* librdkafka takes both spellings */
        property += 6, len -= 6;
    *secret = is_secret(property, len);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strlen(refused[i].name) == len && strncmp(property, refused[i].name, len) == 0)
            return error_set(error, EX_USAGE, "%s can't be set: %s", refused[i].name,
                             refused[i].why);
    grown = realloc(user_properties, (user_property_count + 1) * sizeof *grown);
    if (!grown)
        return error_memory(error);
    user_properties = grown;
    grown += user_property_count;
    grown->name = strndup(property, len);
    grown->value = strdup(equals + 1);
    if (!grown->name || !grown->value)
        return error_memory(error);
    user_property_count++;
    return 0;
}

int kafka_set(const char *property, struct error *error)
{
    size_t len = strcspn(property, "=");
    bool secret;

    if (property[len] && is_secret(property, len))
        return error_set(error, EX_USAGE,
                         "%.*s is a secret, and everybody on this machine can read a command line: "
                         "put it into a file for -F",
                         (int)len, property);
    return take(property, &secret, error);
}

static char *trim(char *text)
{
    char *end;

    text += strspn(text, " \t\r\n");
    end = text + strlen(text);
    while (end > text && strchr(" \t\r\n", end[-1]))
        *--end = '\0';
    return text;
}

/* "name = value", as in kcat's and Java's files. */
static int load_line(char *line, bool *secret, struct error *error)
{
    char *text = trim(line), *equals = strchr(text, '=');
    char property[8192];

    *secret = false;
    if (!*text || *text == '#')
        return 0;
    if (!equals)
        return error_set(error, EX_CONFIG, "no name=value");
    *equals = '\0';
    snprintf(property, sizeof property, "%s=%s", trim(text), trim(equals + 1));
    return take(property, secret, error);
}

/* A secret that all may read is none, and who may write there says which broker gets it. */
static int check_mode(FILE *file, struct error *error)
{
    struct stat status;

    if (fstat(fileno(file), &status) < 0)
        return error_errno(error, EX_IOERR, "can't look at it");
    if (status.st_mode & (S_IROTH | S_IWOTH))
        return error_set(error, EX_CONFIG,
                         "a secret, in a file that everybody can %s: chmod o= it, and change the "
                         "secret",
                         status.st_mode & S_IROTH ? "read" : "write");
    return 0;
}

int kafka_load(const char *path, struct error *error)
{
    char line[4096];
    struct error reason;
    unsigned number = 0;
    int result = 0;
    bool secret;
    FILE *file = fopen(path, "re");

    if (!file)
        return error_errno(error, EX_IOERR, "can't read %s", path);
    while (result == 0 && fgets(line, sizeof line, file)) {
        number++;
        if (!strchr(line, '\n') && !feof(file))
            result = error_set(&reason, EX_CONFIG, "longer than %zu bytes", sizeof line - 2);
        else
            result = load_line(line, &secret, &reason);
        if (result == 0 && secret)
            result = check_mode(file, &reason);
    }
    explicit_bzero(line, sizeof line);
    if (result < 0)
        error_set(error, EX_CONFIG, "%s, line %u: %s", path, number, reason.text);
    else if (ferror(file))
        result = error_errno(error, EX_IOERR, "can't read %s", path);
    fclose(file);
    return result;
}

/* --- names --- */

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && *value ? value : otherwise;
}

const char *kafka_brokers(void)
{
    for (size_t i = user_property_count; i-- > 0;)
        if (strcmp(user_properties[i].name, "bootstrap.servers") == 0 ||
            strcmp(user_properties[i].name, "metadata.broker.list") == 0)
            return user_properties[i].value;
    return setting("KAFKA_BROKER", "localhost:9092");
}

const char *kafka_topic(const char *path, enum kafka_role role)
{
    static const struct {
        const char *variable, *otherwise;
    } names[KAFKA_ROLES] = {{"KAFKA_COMMANDS_TOPICS", "commands"},
                            {"KAFKA_EVENTS_TOPICS", "events"},
                            {"KAFKA_REJECTIONS_TOPICS", "rejections"}};

    return *path ? path : setting(names[role].variable, names[role].otherwise);
}

const char *kafka_stream(const char *name, enum kafka_role role, char *text)
{
    if (strcmp(name, "kafka:") != 0)
        return name;
    snprintf(text, KAFKA_STREAM_TEXT, "kafka:%s", kafka_topic("", role));
    return text;
}

const char *kafka_group(enum kafka_role role)
{
    return role == KAFKA_COMMANDS ? setting("KAFKA_COMMANDS_GROUP_ID", "commands-processors")
                                  : setting("KAFKA_EVENTS_GROUP_ID", "events-processors");
}

int32_t kafka_partition(const struct id *value_id, int32_t count)
{
    char key[ID_TEXT];

    id_write(value_id, key);
    return rd_kafka_msg_partitioner_murmur2(NULL, key, sizeof key, count, NULL, NULL);
}

/* --- handles --- */

void kafka_log(const struct rd_kafka_s *client, int level, const char *facility, const char *text)
{
    (void)client;
    if (level <= 3)
        diag_warn("Kafka: %s: %s", facility, text); /* librdkafka goes on and tries again */
    else if (level <= 6)
        diag_info("Kafka: %s: %s", facility, text);
    else
        diag_debug("Kafka: %s: %s", facility, text);
}

/* Why a broker turned us away at the last attempt. All clients of a process have the same settings, so
 * it is the process's; status 0: it didn't. */
static struct error refusal;
static pthread_mutex_t refusal_mutex = PTHREAD_MUTEX_INITIALIZER;

/* librdkafka goes on and tries again, whatever it is. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    (void)opaque;
    if (!kafka_turned_away(code)) {
        kafka_log(client, LOG_ERR, "ERROR", reason);
        return;
    }
    pthread_mutex_lock(&refusal_mutex);
    error_set(&refusal, EX_CONFIG, "Kafka at %s: %s", kafka_brokers(), reason);
    pthread_mutex_unlock(&refusal_mutex);
}

void kafka_watch_refusals(struct rd_kafka_conf_s *conf)
{
    rd_kafka_conf_set_error_cb(conf, on_error);
}

int kafka_refusal(struct rd_kafka_s *client, struct error *error)
{
    int result;

    rd_kafka_poll(client, 0);
    pthread_mutex_lock(&refusal_mutex);
    result = refusal.status ? -1 : 0;
    if (result < 0)
        *error = refusal;
    refusal.status = 0;
    pthread_mutex_unlock(&refusal_mutex);
    return result;
}

/* With -X statistics.interval.ms: a line of JSON on stderr. */
static int on_statistics(rd_kafka_t *client, char *json, size_t len, void *opaque)
{
    (void)client;
    (void)opaque;
    json[len] = '\n'; /* in place of the NUL */
    if (write(STDERR_FILENO, json, len + 1) < 0) {
        /* there is nowhere left to say it */
    }
    json[len] = '\0';
    return 0;
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_property *properties,
                   struct error *error)
{
    char reason[512];

    for (; properties && properties->name; properties++)
        if (rd_kafka_conf_set(conf, properties->name, properties->value, reason, sizeof reason) !=
            RD_KAFKA_CONF_OK)
            return error_set(error, EX_CONFIG, "Kafka: %s", reason);
    return 0;
}

struct rd_kafka_conf_s *kafka_conf(const struct kafka_property *defaults,
                                   const struct kafka_property *fixed, struct error *error)
{
    const struct kafka_property common[] = {
        {"bootstrap.servers", kafka_brokers()},
        {"client.id", "calc"},
        {"allow.auto.create.topics", "false"},
        {"reconnect.backoff.max.ms", "1000"},
        {NULL, NULL}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int result = set_all(conf, common, error);

    if (result == 0)
        result = set_all(conf, defaults, error);
    for (size_t i = 0; result == 0 && i < user_property_count; i++) {
        const struct kafka_property one[] = {{user_properties[i].name, user_properties[i].value},
                                             {NULL, NULL}};
        result = set_all(conf, one, error);
    }
    if (result == 0)
        result = set_all(conf, fixed, error);
    if (result < 0) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, kafka_log);
    rd_kafka_conf_set_stats_cb(conf, on_statistics);
    return conf;
}

struct rd_kafka_s *kafka_new(enum kafka_client kind, struct rd_kafka_conf_s *conf,
                             struct error *error)
{
    char reason[512];
    rd_kafka_t *client = rd_kafka_new(kind == KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
                                      conf, reason, sizeof reason);

    if (!client) {
        rd_kafka_conf_destroy(conf);
        error_set(error, EX_CONFIG, "Kafka: %s", reason);
    }
    return client;
}

bool kafka_turned_away(int code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
}

bool kafka_forbidden(int code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

int kafka_error(struct error *error, int status, int code, const char *what)
{
    return error_set(error, status, "Kafka at %s: %s: %s", kafka_brokers(), what,
                     rd_kafka_err2str((rd_kafka_resp_err_t)code));
}

int kafka_ask_why(int timeout_ms, struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_conf_t *conf = kafka_conf(NULL, NULL, error);
    rd_kafka_t *client;
    int result = 0;

    if (!conf)
        return -1;
    kafka_watch_refusals(conf);
    client = kafka_new(KAFKA_CONSUMER, conf, error);
    if (!client)
        return -1;
    kafka_refusal(client, error);
    if (rd_kafka_metadata(client, 0, NULL, &metadata, timeout_ms) == 0)
        rd_kafka_metadata_destroy(metadata);
    else
        result = kafka_refusal(client, error);
    rd_kafka_destroy(client);
    return result;
}

/* Errors of metadata that pass: the topic was just made, or its leader is being chosen. */
static bool passes(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE;
}

int kafka_partition_count(struct rd_kafka_s *client, const char *topic, int timeout_ms,
                          int32_t *count, struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_resp_err_t code;

    if (!handle)
        return kafka_error(error, EX_CONFIG, rd_kafka_last_error(), topic);
    code = rd_kafka_metadata(client, 0, handle, &metadata, timeout_ms);
    rd_kafka_topic_destroy(handle);
    if (code)
        return kafka_error(error, EX_TEMPFAIL, code, "no answer");
    code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    *count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return error_set(error, EX_CONFIG,
                         "Kafka at %s has no topic %s: make it with calc-topics create",
                         kafka_brokers(), topic);
    if (code && !passes(code))
        return kafka_error(error, EX_CONFIG, code, topic);
    return 0;
}
