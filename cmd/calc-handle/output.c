#include "output.h"

#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/diag.h"

int output_open(struct output *output, const char *name, bool resume, struct error *error)
{
    enum stream_kind kind;
    const char *path;

    *output = (struct output){.lock = -1};
    if (!name)
        return 0;
    if (stream_parse(name, &kind, &path, error) < 0)
        return -1;
    if (kind == STREAM_FILE &&
        (output->lock = lock_for_life(path, ".lock", "calc-handle", error)) < 0)
        return -1;
    if (writer_open(name, &output->writer, error) < 0)
        return -1;
    if (kind == STREAM_FILE && resume)
        return reader_open(name, false, &output->existing, error);
    return 0;
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

/* The next whole line of the log, blank ones included; false at its end. */
static int next_existing(struct output *output, struct line *line, struct error *error)
{
    int result = reader_next(output->existing, line, error);

    if (result == READ_RECORD && line->start != output->compared)
        return error_set(error, EX_DATAERR, "%s: a blank line at %llu, which no handler writes",
                         reader_name(output->existing), (unsigned long long)output->compared);
    return result;
}

static int differs(const struct output *output, const char *wanted, size_t wanted_len,
                   const struct line *found, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "%s at %llu is not what the commands derive; nothing was changed\n"
                     "  derived: %.*s\n  found:   %.*s",
                     reader_name(output->existing), (unsigned long long)output->compared,
                     (int)(wanted_len > 300 ? 300 : wanted_len), wanted,
                     (int)(found->len > 300 ? 300 : found->len), found->data);
}

int output_put(struct output *output, size_t from, struct error *error)
{
    struct buffer *batch = output_batch(output);
    const char *wanted = batch->data + from;
    size_t len = batch->len - from - 1; /* without its newline */
    struct line found;
    int result;

    if (!output->existing)
        return 0;
    if (batch->failed)
        return error_memory(error);
    result = next_existing(output, &found, error);
    if (result < 0)
        return -1;
    if (result == READ_END) {
        reader_close(output->existing);
        output->existing = NULL;
        return 0;
    }
    if (found.oversize || found.len != len || memcmp(found.data, wanted, len) != 0)
        return differs(output, wanted, len, &found, error);
    output->compared = found.end;
    batch->len = from;
    return 0;
}

int output_check_end(struct output *output, struct error *error)
{
    struct line found;
    int result;

    if (!output->existing)
        return 0;
    result = next_existing(output, &found, error);
    if (result < 0)
        return -1;
    if (result == READ_RECORD)
        return error_set(error, EX_DATAERR,
                         "%s goes on at %llu behind everything that the commands derive; "
                         "nothing was changed\n  found:   %.*s",
                         reader_name(output->existing), (unsigned long long)output->compared,
                         (int)(found.len > 300 ? 300 : found.len), found.data);
    reader_close(output->existing);
    output->existing = NULL;
    return 0;
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
        if (put < 0)
            result = error_errno(error, EX_IOERR, "can't write to stderr");
        else
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
