#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool/stats.h"
#include "tool/stop.h"

/* How much is put into the output, or looked through, in one snapshot. */
enum { WRITE_BYTES = 1 << 16, LOOK_RECORDS = 1 << 16 };

/* --- output --- */

/* A record's line: its canonical one with the cursor behind it as its last member. */
static int put_line(struct watch *watch, const struct view_record *record, struct error *error)
{
    struct buffer *out = &watch->out;

    outcome_write(&record->outcome, out);
    if (!out->failed)
        out->len -= 2; /* the brace and the newline */
    buffer_append_text(out, ",\"cursor\":\"");
    view_cursor_write(&watch->cursor, out);
    buffer_append_text(out, "\"}\n");
    return out->failed ? error_memory(error) : 0;
}

/* How much to write at once: whole lines, as many as a pipe takes without blocking, or a piece of one
 * that is longer. */
static size_t piece(const struct buffer *out, size_t from)
{
    size_t left = out->len - from;
    const char *end;

    if (left <= PIPE_BUF)
        return left;
    end = memrchr(out->data + from, '\n', PIPE_BUF);
    return end ? (size_t)(end + 1 - (out->data + from)) : PIPE_BUF;
}

/* Writes what is in the output. A reader that stands still doesn't keep a stop from ending us, then with
 * whole lines: no more than a pipe has room for is written at once. */
static int flush(struct watch *watch, struct error *error)
{
    struct pollfd wait[] = {{.fd = STDOUT_FILENO, .events = POLLOUT},
                            {.fd = stop_fd(), .events = POLLIN}};
    size_t done = 0;

    while (done < watch->out.len) {
        bool in_line = done && watch->out.data[done - 1] != '\n';
        int ready = poll(wait, 2, -1);
        stats_tick();
        if (ready < 0)
            continue; /* a signal, and not what is waited for */
        if (!wait[0].revents && !in_line)
            break;
        if (!wait[0].revents)
            continue;
        ssize_t put = write(STDOUT_FILENO, watch->out.data + done, piece(&watch->out, done));
        if (put < 0 && errno != EINTR)
            return error_errno(error, EX_IOERR, "can't write to stdout");
        if (put > 0)
            done += (size_t)put;
    }
    watch->out.len = 0;
    return 0;
}

/* --- the view --- */

/* The view that is there now. */
static int open_view(struct watch *watch, struct error *error)
{
    if (watch->view && !view_replaced(watch->view))
        return 0;
    view_close(watch->view);
    watch->view = NULL;
    watch->placed = false;
    return view_open(watch->folder, &watch->view, error);
}

/* Puts the cursor where it was asked for, or where it was, in a view that replaced another. */
static int place(struct watch *watch, struct view_txn *txn, struct error *error)
{
    bool now = !watch->begun && strcmp(watch->from, "now") == 0;

    if (watch->placed)
        return 0;
    if ((now ? view_cursor_place_at_end(txn, &watch->cursor, error)
             : view_cursor_place(txn, &watch->cursor, error)) < 0)
        return -1;
    watch->placed = watch->begun = true;
    return 0;
}

static bool asks_for(const struct watch *watch, const struct view_record *record)
{
    if (!watch->ids.count)
        return true;
    return record->outcome.reason != REASON_MALFORMED &&
           table_find(&watch->ids, &record->outcome.value_id) != NULL;
}

static void begin_progress(struct watch *watch, struct view_txn *txn)
{
    uint64_t last, next = watch->cursor.sequence;
    struct error error;

    if (!watch->ends || watch->progress.what || !isatty(STDERR_FILENO) || isatty(STDOUT_FILENO))
        return;
    if (view_get_last(txn, &last, &error) < 0 || last < next)
        last = next;
    progress_begin(&watch->progress, "watching", "records", last - next);
}

/* Puts records that are asked for into the output. 1 if there may be more, 0 if not yet, -1. */
static int take(struct watch *watch, struct view_txn *txn, struct error *error)
{
    struct view_record record;
    int result = 1;

    begin_progress(watch, txn);
    for (int count = 0; count < LOOK_RECORDS && watch->out.len < WRITE_BYTES; count++) {
        result = view_cursor_next(txn, &watch->cursor, &record, error);
        if (result <= 0)
            break;
        progress_add(&watch->progress, 1, 1);
        if (!asks_for(watch, &record)) {
            watch->passed++;
            continue;
        }
        if (put_line(watch, &record, error) < 0)
            return -1;
        watch->told[record.log]++;
    }
    return result;
}

/* What isn't ready yet is, unless we end when everything was told, as if there were no more records. */
static int not_yet(const struct watch *watch, const struct error *error)
{
    return error->status == EX_TEMPFAIL && !watch->ends ? 0 : -1;
}

