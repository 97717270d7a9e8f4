/* Single records to a topic, by many threads: all hand theirs to one producer, a thread of ours
 * serves the delivery reports, and each waits for its own. Unlike the writer's, records stand each
 * for itself here: librdkafka's time-out says what became of one.
 *
 * A producer whose idempotence broke can't go on: the next record gets a new one, while those that
 * still wait keep theirs until they are told. */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "stream/append.h"
#include "stream/kafka_client.h"

enum {
    OPEN_MS = 4000,     /* to find a broker that knows the topic, for who comes first */
    PATIENCE_MS = 3000, /* librdkafka looks every second for records that are late */
    STOP_MS = 3000,     /* for a record to be told about, when we are stopped */
    SLICE_MS = 500      /* between two questions whether we are */
};

/* A record on its way: of the thread that waits for it, or of the report if that gave up. */
struct waiting {
    struct kafka_appender *appender;
    pthread_cond_t changed;
    bool done, abandoned;
    bool unknown;
    int result;
    struct error error;
};

struct producer {
    struct kafka_appender *appender;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *reports;
    int32_t partitions; /* 0: not known yet */
    int users;
    bool retired;
};

struct kafka_appender {
    const char *name, *topic; /* of the stream, and of its topic */
    struct append_questions questions;
    int64_t timeout_ms;    /* a record's; 0: none */
    pthread_mutex_t mutex; /* for everything below, and in the structs above */
    pthread_cond_t changed;
    struct producer *producer; /* for new records; NULL: none yet */
    int producers;             /* retired ones, too */
    bool looking;              /* a thread looks for the topic */
    unsigned looks;            /* that ended; the last one with: */
    int look_result;
    struct error look_error;
};

struct kafka_appender *kafka_appender_new(const char *name, const char *topic,
                                          const struct append_questions *questions)
{
    struct kafka_appender *appender = calloc(1, sizeof *appender);

    if (!appender)
        return NULL;
    appender->name = name;
    appender->topic = topic;
    appender->questions = *questions;
    pthread_mutex_init(&appender->mutex, NULL);
    pthread_cond_init(&appender->changed, NULL);
    return appender;
}

/* --- a producer's life --- */

static void free_waiting(struct waiting *waiting)
{
    pthread_cond_destroy(&waiting->changed);
    free(waiting);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct waiting *waiting = message->_private;
    struct kafka_appender *appender = waiting->appender;
    bool surely_not = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(client, NULL, 0);
    rd_kafka_resp_err_t code = kafka_forbidden(fatal) ? fatal : message->err;
    int status = !surely_not ? EX_UNAVAILABLE : kafka_forbidden(code) ? EX_CONFIG : EX_TEMPFAIL;

    (void)opaque;
    pthread_mutex_lock(&appender->mutex);
    if (waiting->abandoned) {
        free_waiting(waiting);
    } else {
        waiting->done = true;
        waiting->unknown = message->err && !surely_not;
        if (message->err)
            waiting->result = kafka_error(&waiting->error, status, code, appender->topic);
        pthread_cond_signal(&waiting->changed);
    }
    pthread_mutex_unlock(&appender->mutex);
}

/* The thread of a producer: until nobody uses it and nobody will. */
static void *serve(void *argument)
{
    struct producer *producer = argument;
    struct kafka_appender *appender = producer->appender;
    bool end;

    do {
        rd_kafka_poll(producer->client, -1); /* until let_go() wakes it, if nothing comes */
        pthread_mutex_lock(&appender->mutex);
        end = producer->retired && !producer->users;
        pthread_mutex_unlock(&appender->mutex);
    } while (!end);
    rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_poll(producer->client, 0) > 0)
        ; /* records that nobody waited for any more */
    rd_kafka_queue_destroy(producer->reports);
    rd_kafka_topic_destroy(producer->topic);
    rd_kafka_destroy(producer->client);
    free(producer);
    pthread_mutex_lock(&appender->mutex);
    appender->producers--;
    pthread_cond_broadcast(&appender->changed);
    pthread_mutex_unlock(&appender->mutex);
    return NULL;
}

