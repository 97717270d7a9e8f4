#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/lock.h"
#include "store/state.h"

int output_open(struct output *output, const char *name, struct error *error)
{
    *output = (struct output){.lock = -1, .name = name};
    return name ? writer_open(name, &output->writer, error) : 0;
}

static void stop_comparing(struct output *output)
{
    reader_close(output->existing);
    output->existing = NULL;
}

void output_close(struct output *output)
{
    stop_comparing(output);
    writer_close(output->writer);
    buffer_release(&output->to_stderr);
    buffer_release(&output->leaving);
    if (output->lock >= 0)
        close(output->lock);
}

struct buffer *output_batch(struct output *output)
{
    return output->writer ? writer_batch(output->writer) : &output->to_stderr;
}

/* An output's lock is held for moments only: a stop can wait. */
static int next_record(struct reader *reader, struct line *record, struct error *error)
{
    int result;

    do
        result = reader_next(reader, record, error);
    while (result == READ_INTERRUPTED);
    return result;
}

/* Looks at the next line of the log; at its end there is nothing more to compare. */
static int look_ahead(struct output *output, struct error *error)
{
    int result = next_record(output->existing, &output->next, error);

    if (result < 0)
        return -1;
    output->blank = (result == READ_RECORD ? output->next.start
                                           : reader_offset(output->existing)) != output->end;
    if (result == READ_END && !output->blank) {
        output->torn = reader_torn(output->existing) > 0;
        stop_comparing(output);
    }
    return 0;
}

int output_claim(struct output *output, struct error *error)
{
    enum stream_kind kind;
    const char *path;

    if (!output->writer || !writer_is_log(output->writer))
        return 0;
    if (stream_parse(output->name, &kind, &path, error) < 0)
        return -1;
    output->lock = lock_for_life(path, ".lock", "calc-handle", error);
    return output->lock < 0 ? -1 : 0;
}

int output_resume(struct output *output, uint64_t end, uint64_t durable, struct error *error)
{
    stop_comparing(output);
    output_batch(output)->len = 0;
    output->resumed = output->unsynced = true;
    output->cuts = output->torn = false;
    output->end = end;
    output->durable = durable;
    if (reader_open(output->name, false, &output->existing, error) < 0 ||
        reader_seek(output->existing, 0, end, error) < 0)
        return -1;
    return look_ahead(output, error);
}

/* --- comparing --- */

static int damaged(const struct output *output, const char *derived, size_t len,
                   struct error *error)
{
    const struct line *found = &output->next;

    if (output->blank)
        return error_set(error, EX_DATAERR,
                         "%s: a blank line at %llu, which no handler writes; nothing was changed",
                         output->name, (unsigned long long)output->end);
    return error_set(error, EX_DATAERR,
                     "%s at %llu is not what the commands derive; nothing was changed\n"
                     "  derived: %.*s\n  found:   %.*s",
                     output->name, (unsigned long long)output->end, (int)(len > 300 ? 300 : len),
                     derived, (int)(found->len > 300 ? 300 : found->len), found->data);
}

int output_put(struct output *output, size_t from, struct error *error)
{
    struct buffer *batch = output_batch(output);
    const struct line *found = &output->next;
    size_t len = batch->len - from - 1; /* without its newline */

    if (batch->failed)
        return error_memory(error);
    if (!output->existing) {
        output->last = output->end + from;
        return 0;
    }
    if (!output->blank && !found->oversize && found->len == len &&
        memcmp(found->data, batch->data + from, len) == 0) {
        output->last = found->start;
        output->end = found->end;
        batch->len = from;
        return look_ahead(output, error);
    }
    if (output->end < output->durable)
        return damaged(output, batch->data + from, len, error);
    output->cuts = true;
    output->last = output->end + from;
    stop_comparing(output);
    return 0;
}

int output_check_end(const struct output *output, struct error *error)
{
    if (!output->existing)
        return 0;
    if (output->blank)
        return damaged(output, "", 0, error);
    return error_set(error, EX_DATAERR,
                     "%s goes on at %llu behind everything that the commands derive; "
                     "nothing was changed\n  found:   %.*s",
                     output->name, (unsigned long long)output->end,
                     (int)(output->next.len > 300 ? 300 : output->next.len), output->next.data);
}

