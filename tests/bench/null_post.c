/* null_post FILE | kafka:TOPIC: the least that a FastCGI program can do that answers when what it
 * was sent is kept: the yardstick of a POST, in as many threads as a calc-cgi works with. It looks
 * at nothing. To a file, one thread writes what has come, with one fdatasync for all of it; to a
 * topic, each produces and waits for its acknowledgement. KAFKA_BROKER says where. */
#include <fcgiapp.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 64, BODY_BYTES = 65536, ROOM = 2 * THREADS * BODY_BYTES };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER, kept = PTHREAD_COND_INITIALIZER;

/* to a file: what has come, and how many batches were begun and are durable */
static char *pending, *writing;
static size_t pending_len;
static unsigned long begun, durable;

/* to a topic */
static rd_kafka_t *producer;
static const char *topic;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "null_post: %s: %s\n", what, why);
    exit(1);
}

/* --- to a file --- */

static void *write_batches(void *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0)
        fail(path, "can't open");
    for (;;) {
        char *batch;
        size_t len;

        pthread_mutex_lock(&mutex);
        while (pending_len == 0)
            pthread_cond_wait(&came, &mutex);
        batch = pending;
        len = pending_len;
        pending = writing;
        writing = batch;
        pending_len = 0;
        begun++;
        pthread_mutex_unlock(&mutex);
        if (write(fd, batch, len) != (ssize_t)len || fdatasync(fd) < 0)
            fail(path, "can't write");
        pthread_mutex_lock(&mutex);
        durable = begun;
        pthread_cond_broadcast(&kept);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void keep_in_file(const char *body, size_t len)
{
    unsigned long batch;

    pthread_mutex_lock(&mutex);
    memcpy(pending + pending_len, body, len);
    pending_len += len;
    pending[pending_len++] = '\n';
    batch = begun + 1;
    pthread_cond_signal(&came);
    while (durable < batch)
        pthread_cond_wait(&kept, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* --- to a topic --- */

static void acknowledged(rd_kafka_t *client, const rd_kafka_message_t *record, void *nothing)
{
    (void)client;
    (void)nothing;
    if (record->err)
        fail(topic, rd_kafka_err2str(record->err));
    pthread_mutex_lock(&mutex);
    *(int *)record->_private = 1;
    pthread_cond_broadcast(&kept);
    pthread_mutex_unlock(&mutex);
}

static void *poll_producer(void *nothing)
{
    while (!nothing)
        rd_kafka_poll(producer, 1000);
    return NULL;
}

static void open_producer(void)
{
    static const char *const settings[][2] = {
        {"linger.ms", "0"}, {"acks", "all"}, {"enable.idempotence", "true"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *broker = getenv("KAFKA_BROKER");
    char why[512];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", broker ? broker : "localhost:9092", why,
                          sizeof why))
        fail("bootstrap.servers", why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why))
            fail(settings[i][0], why);
    rd_kafka_conf_set_dr_msg_cb(conf, acknowledged);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!producer)
        fail("producer", why);
}

static void keep_in_topic(const char *body, size_t len)
{
    int done = 0;
    rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)(size_t)body, len), RD_KAFKA_V_OPAQUE(&done), RD_KAFKA_V_END);

    if (error)
        fail(topic, rd_kafka_err2str(error));
    pthread_mutex_lock(&mutex);
    while (!done)
        pthread_cond_wait(&kept, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* --- the program --- */

static void *serve(void *nothing)
{
    FCGX_Request request;
    char body[BODY_BYTES];

    FCGX_InitRequest(&request, 0, 0);
    while (FCGX_Accept_r(&request) == 0) {
        int len = FCGX_GetStr(body, sizeof body - 1, request.in);
        if (topic)
            keep_in_topic(body, (size_t)len);
        else
            keep_in_file(body, (size_t)len);
        FCGX_PutS("Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n\"kept\"",
                  request.out);
    }
    return nothing;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    if (argc != 2) {
        fputs("usage: null_post FILE | kafka:TOPIC\n", stderr);
        return 64;
    }
    FCGX_Init();
    if (strncmp(argv[1], "kafka:", 6) == 0) {
        topic = argv[1] + 6;
        open_producer();
        pthread_create(&thread, NULL, poll_producer, NULL);
    } else {
        pending = malloc(ROOM);
        writing = malloc(ROOM);
        if (!pending || !writing)
            fail("malloc", "no memory");
        pthread_create(&thread, NULL, write_batches, argv[1]);
    }
    for (int i = 1; i < THREADS; i++)
        pthread_create(&thread, NULL, serve, NULL);
    return serve(NULL) != NULL;
}