static rd_kafka_t *new_client(struct kafka_appender *appender, struct error *error)
{
    static const struct kafka_property defaults[] = {
        {"message.timeout.ms", "5000"},
        {"socket.connection.setup.timeout.ms", "5000"},
        {"linger.ms", "0"}, /* what comes while one request is under way makes the next */
        {NULL, NULL}};
    static const struct kafka_property fixed[] = {
        {"acks", "all"}, {"enable.idempotence", "true"}, {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf(defaults, fixed, error);
    char value[32] = "0";
    size_t size = sizeof value;

    if (!conf)
        return NULL;
    rd_kafka_conf_get(conf, "message.timeout.ms", value, &size);
    appender->timeout_ms = atoll(value);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return kafka_new(KAFKA_PRODUCER, conf, error);
}

/* Doesn't wait for a broker. With the mutex held. */
static int new_producer(struct kafka_appender *appender, struct error *error)
{
    struct producer *producer = calloc(1, sizeof *producer);
    pthread_t thread;

    if (!producer)
        return error_memory(error);
    producer->appender = appender;
    producer->client = new_client(appender, error);
    if (!producer->client) {
        free(producer);
        return -1;
    }
    producer->topic = rd_kafka_topic_new(producer->client, appender->topic, NULL);
    producer->reports = rd_kafka_queue_get_main(producer->client);
    if (!producer->topic || pthread_create(&thread, NULL, serve, producer) != 0) {
        if (producer->topic)
            rd_kafka_topic_destroy(producer->topic);
        rd_kafka_queue_destroy(producer->reports);
        rd_kafka_destroy(producer->client);
        free(producer);
        return error_set(error, EX_TEMPFAIL, "Kafka: can't start a producer for %s",
                         appender->topic);
    }
    pthread_detach(thread);
    appender->producers++;
    appender->producer = producer;
    return 0;
}

/* With the mutex held. */
static void let_go(struct producer *producer)
{
    producer->users--;
    if (producer->retired && !producer->users)
        rd_kafka_queue_yield(producer->reports);
}

/* No new record will use it. With the mutex held. */
static void retire(struct kafka_appender *appender)
{
    struct producer *producer = appender->producer;

    appender->producer = NULL;
    producer->retired = true;
    producer->users++;
    let_go(producer);
}

void kafka_appender_free(struct kafka_appender *appender)
{
    pthread_mutex_lock(&appender->mutex);
    if (appender->producer)
        retire(appender);
    while (appender->producers)
        pthread_cond_wait(&appender->changed, &appender->mutex);
    pthread_mutex_unlock(&appender->mutex);
    pthread_cond_destroy(&appender->changed);
    pthread_mutex_destroy(&appender->mutex);
    free(appender);
}

/* --- who uses it --- */

/* Whether the topic is right, and how many partitions it has. */
static int ask(struct kafka_appender *appender, struct producer *producer, int32_t *partitions,
               struct error *error)
{
    int64_t left_ms = OPEN_MS, begin_ms = clock_ms();

    if (appender->timeout_ms && appender->timeout_ms < left_ms)
        left_ms = appender->timeout_ms;
    if (appender->questions.check &&
        appender->questions.check(appender->name, (int)left_ms, error) < 0)
        return -1;
    left_ms -= clock_ms() - begin_ms;
    return kafka_partition_count(producer->client, appender->topic, left_ms > 0 ? (int)left_ms : 0,
                                 partitions, error);
}

/* Asks, while others wait for the same answer. With the mutex held, but not meanwhile. */
static int look(struct kafka_appender *appender, struct producer *producer, struct error *error)
{
    int32_t partitions = 0;

    appender->looking = true;
    producer->users++;
    pthread_mutex_unlock(&appender->mutex);
    appender->look_result = ask(appender, producer, &partitions, &appender->look_error);
    pthread_mutex_lock(&appender->mutex);
    producer->partitions = partitions;
    let_go(producer);
    appender->looking = false;
    appender->looks++;
    pthread_cond_broadcast(&appender->changed);
    *error = appender->look_error;
    return appender->look_result;
}

static bool is_broken(struct producer *producer)
{
    return rd_kafka_fatal_error(producer->client, NULL, 0) != 0;
}

/* A producer that knows the topic; let_go() gives it back. With the mutex held. */
static int take(struct kafka_appender *appender, struct producer **out, struct error *error)
{
    int result = 0;

    for (;;) {
        if (appender->producer && is_broken(appender->producer))
            retire(appender);
        if (!appender->producer && new_producer(appender, error) < 0)
            return -1;
        if (appender->producer->partitions)
            break;
        if (appender->looking) {
            unsigned looks = appender->looks;
            while (appender->looks == looks)
                pthread_cond_wait(&appender->changed, &appender->mutex);
            result = appender->look_result;
            *error = appender->look_error;
        } else {
            result = look(appender, appender->producer, error);
        }
        if (result < 0)
            return -1;
    }
    *out = appender->producer;
    (*out)->users++;
    return 0;
}

/* --- a record --- */

/* With the mutex held. */
static void wait_for_report(struct kafka_appender *appender, struct waiting *waiting)
{
    int64_t end_ms =
        appender->timeout_ms ? clock_ms() + appender->timeout_ms + PATIENCE_MS : INT64_MAX;
    bool stopping = false;

    while (!waiting->done && clock_ms() < end_ms) {
        struct timespec until;
        if (!stopping && appender->questions.give_up && appender->questions.give_up()) {
            stopping = true;
            if (end_ms - clock_ms() > STOP_MS)
                end_ms = clock_ms() + STOP_MS;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += SLICE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_clockwait(&waiting->changed, &appender->mutex, CLOCK_MONOTONIC, &until);
    }
}

/* With the mutex held. */
static int produce(struct producer *producer, const struct id *id, const char *line, size_t len,
                   struct waiting *waiting, struct error *error)
{
    char key[ID_TEXT];

    id_write(id, key);
    if (rd_kafka_produce(producer->topic, kafka_partition(id, producer->partitions),
                         RD_KAFKA_MSG_F_COPY, (void *)line, len - 1, key, sizeof key, waiting) < 0)
        return kafka_error(error, EX_TEMPFAIL, rd_kafka_last_error(), producer->appender->topic);
    return 0;
}

/* With the mutex held. */
static int append(struct kafka_appender *appender, struct producer *producer, const struct id *id,
                  const char *line, size_t len, bool *unknown, struct error *error)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    int result;

    if (!waiting)
        return error_memory(error);
    waiting->appender = appender;
    pthread_cond_init(&waiting->changed, NULL);
    result = produce(producer, id, line, len, waiting, error);
    if (result == 0) {
        wait_for_report(appender, waiting);
        if (!waiting->done) {
            waiting->abandoned = true;
            *unknown = true;
            return error_set(error, EX_UNAVAILABLE, "Kafka at %s: %s: not acknowledged in time",
                             kafka_brokers(), appender->topic);
        }
        result = waiting->result;
        *unknown = waiting->unknown;
        *error = waiting->error;
    }
    free_waiting(waiting);
    return result;
}

int kafka_appender_append(struct kafka_appender *appender, const struct id *key, const char *line,
                          size_t len, bool *unknown, struct error *error)
{
    struct producer *producer;
    int result;

    *unknown = false;
    pthread_mutex_lock(&appender->mutex);
    result = take(appender, &producer, error);
    if (result == 0) {
        result = append(appender, producer, key, line, len, unknown, error);
        let_go(producer);
    }
    pthread_mutex_unlock(&appender->mutex);
    return result;
}