/* Nothing is written while a snapshot is held: output may stall. */
static int look(struct watch *watch, struct error *error)
{
    struct view_txn *txn;
    int result;

    if (open_view(watch, error) < 0)
        return not_yet(watch, error);
    if (view_snapshot(watch->view, &txn, error) < 0)
        return -1;
    result = place(watch, txn, error) < 0 ? not_yet(watch, error) : take(watch, txn, error);
    view_abort(txn);
    return result;
}

/* Waits until the view may have changed, a stop is asked for, or so much time has gone by. Whoever
 * doesn't read our output any more ends us, as if we had written to them. */
static int wait_for_change(struct watch *watch, int64_t left_ms, struct error *error)
{
    struct pollfd wait[] = {{.fd = watch->waiter.fd, .events = POLLIN},
                            {.fd = stop_fd(), .events = POLLIN},
                            {.fd = STDOUT_FILENO}};
    int most_ms = view_wait_most(&watch->waiter);

    poll(wait, 3, left_ms < most_ms ? (int)left_ms : most_ms);
    if (wait[2].revents & POLLERR) {
        raise(SIGPIPE);
        errno = EPIPE; /* it is ignored, as systemd does */
        return error_errno(error, EX_IOERR, "can't write to stdout");
    }
    view_wait(&watch->waiter, 0);
    return 0;
}

/* --- asked from outside --- */

int watch_open(struct watch *watch, struct error *error)
{
    view_waiter_open(&watch->waiter, watch->folder);
    /* before there was any view is before everything */
    if (strcmp(watch->from, "now") == 0 && !view_is_there(watch->folder))
        watch->from = "beginning";
    if (strcmp(watch->from, "now") == 0 || strcmp(watch->from, "beginning") == 0)
        return 0;
    return view_cursor_read(watch->from, strlen(watch->from), &watch->cursor, error);
}

void watch_close(struct watch *watch)
{
    progress_end(&watch->progress);
    view_close(watch->view);
    view_waiter_close(&watch->waiter);
    view_cursor_release(&watch->cursor);
    buffer_release(&watch->out);
    table_release(&watch->ids);
}

int watch_follow(struct watch *watch, struct error *error)
{
    while (!stop_asked()) {
        int result = look(watch, error);
        if (result < 0 || flush(watch, error) < 0)
            return -1;
        stats_tick();
        if (result == 0 && watch->ends)
            break;
        if (result == 0 && !stop_asked() && wait_for_change(watch, INT_MAX, error) < 0)
            return -1;
    }
    return 0;
}

/* The outcome with the cursor behind it. 1, 0, -1. */
static int find_outcome(struct watch *watch, struct view_txn *txn, const struct id *value_id,
                        const struct id *command_id, enum reason *reason, struct error *error)
{
    struct view_record record;
    uint64_t sequence;
    int result = view_get_outcome_sequence(txn, value_id, command_id, &sequence, error);

    if (result <= 0)
        return result;
    if (view_get_outcome(txn, value_id, command_id, &record.outcome, error) < 0 ||
        view_cursor_place_behind(txn, &watch->cursor, sequence, error) < 0)
        return -1;
    *reason = record.outcome.reason;
    return put_line(watch, &record, error) < 0 ? -1 : 1;
}

static int look_for_outcome(struct watch *watch, const struct id *value_id,
                            const struct id *command_id, enum reason *reason, struct error *error)
{
    struct view_txn *txn;
    int result;

    if (open_view(watch, error) < 0)
        return error->status == EX_TEMPFAIL ? 0 : -1;
    if (view_snapshot(watch->view, &txn, error) < 0)
        return -1;
    result = find_outcome(watch, txn, value_id, command_id, reason, error);
    view_abort(txn);
    return result;
}

int watch_outcome(struct watch *watch, const struct id *value_id, const struct id *command_id,
                  int64_t deadline_ms, enum reason *reason, struct error *error)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_ms();
        int result = look_for_outcome(watch, value_id, command_id, reason, error);
        if (result > 0)
            return flush(watch, error) < 0 ? -1 : 1;
        if (result < 0 || left_ms <= 0)
            return result;
        stats_tick();
        if (wait_for_change(watch, left_ms, error) < 0)
            return -1;
    }
}

void watch_write_stats(void *context, struct buffer *out)
{
    struct watch *watch = context;

    buffer_printf(out, ",\"records_out\":{\"events\":%llu,\"rejections\":%llu}",
                  (unsigned long long)watch->told[VIEW_EVENTS],
                  (unsigned long long)watch->told[VIEW_REJECTIONS]);
    stats_number(out, "passed_over", watch->passed);
    if (!watch->placed)
        return;
    buffer_append_text(out, ",\"cursor\":\"");
    view_cursor_write(&watch->cursor, out);
    buffer_append_text(out, "\"");
}
