#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/log.h"
#include "stream/stream.h"

struct writer {
    char *name;
    struct buffer batch;
    struct log log; /* fd -1: stdout */
    uint64_t written; /* to stdout; bytes */
};

int writer_open(const char *name, struct writer **out, struct error *error)
{
    struct writer *writer;
    enum stream_kind kind;
    const char *path;

    if (stream_parse(name, &kind, &path, error) < 0)
        return -1;
    writer = calloc(1, sizeof *writer);
    if (!writer || !(writer->name = strdup(path))) {
        free(writer);
        return error_memory(error);
    }
    writer->log.fd = -1;
    if (kind == STREAM_FILE && log_open(&writer->log, writer->name, error) < 0) {
        writer_close(writer);
        return -1;
    }
    *out = writer;
    return 0;
}

void writer_close(struct writer *writer)
{
    if (!writer)
        return;
    log_close(&writer->log);
    buffer_release(&writer->batch);
    free(writer->name);
    free(writer);
}

bool writer_is_log(const struct writer *writer)
{
    return writer->log.fd >= 0;
}

struct buffer *writer_batch(struct writer *writer)
{
    return &writer->batch;
}

static int write_stdout(struct writer *writer, struct error *error)
{
    size_t done = 0;

    while (done < writer->batch.len) {
        ssize_t put = write(STDOUT_FILENO, writer->batch.data + done, writer->batch.len - done);
        if (put < 0 && errno != EINTR)
            return error_errno(error, EX_IOERR, "can't write to stdout");
        if (put > 0)
            done += (size_t)put;
    }
    return 0;
}

int writer_commit(struct writer *writer, uint64_t *offset, uint64_t *cut, struct error *error)
{
    uint64_t where = writer->written, torn = 0;
    int result = 0;

    if (writer->batch.failed)
        result = error_memory(error);
    else if (writer->batch.len && writer_is_log(writer))
        result = log_append(&writer->log, writer->batch.data, writer->batch.len, &where, &torn,
                            error);
    else if (writer->batch.len)
        result = write_stdout(writer, error);
    writer->written += writer->batch.len;
    writer->batch.len = 0;
    writer->batch.failed = false;
    if (offset)
        *offset = where;
    if (cut)
        *cut = torn;
    return result;
}
