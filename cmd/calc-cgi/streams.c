#include "streams.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "lap.h"
#include "tail.h"
#include "tool/stop.h"

enum {
    CHUNK_BYTES = 32768,      /* to a stream at once */
    STACK_BYTES = 256 * 1024,
    EVENTS = 64,              /* taken from epoll at once */
};

struct stream {
    struct outlet outlet;
    struct feed *feed;
    int64_t beat_ms; /* when to say something, if there is nothing else */
    bool ended;
    struct stream *next; /* of those that were handed over */
};

struct streams {
    struct viewer *viewer;
    struct policy_file *policy;
    int most;
    pthread_t thread;
    int wake_fd; /* readable when something was handed over */
    int epoll_fd;
    struct view_waiter waiter;
    struct stream **all; /* `most` of them at most */
    int count;
    struct tail tail;
    struct lap lap;
    struct buffer chunk;

    pthread_mutex_t mutex; /* for what follows */
    struct stream *added;
    int reserved; /* those that run included */
    bool closed;  /* nothing is taken any more */
};

/* --- places --- */

bool streams_reserve(struct streams *streams)
{
    bool room;

    pthread_mutex_lock(&streams->mutex);
    room = streams->reserved < streams->most && !streams->closed;
    if (room)
        streams->reserved++;
    pthread_mutex_unlock(&streams->mutex);
    return room;
}

void streams_give_back(struct streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    streams->reserved--;
    pthread_mutex_unlock(&streams->mutex);
}

int streams_count(struct streams *streams)
{
    int count;

    pthread_mutex_lock(&streams->mutex);
    count = streams->reserved;
    pthread_mutex_unlock(&streams->mutex);
    return count;
}

static void free_stream(struct streams *streams, struct stream *stream)
{
    outlet_close(&stream->outlet);
    feed_close(stream->feed);
    free(stream);
    streams_give_back(streams);
}

void streams_wake(struct streams *streams)
{
    uint64_t one = 1;

    if (write(streams->wake_fd, &one, sizeof one) < 0) {
        /* the counter is full: it is readable already */
    }
}

void streams_add(struct streams *streams, const struct outlet *outlet, const struct buffer *head,
                 struct feed *feed)
{
    struct stream *stream = calloc(1, sizeof *stream);
    bool closed;

    if (!stream) {
        close(outlet->fd);
        feed_close(feed);
        streams_give_back(streams);
        return;
    }
    stream->outlet = *outlet;
    stream->feed = feed;
    stream->ended = head->failed || outlet_put(&stream->outlet, head->data, head->len) < 0;
    pthread_mutex_lock(&streams->mutex);
    closed = streams->closed;
    if (!closed) {
        stream->next = streams->added;
        streams->added = stream;
    }
    pthread_mutex_unlock(&streams->mutex);
    if (closed)
        free_stream(streams, stream);
    else
        streams_wake(streams);
}

/* --- the thread --- */

static void set_beat(struct stream *stream)
{
    stream->beat_ms = clock_ms() + FEED_BEAT_MS;
}

/* Takes what was handed over. */
static void take_added(struct streams *streams)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    struct stream *stream, *next;
    uint64_t count;

    if (read(streams->wake_fd, &count, sizeof count) < 0) {
        /* nothing was */
    }
    pthread_mutex_lock(&streams->mutex);
    next = streams->added;
    streams->added = NULL;
    pthread_mutex_unlock(&streams->mutex);
    while ((stream = next)) {
        next = stream->next;
        event.data.ptr = stream;
        streams->all[streams->count++] = stream;
        set_beat(stream);
        if (epoll_ctl(streams->epoll_fd, EPOLL_CTL_ADD, stream->outlet.fd, &event) < 0)
            stream->ended = true;
    }
}

/* What happened to the connections. They are told of once: each is read, and written, until it takes no
 * more. */
static void take_events(struct streams *streams)
{
    struct epoll_event events[EVENTS];
    int got;

    do {
        got = epoll_wait(streams->epoll_fd, events, EVENTS, 0);
        for (int i = 0; i < got; i++) {
            struct stream *stream = events[i].data.ptr;
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                stream->ended |= outlet_is_gone(&stream->outlet);
            if (!stream->ended && outlet_is_full(&stream->outlet))
                stream->ended = outlet_flush(&stream->outlet) < 0;
        }
    } while (got == EVENTS);
}

static void end_refused(struct streams *streams)
{
    for (int i = 0; i < streams->count; i++)
        streams->all[i]->ended |= !access_lasts(streams->policy, &streams->all[i]->feed->asker);
}

