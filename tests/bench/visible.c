/* visible COUNT FILE | kafka:TOPIC VIEW | lmdb:FOLDER: writes so many commands to a log, each when
 * the one before is visible, in the view that a projector keeps or in the LMDB file of hop.c, and
 * prints the median and the 99th percentile of what each took from before it was written, in
 * milliseconds. Every command creates a value. A file is written as calc-submit does it; for the
 * copy no more than locked and synced. KAFKA_BROKER says where the topic is. */
#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <lmdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "store/view.h"
#include "stream/log.h"

enum { WARM_UP = 20, DEADLINE_S = 30, LINE = 256 };

struct sent {
    struct id id, value_id;
    char value_text[ID_TEXT + 1], line[LINE];
    int len;
};

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "visible: %s: %s\n", what, why);
    exit(1);
}

/* --- the log --- */

static struct log log_file;
static int plain_fd = -1;
static rd_kafka_t *producer;
static const char *topic;

static void open_log(const char *log, bool plain)
{
    rd_kafka_conf_t *conf;
    const char *broker = getenv("KAFKA_BROKER");
    struct error error;
    char why[512];

    if (strncmp(log, "kafka:", 6) != 0) {
        plain_fd = plain ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
        if (plain ? plain_fd < 0 : log_open(&log_file, log, &error) < 0)
            fail(log, plain ? strerror(errno) : error.text);
        return;
    }
    topic = log + 6;
    conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", broker ? broker : "localhost:9092", why,
                          sizeof why) ||
        rd_kafka_conf_set(conf, "acks", "all", why, sizeof why) ||
        rd_kafka_conf_set(conf, "linger.ms", "0", why, sizeof why) ||
        rd_kafka_conf_set(conf, "partitioner", "murmur2_random", why, sizeof why))
        fail("configuration", why);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!producer)
        fail("producer", why);
}

static void write_command(const struct sent *command)
{
    struct error error;
    uint64_t offset, cut;

    if (topic) {
        if (rd_kafka_producev(
                producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(command->value_text, ID_TEXT),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_VALUE((void *)(size_t)command->line, (size_t)command->len - 1),
                RD_KAFKA_V_END))
            fail(topic, "can't produce");
        return;
    }
    if (plain_fd >= 0) {
        if (flock(plain_fd, LOCK_EX) < 0 ||
            write(plain_fd, command->line, (size_t)command->len) != command->len ||
            fdatasync(plain_fd) < 0 || flock(plain_fd, LOCK_UN) < 0)
            fail("write", strerror(errno));
        return;
    }
    if (log_append(&log_file, command->line, (size_t)command->len, &offset, &cut, &error) < 0)
        fail("append", error.text);
}

/* --- where it becomes visible --- */

static const char *folder;
static struct view *view;
static struct view_waiter waiter;
static MDB_env *env;
static int watch = -1;

static void open_view(const char *where)
{
    double deadline = now_ms() + DEADLINE_S * 1e3;
    char wake[4096];
    int code;

    if (strncmp(where, "lmdb:", 5) != 0) {
        folder = where;
        view_waiter_open(&waiter, folder);
        return;
    }
    snprintf(wake, sizeof wake, "%s/wake", where + 5);
    watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0 || inotify_add_watch(watch, wake, IN_MODIFY) < 0)
        fail(wake, strerror(errno));
    code = mdb_env_create(&env);
    while (!code && (code = mdb_env_open(env, where + 5, MDB_RDONLY, 0)) == ENOENT &&
           now_ms() < deadline) {
        mdb_env_close(env); /* hop has yet to make it */
        poll(NULL, 0, 10);
        code = mdb_env_create(&env);
    }
    if (code)
        fail(where, mdb_strerror(code));
}

static int in_view(const struct sent *command)
{
    struct outcome outcome;
    struct view_txn *txn;
    struct error error;
    int found;

    if (view_refresh(folder, &view, &error) < 0) {
        if (error.status == EX_TEMPFAIL) /* not there yet */
            return 0;
        fail(folder, error.text);
    }
    if (view_snapshot(view, &txn, &error) < 0)
        fail(folder, error.text);
    found = view_get_outcome(txn, &command->value_id, &command->id, &outcome, &error);
    view_abort(txn);
    if (found < 0)
        fail(folder, error.text);
    return found;
}

static int in_lmdb(const struct sent *command)
{
    MDB_val key = {ID_TEXT, (void *)(size_t)command->value_text}, value;
    MDB_txn *txn;
    MDB_dbi table;
    int code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

    if (!code)
        code = mdb_dbi_open(txn, NULL, 0, &table);
    if (!code)
        code = mdb_get(txn, table, &key, &value);
    mdb_txn_abort(txn);
    if (code && code != MDB_NOTFOUND)
        fail("look", mdb_strerror(code));
    return code == 0;
}

static void wait_for_change(void)
{
    char events[4096];
    struct pollfd polled = {.fd = watch, .events = POLLIN};

    if (!env) {
        view_wait(&waiter, 1000);
        return;
    }
    poll(&polled, 1, 1000);
    while (read(watch, events, sizeof events) > 0)
        ;
}

/* --- one after the other --- */

static double one(void)
{
    struct sent command;
    char id[ID_TEXT + 1];
    double begin, deadline;

    id_new(&command.id);
    id_new(&command.value_id);
    id_write(&command.id, id);
    id_write(&command.value_id, command.value_text);
    id[ID_TEXT] = command.value_text[ID_TEXT] = '\0';
    command.len = snprintf(
        command.line, sizeof command.line,
        "{\"action\":\"CreateValue\",\"id\":\"%s\",\"data\":{\"value_id\":\"%s\",\"value\":7.0}}\n",
        id, command.value_text);
    begin = now_ms();
    deadline = begin + DEADLINE_S * 1e3;
    write_command(&command);
    while (!(env ? in_lmdb(&command) : in_view(&command))) {
        if (now_ms() > deadline)
            fail(command.value_text, "not visible in time");
        wait_for_change();
    }
    return now_ms() - begin;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[1]) : 0;
    double *taken;

    if (count < 1) {
        fputs("usage: visible COUNT FILE | kafka:TOPIC VIEW | lmdb:FOLDER\n", stderr);
        return 64;
    }
    taken = calloc((size_t)count, sizeof *taken);
    open_log(argv[2], strncmp(argv[3], "lmdb:", 5) == 0);
    open_view(argv[3]);
    for (int i = -WARM_UP; i < count; i++) {
        double ms = one();
        if (i >= 0)
            taken[i] = ms;
        if (producer)
            rd_kafka_poll(producer, 0);
    }
    qsort(taken, (size_t)count, sizeof *taken, compare);
    printf("%.3f %.3f\n", taken[count / 2], taken[(int)(count * 0.99)]);
    if (producer)
        rd_kafka_destroy(producer);
    free(taken);
    return 0;
}
