/* hop FROM TO: follows a log and copies each record, and nothing else: the yardstick of the steps
 * that a command takes until it is visible. FROM is a file of lines, or kafka:TOPIC; TO is a file,
 * made durable after each batch, or lmdb:FOLDER, where a line stands under its value's id in one
 * transaction a batch, behind which FOLDER/wake is touched for who waits; or deferred:FOLDER, the same
 * without waiting for the meta page (MDB_NOMETASYNC). copy.c goes from topic to topic.
 *
 * It ends with SIGTERM, and at any error: it is a yardstick, and keeps no promises. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { ROOM = 1 << 20, BATCH = 1000, ID = 36 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "hop: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, int code)
{
    if (code)
        fail(what, mdb_strerror(code));
}

/* --- where it goes --- */

static int out_fd = -1, wake_fd = -1;
static MDB_env *env;
static MDB_txn *txn;
static MDB_dbi table;

static void open_output(const char *to)
{
    bool deferred = strncmp(to, "deferred:", 9) == 0;
    const char *folder = to + (deferred ? 9 : 5);
    char wake[4096];

    if (!deferred && strncmp(to, "lmdb:", 5) != 0) {
        out_fd = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (out_fd < 0)
            fail(to, strerror(errno));
        return;
    }
    snprintf(wake, sizeof wake, "%s/wake", folder);
    wake_fd = open(wake, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (wake_fd < 0)
        fail(wake, strerror(errno));
    check("create", mdb_env_create(&env));
    check("size", mdb_env_set_mapsize(env, 1 << 28));
    check(to, mdb_env_open(env, folder, deferred ? MDB_NOMETASYNC : 0, 0644));
}

static void put_line(const char *line, size_t len)
{
    const char *id = memmem(line, len, "\"value_id\":\"", 12);
    MDB_val key, value = {len, (void *)(size_t)line};

    if (!id || id + 12 + ID > line + len)
        fail("a line", "no value_id");
    key = (MDB_val){ID, (void *)(size_t)(id + 12)};
    check("put", mdb_put(txn, table, &key, &value, 0));
}

/* Whole lines. */
static void put_batch(const char *lines, size_t len)
{
    if (!env) {
        if (flock(out_fd, LOCK_EX) < 0 || write(out_fd, lines, len) != (ssize_t)len ||
            fdatasync(out_fd) < 0 || flock(out_fd, LOCK_UN) < 0)
            fail("write", strerror(errno));
        return;
    }
    check("begin", mdb_txn_begin(env, NULL, 0, &txn));
    check("table", mdb_dbi_open(txn, NULL, 0, &table));
    for (const char *line = lines, *end; line < lines + len; line = end + 1) {
        end = memchr(line, '\n', (size_t)(lines + len - line));
        put_line(line, (size_t)(end - line));
    }
    check("commit", mdb_txn_commit(txn));
    if (pwrite(wake_fd, "w", 1, 0) != 1)
        fail("wake", strerror(errno));
}

/* --- where it comes from --- */

/* Under the lock, as its other readers do it: what is copied is durable. */
static void follow_file(const char *path)
{
    static char room[ROOM], events[4096];
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644), watch = inotify_init1(IN_CLOEXEC);
    size_t had = 0;

    if (fd < 0 || watch < 0 || inotify_add_watch(watch, path, IN_MODIFY) < 0)
        fail(path, strerror(errno));
    for (;;) {
        ssize_t got = -1;
        char *end;

        if (flock(fd, LOCK_SH) == 0)
            got = read(fd, room + had, sizeof room - had);
        if (got < 0 || flock(fd, LOCK_UN) < 0 ||
            (got == 0 && read(watch, events, sizeof events) < 0))
            fail(path, strerror(errno));
        had += (size_t)got;
        end = memrchr(room, '\n', had);
        if (!end)
            continue;
        put_batch(room, (size_t)(end + 1 - room));
        had -= (size_t)(end + 1 - room);
        memmove(room, end + 1, had);
    }
}

static rd_kafka_t *open_consumer(const char *topic)
{
    static const char *const settings[][2] = {{"group.id", "hop"},
                                              {"enable.auto.commit", "false"},
                                              {"isolation.level", "read_committed"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *broker = getenv("KAFKA_BROKER");
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    rd_kafka_topic_t *handle;
    rd_kafka_t *consumer;
    char why[512];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", broker ? broker : "localhost:9092", why,
                          sizeof why))
        fail("bootstrap.servers", why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why))
            fail(settings[i][0], why);
    consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!consumer)
        fail("consumer", why);
    rd_kafka_poll_set_consumer(consumer);
    handle = rd_kafka_topic_new(consumer, topic, NULL);
    if (rd_kafka_metadata(consumer, 0, handle, &metadata, 10000))
        fail(topic, "no metadata");
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return consumer;
}

static void follow_topic(const char *topic)
{
    static rd_kafka_message_t *records[BATCH];
    static char room[ROOM];
    rd_kafka_t *consumer = open_consumer(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);

    for (;;) {
        size_t had = 0;
        ssize_t count = rd_kafka_consume_batch_queue(queue, 1000, records, 1);

        if (count == 1)
            count += rd_kafka_consume_batch_queue(queue, 0, records + 1, BATCH - 1);
        for (ssize_t i = 0; i < count; i++) {
            const rd_kafka_message_t *record = records[i];
            if (record->err || had + record->len + 1 > sizeof room)
                fail(topic, record->err ? rd_kafka_message_errstr(record) : "too much at once");
            memcpy(room + had, record->payload, record->len);
            had += record->len;
            room[had++] = '\n';
            rd_kafka_message_destroy(records[i]);
        }
        if (had > 0)
            put_batch(room, had);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: hop FILE | kafka:TOPIC FILE | lmdb:FOLDER | deferred:FOLDER\n", stderr);
        return 64;
    }
    open_output(argv[2]);
    if (strncmp(argv[1], "kafka:", 6) == 0)
        follow_topic(argv[1] + 6);
    else
        follow_file(argv[1]);
    return 0;
}