static void put(struct stream *stream, const char *text, size_t len)
{
    if (!len)
        return;
    stream->ended |= outlet_put(&stream->outlet, text, len) < 0;
    set_beat(stream);
}

/* 1 if there may be more, 0 if not yet, -1. */
static int read_view(struct streams *streams, struct view_txn *txn, struct stream *stream,
                     struct error *error)
{
    int result;

    streams->chunk.len = 0;
    result = feed_read(txn, stream->feed, CHUNK_BYTES, &streams->chunk, error);
    if (result >= 0)
        put(stream, streams->chunk.data, streams->chunk.len);
    tail_join(&streams->tail, stream->feed);
    return result;
}

/* The same, of the tail; TAIL_LEFT if it isn't there. */
static int read_tail(struct streams *streams, struct stream *stream, struct error *error)
{
    const char *text;
    size_t len;
    int result =
        tail_read(&streams->tail, stream->feed, CHUNK_BYTES, &streams->chunk, &text, &len);

    if (result >= 0)
        put(stream, text, len);
    return result == -1 ? error_memory(error) : result;
}

static void end_with(struct stream *stream, const struct error *error)
{
    diag_error("a stream ends: %s", error->text);
    stream->ended = true;
}

/* Whether a stream can be told something: not one whose view is folded anew, and will come there. */
static bool is_ready(struct streams *streams, struct view_txn *txn, struct stream *stream)
{
    struct error error;

    if (outlet_is_full(&stream->outlet) || stream->ended)
        return false;
    if (feed_place(streams->viewer, txn, stream->feed, &error) == 0)
        return true;
    if (error.status != EX_TEMPFAIL)
        end_with(stream, &error);
    return false;
}

/* Tells a stream what it wasn't told yet, or some of it. Whether there may be more at once. */
static bool serve(struct streams *streams, struct view_txn *txn, struct stream *stream)
{
    struct error error;
    int result;

    if (!is_ready(streams, txn, stream))
        return false;
    result = read_tail(streams, stream, &error);
    if (result == TAIL_LEFT && stream->feed->one && streams->tail.placed)
        return false; /* its lap comes */
    if (result == TAIL_LEFT)
        result = read_view(streams, txn, stream, &error);
    if (result < 0)
        end_with(stream, &error);
    return result > 0 && !outlet_is_full(&stream->outlet);
}

/* --- those that are behind, and hear of one value --- */

static bool waits_for_lap(const struct streams *streams, const struct stream *stream)
{
    return stream->feed->one && !stream->feed->joined && !stream->ended &&
           stream->feed->opening == streams->tail.opening && !outlet_is_full(&stream->outlet) &&
           stream->feed->cursor.sequence < streams->tail.cursor.sequence;
}

/* Where the next stretch begins: with the first of them that isn't before the last one's end; else with the
 * first of all. UINT64_MAX if none of them waits. */
static uint64_t next_stretch(const struct streams *streams)
{
    uint64_t first = UINT64_MAX, next = UINT64_MAX;

    for (int i = 0; i < streams->count; i++) {
        uint64_t sequence = streams->all[i]->feed->cursor.sequence;
        if (!waits_for_lap(streams, streams->all[i]))
            continue;
        if (sequence < first)
            first = sequence;
        if (sequence >= streams->lap.end && sequence < next)
            next = sequence;
    }
    return next < UINT64_MAX ? next : first;
}

static void take_stretch(struct streams *streams, struct stream *stream)
{
    while (lap_has(&streams->lap, stream->feed) && !outlet_is_full(&stream->outlet) &&
           !stream->ended) {
        streams->chunk.len = 0;
        if (lap_take(&streams->lap, stream->feed, CHUNK_BYTES, &streams->chunk) < 0) {
            stream->ended = true; /* no memory: it comes again */
            buffer_release(&streams->chunk);
        } else {
            put(stream, streams->chunk.data, streams->chunk.len);
        }
    }
    tail_join(&streams->tail, stream->feed);
}

/* Whether there may be more at once. */
static bool serve_lap(struct streams *streams, struct view_txn *txn)
{
    uint64_t sequence = next_stretch(streams);
    struct error error;

    if (sequence == UINT64_MAX) {
        lap_release(&streams->lap);
        return false;
    }
    if (lap_read(txn, &streams->lap, sequence, &error) < 0) {
        for (int i = 0; i < streams->count; i++)
            if (waits_for_lap(streams, streams->all[i]))
                end_with(streams->all[i], &error);
        return false;
    }
    for (int i = 0; i < streams->count; i++)
        if (waits_for_lap(streams, streams->all[i]))
            take_stretch(streams, streams->all[i]);
    return true;
}

