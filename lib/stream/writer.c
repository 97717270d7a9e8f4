#include "stream/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "stream/reader.h"

/* --- stdout, files --- */

/* What became of all records of a batch that begins at `base`. */
static void set_records(struct writer *writer, uint64_t base, enum delivery delivery)
{
    size_t count = writer->records.len / sizeof(struct writer_record);

    for (size_t i = 0; i < count; i++) {
        struct writer_record *record = writer_record(writer, i);
        record->offset = base + record->from;
        record->delivery = delivery;
    }
}

static void write_offset(const struct writer_record *record, char text[STREAM_POSITION_TEXT])
{
    snprintf(text, STREAM_POSITION_TEXT, "%llu", (unsigned long long)record->offset);
}

static int commit_stdout(struct writer *writer, uint64_t *offset, uint64_t *cut,
                         struct error *error)
{
    size_t done = 0;

    *cut = 0;
    *offset = writer->written;
    while (done < writer->batch.len) {
        ssize_t put = write(STDOUT_FILENO, writer->batch.data + done, writer->batch.len - done);
        if (put < 0 && errno != EINTR)
            return error_errno(error, EX_IOERR, "can't write to stdout");
        if (put > 0)
            done += (size_t)put;
    }
    writer->written += writer->batch.len;
    set_records(writer, *offset, DELIVERY_DONE);
    return 0;
}

static int commit_file(struct writer *writer, uint64_t *offset, uint64_t *cut, struct error *error)
{
    int result = log_append(&writer->log, writer->batch.data, writer->batch.len, offset, cut,
                            error);

    set_records(writer, *offset,
                result == 0            ? DELIVERY_DONE
                : writer->log.poisoned ? DELIVERY_UNKNOWN
                                       : DELIVERY_FAILED);
    return result;
}

static void close_file(struct writer *writer)
{
    log_close(&writer->log);
}

/* --- any --- */

static int open_kind(struct writer *writer, enum stream_kind kind, struct error *error)
{
    static const struct writer_operations standard = {.commit = commit_stdout,
                                                      .position = write_offset};
    static const struct writer_operations file = {
        .is_log = true, .commit = commit_file, .position = write_offset, .close = close_file};

    if (kind == STREAM_KAFKA)
        return stream_kafka->writer_init(writer, error);
    writer->operations = kind == STREAM_FILE ? &file : &standard;
    return kind == STREAM_FILE ? log_open(&writer->log, writer->name, error) : 0;
}

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
    if (open_kind(writer, kind, error) < 0) {
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
    if (writer->operations && writer->operations->close)
        writer->operations->close(writer);
    buffer_release(&writer->batch);
    buffer_release(&writer->records);
    free(writer->name);
    free(writer);
}

bool writer_is_log(const struct writer *writer)
{
    return writer->operations->is_log;
}

struct buffer *writer_batch(struct writer *writer)
{
    return &writer->batch;
}

int writer_end(const struct writer *writer, uint64_t *end, struct error *error)
{
    struct file_status status;
    int result;

    while ((result = lock_take(writer->log.fd, LOCK_SHARED, error)) < 0 && errno == EINTR)
        ;
    if (result < 0)
        return -1;
    if (log_extent(writer->log.fd, 0, &status, end) < 0)
        result = error_errno(error, EX_IOERR, "can't read the end of %s", writer->name);
    lock_drop(writer->log.fd);
    return result;
}

int writer_read(const struct writer *writer, uint64_t from, void *data, size_t len,
                struct error *error)
{
    ssize_t got;

    for (size_t done = 0; done < len; done += (size_t)got) {
        got = pread(writer->log.fd, (char *)data + done, len - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got < 0)
            return error_errno(error, EX_IOERR, "can't read %s", writer->name);
        else if (got == 0)
            return error_set(error, EX_DATAERR, "%s ends before %llu", writer->name,
                             (unsigned long long)(from + len));
    }
    return 0;
}

int writer_cut(struct writer *writer, uint64_t end, uint64_t *cut, struct error *error)
{
    return log_cut(&writer->log, end, cut, error);
}

int writer_sync(struct writer *writer, struct error *error)
{
    if (fdatasync(writer->log.fd) < 0)
        return error_errno(error, EX_IOERR, "can't sync %s", writer->name);
    return 0;
}

int writer_end_record(struct writer *writer, const struct id *key, struct error *error)
{
    size_t count;

    if (writer->committed)
        writer->records.len = 0;
    writer->committed = false;
    count = writer->records.len / sizeof(struct writer_record);
    buffer_append(&writer->records,
                  &(struct writer_record){.from = writer->ended, .delivery = DELIVERY_FAILED},
                  sizeof(struct writer_record));
    writer->ended = writer->batch.len;
    if (writer->records.failed || writer->batch.failed)
        return error_memory(error);
    return writer->operations->put ? writer->operations->put(writer, count, key, error) : 0;
}

int writer_commit(struct writer *writer, uint64_t *offset, uint64_t *cut, struct error *error)
{
    uint64_t where = 0, torn = 0;
    int result = 0;

    if (writer->batch.failed)
        result = error_memory(error);
    else if (writer->batch.len)
        result = writer->operations->commit(writer, &where, &torn, error);
    writer->committed = true;
    writer->ended = 0;
    writer->batch.len = 0;
    writer->batch.failed = false;
    if (offset)
        *offset = where;
    if (cut)
        *cut = torn;
    return result;
}

int writer_append(struct writer *writer, const struct buffer *lines, uint64_t *offset,
                  uint64_t *cut, struct error *error)
{
    return log_append(&writer->log, lines->data, lines->len, offset, cut, error);
}

enum delivery writer_position(const struct writer *writer, size_t index,
                              char text[STREAM_POSITION_TEXT])
{
    const struct writer_record *record = writer_record(writer, index);

    writer->operations->position(record, text);
    return record->delivery;
}

size_t writer_failed(const struct writer *writer)
{
    return writer->failed;
}

void writer_set_give_up(struct writer *writer, bool (*give_up)(void))
{
    writer->log.give_up = give_up;
}
