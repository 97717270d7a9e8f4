#include "output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/diag.h"

int output_open(struct output *output, const char *name, struct error *error)
{
    *output = (struct output){.lock = -1};
    return name ? writer_open(name, &output->writer, error) : 0;
}

void output_close(struct output *output)
{
    reader_close(output->existing);
    writer_close(output->writer);
    buffer_release(&output->to_stderr);
    if (output->lock >= 0)
        close(output->lock);
}

struct buffer *output_batch(struct output *output)
{
    return output->writer ? writer_batch(output->writer) : &output->to_stderr;
}

/* Looks at the next line of the log; at its end there is nothing more to compare. */
static int look_ahead(struct output *output, struct error *error)
{
    uint64_t start;
    int result;

    do /* an output's lock is held for moments only: a stop can wait */
        result = reader_next(output->existing, &output->next, error);
    while (result == READ_INTERRUPTED);
    if (result < 0)
        return -1;
    start = result == READ_RECORD ? output->next.start : reader_offset(output->existing);
    if (start != output->compared)
        return error_set(error, EX_DATAERR, "%s: a blank line at %llu, which no handler writes",
                         reader_name(output->existing), (unsigned long long)output->compared);
    if (result == READ_END) {
        reader_close(output->existing);
        output->existing = NULL;
    }
    return 0;
}

int output_claim(struct output *output, const char *name, bool resume, struct error *error)
{
    enum stream_kind kind;
    const char *path;

    if (!output->writer || !writer_is_log(output->writer))
        return 0;
    if (stream_parse(name, &kind, &path, error) < 0)
        return -1;
    output->lock = lock_for_life(path, ".lock", "calc-handle", error);
    if (output->lock < 0)
        return -1;
    if (!resume)
        return 0;
    if (reader_open(name, false, &output->existing, error) < 0)
        return -1;
    return look_ahead(output, error);
}

int output_put(struct output *output, size_t from, struct error *error)
{
    struct buffer *batch = output_batch(output);
    const struct line *found = &output->next;
    size_t len = batch->len - from - 1; /* without its newline */

    if (batch->failed)
        return error_memory(error);
    if (!output->existing)
        return 0;
    if (found->oversize || found->len != len || memcmp(found->data, batch->data + from, len) != 0)
        return error_set(error, EX_DATAERR,
                         "%s at %llu is not what the commands derive; this log was not changed\n"
                         "  derived: %.*s\n  found:   %.*s",
                         reader_name(output->existing), (unsigned long long)output->compared,
                         (int)(len > 300 ? 300 : len), batch->data + from,
                         (int)(found->len > 300 ? 300 : found->len), found->data);
    output->compared = found->end;
    batch->len = from;
    return look_ahead(output, error);
}

int output_check_end(const struct output *output, struct error *error)
{
    if (!output->existing)
        return 0;
    return error_set(error, EX_DATAERR,
                     "%s goes on at %llu behind everything that the commands derive; "
                     "this log was not changed\n  found:   %.*s",
                     reader_name(output->existing), (unsigned long long)output->compared,
                     (int)(output->next.len > 300 ? 300 : output->next.len), output->next.data);
}

bool output_comparing(const struct output *output)
{
    return output->existing != NULL;
}

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

int output_commit(struct output *output, struct error *error)
{
    uint64_t offset, cut;
    int result;

    if (!output->writer)
        return write_stderr(&output->to_stderr, error);
    result = writer_commit(output->writer, &offset, &cut, error);
    if (cut)
        diag_warn("cut off a torn tail of %llu bytes that a crash left before %llu",
                 (unsigned long long)cut, (unsigned long long)offset);
    return result;
}