/* --- all of them --- */

static bool serve_all(struct streams *streams)
{
    struct view_txn *txn;
    struct error error;
    bool more;

    if (!streams->count)
        tail_release(&streams->tail);
    if (!streams->count || viewer_begin(streams->viewer, &txn, &error) < 0)
        return false; /* it will be there again */
    /* after an error they read the view by themselves, and it is theirs */
    more = tail_follow(streams->viewer, txn, &streams->tail, &error) > 0;
    for (int i = 0; i < streams->count; i++)
        more |= serve(streams, txn, streams->all[i]);
    more |= serve_lap(streams, txn);
    viewer_end(streams->viewer, txn);
    return more;
}

/* Says something to those who heard nothing for long, so that the servers between know that we are
 * there, and we, whether they are. */
static void beat(struct streams *streams)
{
    int64_t now_ms = clock_ms();

    for (int i = 0; i < streams->count; i++) {
        struct stream *stream = streams->all[i];
        if (stream->ended || now_ms < stream->beat_ms || outlet_is_full(&stream->outlet))
            continue;
        streams->chunk.len = 0;
        feed_write_beat(stream->feed, &streams->chunk);
        if (streams->chunk.failed)
            buffer_release(&streams->chunk);
        else
            put(stream, streams->chunk.data, streams->chunk.len);
    }
}

static void drop_ended(struct streams *streams)
{
    int kept = 0;

    for (int i = 0; i < streams->count; i++)
        if (streams->all[i]->ended)
            free_stream(streams, streams->all[i]);
        else
            streams->all[kept++] = streams->all[i];
    streams->count = kept;
}

/* Waits until there is something to do; without streams that is only a new one. */
static void wait_for_work(struct streams *streams)
{
    struct pollfd wait[] = {{.fd = streams->wake_fd, .events = POLLIN},
                            {.fd = stop_fd(), .events = POLLIN},
                            {.fd = streams->epoll_fd, .events = POLLIN},
                            {.fd = streams->waiter.fd, .events = POLLIN}};

    poll(wait, streams->count ? 4 : 2, streams->count ? view_wait_most(&streams->waiter) : -1);
    view_wait(&streams->waiter, 0);
}

static void *work(void *argument)
{
    struct streams *streams = argument;

    while (!stop_asked()) {
        bool more;
        take_added(streams);
        take_events(streams);
        end_refused(streams);
        more = serve_all(streams);
        beat(streams);
        drop_ended(streams);
        if (!more)
            wait_for_work(streams);
    }
    pthread_mutex_lock(&streams->mutex);
    streams->closed = true;
    pthread_mutex_unlock(&streams->mutex);
    take_added(streams);
    for (int i = 0; i < streams->count; i++)
        streams->all[i]->ended = true;
    drop_ended(streams);
    return NULL;
}

/* --- opening --- */

static int start(struct streams *streams, struct error *error)
{
    pthread_attr_t attributes;
    int code;

    streams->all = calloc((size_t)streams->most + 1, sizeof *streams->all);
    streams->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    streams->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!streams->all || streams->wake_fd < 0 || streams->epoll_fd < 0)
        return error_set(error, EX_UNAVAILABLE, "can't start the thread of the streams");
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    code = pthread_create(&streams->thread, &attributes, work, streams);
    pthread_attr_destroy(&attributes);
    return code ? error_set(error, EX_UNAVAILABLE, "can't start the thread of the streams") : 0;
}

static void release(struct streams *streams)
{
    view_waiter_close(&streams->waiter);
    pthread_mutex_destroy(&streams->mutex);
    if (streams->wake_fd >= 0)
        close(streams->wake_fd);
    if (streams->epoll_fd >= 0)
        close(streams->epoll_fd);
    buffer_release(&streams->chunk);
    tail_release(&streams->tail);
    lap_release(&streams->lap);
    free(streams->all);
    free(streams);
}

int streams_open(struct viewer *viewer, struct policy_file *policy, int most,
                 struct streams **out, struct error *error)
{
    struct streams *streams = calloc(1, sizeof *streams);

    if (!streams)
        return error_memory(error);
    *streams = (struct streams){
        .viewer = viewer, .policy = policy, .most = most, .wake_fd = -1, .epoll_fd = -1};
    pthread_mutex_init(&streams->mutex, NULL);
    view_waiter_open(&streams->waiter, viewer->folder);
    if (start(streams, error) < 0) {
        release(streams);
        return -1;
    }
    *out = streams;
    return 0;
}

void streams_close(struct streams *streams)
{
    if (!streams)
        return;
    pthread_join(streams->thread, NULL);
    release(streams);
}
