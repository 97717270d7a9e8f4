/* A log that ends in any bytes: readers see its whole lines and no more; a writer cuts off the torn
 * tail, and nothing else, and a reader that stood before it goes on with what was appended. */
#include <errno.h>
#include <fcntl.h>

#include "../unit/lines_model.h"
#include "../unit/scratch.h"
#include "expand.h"
#include "require.h"
#include "stream/log.h"
#include "stream/stream.h"

enum { CAP = 3 << 16 };

static const char appended[] = "{\"appended\":1}\n";
static char bytes[CAP], found[CAP + sizeof appended];

/* Nothing here has to outlive a power loss. */
int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    return 0;
}

static void write_file(const char *data, size_t len)
{
    int fd = open("log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    require(fd >= 0 && write(fd, data, len) == (ssize_t)len, "the log can't be written");
    close(fd);
}

static size_t read_file(void)
{
    int fd = open("log", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, found, sizeof found);

    require(fd >= 0 && got >= 0, "the log can't be read");
    close(fd);
    return (size_t)got;
}

static struct reader *open_reader(bool follow)
{
    struct reader *reader = NULL;
    struct error error;

    require(reader_open("log", follow, &reader, &error) == 0, error.text);
    return reader;
}

/* Reads on to the end: each line of bytes[from] to bytes[to] that isn't blank, and nothing else. */
static void read_lines(struct reader *reader, const char *data, size_t from, size_t to, int end)
{
    struct error error = {0};
    struct line line;
    int got;

    while ((got = reader_next(reader, &line, &error)) == READ_RECORD) {
        const char *newline = NULL;
        while (from < to && (newline = memchr(data + from, '\n', to - from)) &&
               model_blank(data + from, (size_t)(newline - data) - from))
            from = (size_t)(newline - data) + 1;
        require(newline && from < to, "a record that isn't in the log");
        require(model_agrees(&line, data, from, (size_t)(newline - data), 1, 0, line.number),
                "a record differs from its line");
        from = (size_t)(newline - data) + 1;
    }
    require(got == end, "reading doesn't end as it should");
    while (from < to) {
        const char *newline = memchr(data + from, '\n', to - from);
        require(newline && model_blank(data + from, (size_t)(newline - data) - from),
                "a record was left out");
        from = (size_t)(newline - data) + 1;
    }
    require(reader_offset(reader) == to, "the reader doesn't stand at the last line's end");
}

static void append(size_t whole, size_t size)
{
    static const struct id key = {{0}};
    struct writer *writer = NULL;
    struct error error;
    uint64_t offset, cut;

    require(writer_open("log", &writer, &error) == 0, error.text);
    buffer_append_text(writer_batch(writer), appended);
    require(writer_end_record(writer, &key, &error) == 0, error.text);
    require(writer_commit(writer, &offset, &cut, &error) == 0, error.text);
    require(offset == whole && cut == size - whole, "it was cut or appended elsewhere");
    writer_close(writer);
}

static void check_extent(size_t whole, size_t size, unsigned part)
{
    struct file_status status;
    uint64_t end = 0;
    int fd = open("log", O_RDONLY | O_CLOEXEC);

    require(log_extent(fd, whole * part / 255, &status, &end) == 0, "no extent");
    require(status.size == size && end >= whole * part / 255, "another extent");
    require(end == whole || whole * part / 255 > 0, "another end of the whole lines");
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader *follower, *reader;
    struct error error;
    size_t len, whole;
    char *newline;

    if (!*scratch_folder)
        scratch_enter();
    if (size < 2)
        return 0;
    len = expand(data + 2, size - 2, data[0], bytes, CAP);
    newline = memrchr(bytes, '\n', len);
    whole = newline ? (size_t)(newline + 1 - bytes) : 0;
    write_file(bytes, len);
    check_extent(whole, len, data[1]);
    follower = open_reader(true);
    read_lines(follower, bytes, 0, whole, READ_PAUSE);
    require(reader_torn(follower) == len - whole, "another length of the torn tail");

    append(whole, len);
    len = read_file();
    require(len == whole + sizeof appended - 1 && memcmp(found, bytes, whole) == 0 &&
                memcmp(found + whole, appended, sizeof appended - 1) == 0,
            "the log isn't its whole lines and what was appended");
    read_lines(follower, found, whole, len, READ_PAUSE);
    reader_close(follower);

    reader = open_reader(false);
    require(reader_seek(reader, 0, whole, &error) == 0, "no seek");
    read_lines(reader, found, whole, len, READ_END);
    require(reader_torn(reader) == 0, "a torn tail behind what was appended");
    reader_close(reader);
    return 0;
}
