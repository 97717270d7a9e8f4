/* Many subscribers to one value's server-sent events, and the projector that they hear of.
 *
 *   subscribers VIEW PORT STREAMS SLOW SECONDS RATE
 *
 * Opens STREAMS streams of /events on 127.0.0.1:PORT, of which SLOW are read at a fortieth of the pace that
 * they would need, and folds RATE events a second into VIEW, in batches of a hundredth of a second. Every stream
 * has to get every event, in order; the slow ones are given the time for that afterwards. Prints
 * microseconds from the end of the commit to the moment at which an event was read, of those that aren't
 * slow: the median, the 99th and the 99.9th percentile, and how many deliveries that were. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "store/view.h"

enum { BATCHES = 100, READ_BYTES = 1 << 16, LATEST_MS = 60000, BUCKETS = 1 << 20 /* of 10 us */ };

struct stream {
    int fd;
    bool slow;
    bool in_body;
    size_t chunk; /* what is left of it */
    char head[256], line[2048]; /* what came of one */
    size_t head_len, len;
    uint64_t version; /* told last */
};

static struct stream *streams;
static int stream_count, slow_count;
static uint64_t total;
static _Atomic int64_t *committed_ns; /* by version */
static uint32_t *buckets;
static uint64_t deliveries;
static uint64_t batch_events;
static const struct id value_id = {{1, 9, 8}};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "subscribers: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* --- the projector --- */

static void fold(struct view *view, uint64_t from, uint64_t to)
{
    struct view_position position = {true, to, to + 1, {{7}}, {{8}}};
    struct view_txn *txn;
    struct error error;

    if (view_begin(view, &txn, &error) < 0)
        fail(error.text);
    for (uint64_t version = from; version <= to; version++) {
        struct outcome event = {.action = version == 1 ? ACTION_CREATE : ACTION_ADD, .value_id = value_id,
                                .value = 1, .version = version, .result = (double)version,
                                .timestamp = timestamp_now()};
        memcpy(event.id.bytes, &version, sizeof version);
        event.id.bytes[15] = 1;
        event.parent = event.id;
        event.parent.bytes[15] = 2;
        if (view_apply_event(txn, &event, 0, version, &error) != 1)
            fail(error.text);
    }
    if (view_set_partitions(txn, VIEW_EVENTS, 1, &error) < 0 ||
        view_set_position(txn, VIEW_EVENTS, 0, &position, &error) < 0 ||
        view_commit(view, txn, &error) < 0)
        fail(error.text);
    for (uint64_t version = from; version <= to; version++)
        atomic_store(&committed_ns[version], now_ns());
}

static void *project(void *argument)
{
    struct view *view = argument;
    int64_t begin = now_ns();
    uint64_t done = 1;

    for (int64_t batch = 1; done < total; batch++) {
        int64_t left = begin + batch * (INT64_C(1000000000) / BATCHES) - now_ns();
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = left}, NULL);
        fold(view, done + 1, done + batch_events);
        done += batch_events;
    }
    return NULL;
}

/* --- the streams --- */

static void connect_stream(struct stream *stream, int port)
{
    static const char request[] = "GET /events?from=beginning HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int small = 16384;

    stream->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (stream->fd < 0)
        fail("socket");
    if (stream->slow)
        setsockopt(stream->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(stream->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        write(stream->fd, request, sizeof request - 1) != (ssize_t)(sizeof request - 1))
        fail("connect");
}

static void take_event(struct stream *stream)
{
    const char *found = memmem(stream->line, stream->len, "\"version\":", 10);
    uint64_t version;
    int64_t took;

    if (!found)
        return;
    version = strtoull(found + 10, NULL, 10);
    if (version != stream->version + 1) {
        fprintf(stderr, "subscribers: version %llu after %llu\n", (unsigned long long)version,
                (unsigned long long)stream->version);
        exit(1);
    }
    stream->version = version;
    deliveries++;
    if (stream->slow)
        return;
    took = (now_ns() - atomic_load(&committed_ns[version])) / 10000;
    if (!atomic_load(&committed_ns[version]) || took < 0)
        took = 0; /* it was told before the commit returned */
    buckets[took < BUCKETS ? took : BUCKETS - 1]++;
}

/* Bytes of the events, in whatever pieces. */
static void take_text(struct stream *stream, const char *text, size_t len)
{
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t some = end ? (size_t)(end - text) : len;
        if (stream->len + some >= sizeof stream->line)
            fail("a line is too long");
        memcpy(stream->line + stream->len, text, some);
        stream->len += some;
        if (!end)
            return;
        stream->line[stream->len] = '\0';
        if (stream->len > 6 && memcmp(stream->line, "data: ", 6) == 0)
            take_event(stream);
        stream->len = 0;
        text = end + 1;
        len -= some + 1;
    }
}

