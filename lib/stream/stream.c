#include "stream/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digits.h"
#include "base/file_status.h"
#include "stream/reader.h"

const struct stream_driver *stream_kafka;

int stream_parse(const char *name, enum stream_kind *kind, const char **path,
                 struct error *error)
{
    size_t scheme = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+");

    *path = name;
    *kind = STREAM_FILE;
    if (strcmp(name, "-") == 0)
        *kind = STREAM_STDIO;
    else if (strncmp(name, "file:", 5) == 0)
        *path = name + 5;
    else if (strncmp(name, "kafka:", 6) == 0) {
        *path = name + 6;
        *kind = STREAM_KAFKA;
        return stream_kafka ? 0 : error_set(error, EX_USAGE, "%s: this tool knows no topics", name);
    }
    else if (scheme && name[scheme] == ':')
        return error_set(error, EX_USAGE,
                         "%s: unknown kind of stream; a file of this name is file:%s", name, name);
    if (!**path)
        return error_set(error, EX_USAGE, "a stream's name is empty");
    return 0;
}

/* What stands behind a name; "-" is the descriptor. False if nothing is there. */
static bool stat_stream(const char *name, int descriptor, struct stat *status)
{
    enum stream_kind kind;
    const char *path;
    struct error error;

    if (stream_parse(name, &kind, &path, &error) < 0)
        return false;
    if (kind == STREAM_KAFKA)
        return false;
    return (kind == STREAM_STDIO ? fstat(descriptor, status) : stat(path, status)) == 0;
}

bool stream_is_same(const char *input, const char *output)
{
    struct stat in, out;

    if (strcmp(input, "-") != 0 && strcmp(input, output) == 0)
        return true; /* whether it is there yet or not */
    return stat_stream(input, STDIN_FILENO, &in) && stat_stream(output, STDOUT_FILENO, &out) &&
           S_ISREG(in.st_mode) && in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

/* A descriptor for the stream, -1 if it is a file that isn't there and may come. */
static int open_input(enum stream_kind kind, const char *path, bool follow, int *fd,
                      struct error *error)
{
    struct stat status;

    *fd = kind == STREAM_STDIO ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                               : open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) {
        if (kind == STREAM_FILE && follow && errno == ENOENT)
            return 0;
        return error_errno(error, EX_IOERR, "can't read %s", path);
    }
    if (fstat(*fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        close(*fd);
        errno = EISDIR;
        return error_errno(error, EX_IOERR, "can't read %s", path);
    }
    return 0;
}

int reader_open(const char *name, bool follow, struct reader **out, struct error *error)
{
    struct reader *reader;
    struct stat status;
    enum stream_kind kind;
    const char *path;
    int fd = -1, result;

    if (stream_parse(name, &kind, &path, error) < 0 ||
        (kind != STREAM_KAFKA && open_input(kind, path, follow, &fd, error) < 0))
        return -1;
    reader = calloc(1, sizeof *reader);
    if (!reader || !(reader->name = strdup(name)) || lines_init(&reader->lines, 0) < 0) {
        if (fd >= 0)
            close(fd);
        reader_close(reader);
        return error_memory(error);
    }
    reader->follow = follow;
    reader->notify_fd = -1;
    reader->partitions = 1;
    if (kind == STREAM_KAFKA)
        result = stream_kafka->reader_init(reader, error);
    else if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        result = pipe_reader_init(reader, fd, error);
    else
        result = file_reader_init(reader, fd, kind == STREAM_FILE ? path : NULL, error);
    if (result < 0) {
        reader_close(reader);
        return -1;
    }
    *out = reader;
    return 0;
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    if (reader->operations)
        reader->operations->close(reader);
    lines_release(&reader->lines);
    free(reader->name);
    free(reader);
}

int32_t reader_partitions(const struct reader *reader)
{
    return reader->partitions;
}

int reader_seek(struct reader *reader, int32_t partition, uint64_t offset, struct error *error)
{
    return reader->operations->seek(reader, partition, offset, error);
}

int lines_reader_seek(struct reader *reader, int32_t partition, uint64_t offset,
                      struct error *error)
{
    (void)partition;
    (void)error;
    if (reader->seekable && offset != reader->lines.offset) {
        lines_rewind(&reader->lines);
        reader->lines.offset = offset;
    }
    reader->skip = offset;
    return 0;
}

void reader_position(const struct reader *reader, const struct line *record,
                     char text[STREAM_POSITION_TEXT])
{
    reader->operations->position(record, text);
}

/* Decimal digits and a NUL; it is on the handler's path, where snprintf would show. */
void lines_reader_position(const struct line *record, char text[STREAM_POSITION_TEXT])
{
    *digits_put(text, record->start) = '\0';
}

static int next_line(struct reader *reader, struct line *record, struct error *error)
{
    int result;

    for (;;) {
        while (lines_next(&reader->lines, record))
            if (!record->blank && record->start >= reader->skip)
                return READ_RECORD;
        result = reader->operations->fill(reader, error);
        if (result == READ_RECORD)
            continue;
        if (result == READ_END && reader->unterminated_counts &&
            lines_rest(&reader->lines, record) && !record->blank &&
            record->start >= reader->skip)
            return READ_RECORD;
        return result;
    }
}

int reader_next(struct reader *reader, struct line *record, struct error *error)
{
    int result;

    if (reader->operations->next) {
        do
            result = reader->operations->next(reader, record, error);
        while (result == READ_RECORD && record->blank);
        return result;
    }
    result = next_line(reader, record, error);
    reader->at_end = result == READ_END || (result == READ_PAUSE && reader->seekable);
    return result;
}

bool reader_ended(const struct reader *reader, int32_t partition)
{
    return reader->operations->ended ? reader->operations->ended(reader, partition)
                                     : reader->at_end;
}

uint64_t reader_end(const struct reader *reader, int32_t partition)
{
    struct file_status status;

    if (reader->operations->end)
        return reader->operations->end(reader, partition);
    if (!reader->seekable)
        return UINT64_MAX;
    if (reader->fd < 0) /* it isn't there yet */
        return 0;
    return file_status(reader->fd, &status) == 0 ? status.size : UINT64_MAX;
}

uint64_t reader_known_end(const struct reader *reader, int32_t partition)
{
    return reader->operations->known_end ? reader->operations->known_end(reader, partition)
                                         : reader_end(reader, partition);
}

int reader_start_from(struct reader *reader, const char *from, struct error *error)
{
    if (!reader->operations->start_from)
        return error_set(error, EX_USAGE, "%s is no topic: only those can be read from a place",
                         reader->name);
    return reader->operations->start_from(reader, from, error);
}

void reader_publish(struct reader *reader, int32_t partition, uint64_t next)
{
    if (reader->operations->publish)
        reader->operations->publish(reader, partition, next);
}

int reader_fd(const struct reader *reader)
{
    return reader->notify_fd;
}

int reader_sync(struct reader *reader, struct error *error)
{
    return reader->operations->sync(reader, error);
}

uint64_t reader_offset(const struct reader *reader)
{
    return reader->lines.offset;
}

int reader_bound(struct reader *reader, uint64_t *end, struct error *error)
{
    *end = UINT64_MAX;
    return reader->operations->bound ? reader->operations->bound(reader, end, error) : 0;
}

uint64_t reader_torn(const struct reader *reader)
{
    return reader->torn;
}

bool reader_is_file(const struct reader *reader)
{
    return reader->seekable;
}

bool reader_is_there(const struct reader *reader)
{
    return reader->fd >= 0;
}

const char *reader_name(const struct reader *reader)
{
    return reader->name;
}