bool output_comparing(const struct output *output)
{
    return output->existing != NULL;
}

/* --- writing --- */

static int write_stderr(struct buffer *batch, struct error *error)
{
    int result = batch->failed ? error_memory(error) : 0;

    for (size_t done = 0; done < batch->len && result == 0;) {
        ssize_t put = write(STDERR_FILENO, batch->data + done, batch->len - done);
        if (put < 0 && errno != EINTR)
            result = error_errno(error, EX_IOERR, "can't write to stderr");
        else if (put > 0)
            done += (size_t)put;
    }
    batch->len = 0;
    return result;
}

/* Whether a commit has something to do. */
bool output_is_due(const struct output *output)
{
    return (output->writer ? writer_batch(output->writer)->len : output->to_stderr.len) || output->torn;
}

static void say_torn(uint64_t cut, uint64_t offset)
{
    if (cut)
        diag_warn("cut off a torn tail of %llu bytes that a crash left before %llu",
                  (unsigned long long)cut, (unsigned long long)offset);
}

/* What stands behind the end goes: a difference that is an unsynced tail, or half a line. */
static int cut_tail(struct output *output, struct error *error)
{
    uint64_t cut;

    if (writer_cut(output->writer, output->leaves_at, &cut, error) < 0)
        return -1;
    if (output->cuts)
        diag_warn("%s: cut off %llu bytes at %llu, which differ from what the commands derive and "
                  "were never known to be durable: they are derived again",
                  output->name, (unsigned long long)cut, (unsigned long long)output->leaves_at);
    else
        say_torn(cut, output->leaves_at);
    output->cuts = output->torn = false;
    return 0;
}

bool output_only_grows(const struct output *output)
{
    return output->resumed && !output->existing && !output->cuts && !output->torn;
}

/* Of what isn't gone on with, the batch is written where it is. */
void output_take(struct output *output)
{
    struct buffer *batch = output_batch(output), emptied = output->leaving;

    if (!output->resumed)
        return;
    output->leaving = *batch;
    *batch = emptied;
    output->leaves_at = output->end;
    output->end += output->leaving.len;
}

static int append_to_log(struct output *output, struct error *error)
{
    struct buffer *lines = &output->leaving;
    uint64_t offset = output->leaves_at, cut = 0;
    int result = lines->failed ? error_memory(error) : 0;

    if (result == 0 && lines->len)
        result = writer_append(output->writer, lines, &offset, &cut, error);
    lines->len = 0;
    say_torn(cut, offset);
    if (result == 0 && offset != output->leaves_at)
        return error_set(error, EX_DATAERR,
                         "%s: something else wrote to it: it ended at %llu, where it should have "
                         "at %llu",
                         output->name, (unsigned long long)offset,
                         (unsigned long long)output->leaves_at);
    return result;
}

int output_append(struct output *output, struct error *error)
{
    if (!output->writer)
        return write_stderr(&output->to_stderr, error);
    if (!output->resumed)
        return writer_commit(output->writer, NULL, NULL, error);
    if ((output->cuts || output->torn) && cut_tail(output, error) < 0)
        return -1;
    return append_to_log(output, error);
}

int output_sync(struct output *output, struct error *error)
{
    if (!output->unsynced)
        return 0;
    output->unsynced = false;
    return writer_sync(output->writer, error);
}

int output_digest(const struct output *output, uint64_t from, uint64_t to, struct id *digest,
                  struct error *error)
{
    size_t len = (size_t)(to - from);
    char *line = from < to && len <= LINE_MAX_BYTES ? malloc(len) : NULL;
    int result = -1;

    if (!line)
        error_set(error, EX_DATAERR, "%s has no outcome from %llu to %llu", output->name,
                  (unsigned long long)from, (unsigned long long)to);
    else
        result = writer_read(output->writer, from, line, len, error);
    if (result == 0 && memchr(line, '\n', len) != line + len - 1)
        result = error_set(error, EX_DATAERR, "%s has no line from %llu to %llu", output->name,
                           (unsigned long long)from, (unsigned long long)to);
    if (result == 0)
        state_digest(line, len - 1, digest);
    free(line);
    return result;
}
