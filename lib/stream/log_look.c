#include "stream/log_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lines.h"
#include "base/lock.h"
#include "stream/log.h"

int log_look_open(struct log_look *look, const char *path, struct error *error)
{
    struct file_status status = {0};
    int result;

    *look = (struct log_look){.fd = open(path, O_RDONLY | O_CLOEXEC), .path = path};
    if (look->fd < 0 && errno == ENOENT)
        return 0;
    if (look->fd < 0)
        return error_errno(error, EX_IOERR, "can't read %s", path);
    look->window = malloc(LOG_LOOK_BYTES + 1);
    if (!look->window) {
        log_look_close(look);
        return error_memory(error);
    }
    result = lock_take(look->fd, LOCK_SHARED, error);
    if (result < 0 && errno == EINTR)
        error_set(error, EX_TEMPFAIL, "%s is locked by another process", path);
    if (result == 0 && (log_extent(look->fd, 0, &status, &look->end) < 0 || !S_ISREG(status.type)))
        result = error_errno(error, EX_IOERR, "can't read %s", path);
    if (result < 0) {
        log_look_close(look);
        return -1;
    }
    lock_drop(look->fd);
    look->device = status.device;
    look->inode = status.inode;
    return 0;
}

void log_look_close(struct log_look *look)
{
    if (look->fd >= 0)
        close(look->fd);
    free(look->window);
    *look = (struct log_look){.fd = -1};
}

/* Puts what is at `from` into the window, up to the end. */
static int load(struct log_look *look, uint64_t from, struct error *error)
{
    size_t want = LOG_LOOK_BYTES, got = 0;

    if (want > look->end - from)
        want = (size_t)(look->end - from);
    while (got < want) {
        ssize_t more = pread(look->fd, look->window + got, want - got, (off_t)(from + got));
        if (more < 0 && errno == EINTR)
            continue;
        if (more == 0)
            errno = EIO; /* it was cut */
        if (more <= 0)
            return error_errno(error, EX_IOERR, "can't read %s", look->path);
        got += (size_t)more;
    }
    look->base = from;
    look->len = want;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Whether something stands between two places that isn't blank; mostly the first character is. */
static bool has_more(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at < end;
}

bool log_line_is_blank(const struct log_line *line)
{
    return line->data && !has_more(line->data, line->data + line->len);
}

int log_look_count(struct log_look *look, uint64_t from, uint64_t most, uint64_t *records,
                   uint64_t *to, struct error *error)
{
    uint64_t at = from;
    bool record = false; /* the line so far is one */

    *records = 0;
    *to = from;
    while (at < look->end && at - from < most) {
        const char *data, *end, *newline;
        if (load(look, at, error) < 0)
            return -1;
        data = look->window;
        end = data + look->len;
        while ((newline = memchr(data, '\n', (size_t)(end - data)))) {
            *records += record || has_more(data, newline);
            record = false;
            data = newline + 1;
            *to = look->base + (uint64_t)(data - look->window);
        }
        record |= has_more(data, end);
        at = look->base + look->len;
    }
    return 0;
}

static void set_line(const struct log_look *look, uint64_t begin, uint64_t end,
                     struct log_line *line)
{
    *line = (struct log_line){.begin = begin, .end = end};
    if (end - begin - 1 > LINE_MAX_BYTES)
        return;
    line->data = look->window + (begin - look->base);
    line->len = (size_t)(end - begin - 1);
}

static bool holds(const struct log_look *look, uint64_t begin, uint64_t end)
{
    return look->len && begin >= look->base && end <= look->base + look->len;
}

int log_look_at(struct log_look *look, uint64_t begin, struct log_line *line, struct error *error)
{
    const char *newline = NULL;
    uint64_t at = begin;

    if (holds(look, begin, begin + 1))
        newline = memchr(look->window + (begin - look->base), '\n',
                         (size_t)(look->base + look->len - begin));
    while (!newline) {
        if (at >= look->end)
            return error_set(error, EX_IOERR, "%s has no whole line at its end", look->path);
        if (load(look, at, error) < 0)
            return -1;
        newline = memchr(look->window, '\n', look->len);
        at += look->len;
    }
    set_line(look, begin, look->base + (uint64_t)(newline + 1 - look->window), line);
    return 0;
}

int log_look_before(struct log_look *look, uint64_t end, struct log_line *line,
                    struct error *error)
{
    uint64_t at = end; /* what is behind it belongs to the line */

    for (;;) {
        uint64_t from = at > LOG_LOOK_BYTES ? at - LOG_LOOK_BYTES : 0;
        const char *newline;
        size_t len;
        if (!holds(look, at == end ? end - 1 : from, at) && load(look, from, error) < 0)
            return -1;
        len = (size_t)(at - look->base) - (at == end); /* its own newline isn't the one before */
        newline = memrchr(look->window, '\n', len);
        if (newline || look->base == 0) {
            uint64_t begin = newline ? look->base + (uint64_t)(newline + 1 - look->window) : 0;
            set_line(look, begin, end, line);
            return 0;
        }
        if (at == end && look->base != from) { /* the window only held its end */
            look->len = 0;
            continue;
        }
        at = look->base;
    }
}