/* A line of the head, or a chunk's size. */
static void take_head(struct stream *stream)
{
    stream->head[stream->head_len] = '\0';
    stream->head_len = 0;
    if (stream->in_body)
        stream->chunk = strtoul(stream->head, NULL, 16); /* 0: the newline behind a chunk */
    else if (strncmp(stream->head, "HTTP/1.1", 8) == 0 && !strstr(stream->head, " 200"))
        fail(stream->head);
    else
        stream->in_body = stream->head[0] == '\r';
}

/* Bytes of the answer, in whatever pieces. */
static void take_bytes(struct stream *stream, const char *text, size_t len)
{
    while (len) {
        const char *end = stream->chunk ? NULL : memchr(text, '\n', len);
        size_t some = end ? (size_t)(end + 1 - text) : len;
        if (stream->chunk) {
            some = len < stream->chunk ? len : stream->chunk;
            take_text(stream, text, some);
            stream->chunk -= some;
        } else {
            if (stream->head_len + some >= sizeof stream->head)
                fail("a line of the head is too long");
            memcpy(stream->head + stream->head_len, text, some);
            stream->head_len += some;
            if (end)
                take_head(stream);
        }
        text += some;
        len -= some;
    }
}

static void read_stream(struct stream *stream, size_t most)
{
    static char bytes[READ_BYTES];
    ssize_t got = recv(stream->fd, bytes, most < sizeof bytes ? most : sizeof bytes, MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN))
        fail("a stream ended");
    if (got > 0)
        take_bytes(stream, bytes, (size_t)got);
}

/* Until all streams have that version, or all but the slow ones, which are read now and then. */
static void read_until(int epoll, uint64_t version, bool slow_too)
{
    struct epoll_event events[256];
    int64_t end = now_ns() + LATEST_MS * INT64_C(1000000), slow_at = now_ns();
    int behind = 1;

    while (behind) {
        int got = epoll_wait(epoll, events, 256, 10);
        if (now_ns() > end)
            fail("not all events came in time");
        for (int i = 0; i < got; i++)
            read_stream(&streams[events[i].data.u32], READ_BYTES);
        if (slow_count && (slow_too || now_ns() > slow_at)) {
            for (int i = 0; i < slow_count; i++)
                read_stream(&streams[i], slow_too ? READ_BYTES : 1024);
            slow_at = now_ns() + 100000000;
        }
        if (got < 256 || slow_too) {
            behind = 0;
            for (int i = slow_too ? 0 : slow_count; i < stream_count; i++)
                behind += streams[i].version < version;
        }
    }
}

static int64_t percentile(double share)
{
    uint64_t count = 0, seen = 0, i;

    for (i = 0; i < BUCKETS; i++)
        count += buckets[i];
    for (i = 0; i < BUCKETS && (double)(seen += buckets[i]) < (double)count * share; i++)
        ;
    return (int64_t)i * 10;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    struct view *view;
    struct error error;
    pthread_t projector;
    int epoll = epoll_create1(0), port, seconds, rate;

    if (argc != 7)
        return 64;
    port = atoi(argv[2]);
    stream_count = atoi(argv[3]);
    slow_count = atoi(argv[4]);
    seconds = atoi(argv[5]);
    rate = atoi(argv[6]);
    batch_events = (uint64_t)(rate / BATCHES);
    total = 1 + (uint64_t)seconds * BATCHES * batch_events;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    streams = calloc((size_t)stream_count, sizeof *streams);
    committed_ns = calloc(total + 1, sizeof *committed_ns);
    buckets = calloc(BUCKETS, sizeof *buckets);
    if (view_create(argv[1], &view, &error) < 0)
        fail(error.text);
    for (int i = 0; i < stream_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        streams[i].slow = i < slow_count;
        connect_stream(&streams[i], port);
        if (!streams[i].slow)
            epoll_ctl(epoll, EPOLL_CTL_ADD, streams[i].fd, &event);
    }
    fold(view, 1, 1);
    read_until(epoll, 1, true); /* now all are there */
    memset(buckets, 0, BUCKETS * sizeof *buckets);
    deliveries = 0;
    pthread_create(&projector, NULL, project, view);
    read_until(epoll, total, false);
    pthread_join(projector, NULL);
    printf("%lld %lld %lld", (long long)percentile(0.5), (long long)percentile(0.99), (long long)percentile(0.999));
    fflush(stdout);
    read_until(epoll, total, true);
    printf(" %llu\n", (unsigned long long)deliveries);
    if (deliveries != (total - 1) * (uint64_t)stream_count)
        fail("not every event came to everybody");
    view_close(view);
    return 0;
}
