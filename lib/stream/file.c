/* Reading a log that is a file: whole lines below the size that a shared lock showed, since what
 * is written under the writers' exclusive lock is not durable yet and may be cut back. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file_status.h"
#include "base/lock.h"
#include "stream/log.h"
#include "stream/reader.h"

enum { UNLOCKED_MS = 900 }; /* how long what the lock showed is good for; who waits looks once a second */

struct file {
    char *path;       /* NULL: stdin */
    uint64_t visible; /* where whole lines ended when the lock was last held */
    uint64_t durable; /* the same when they were last synced: what was before is never written again */
    uint64_t size;    /* what the lock showed, */
    int64_t looked_ms; /* and when; 0: never */
    struct file_status status; /* when it was opened */
    int directory_watch;
    bool said;    /* `durable` is what a writer has said, and not what we have synced */
    bool bounded; /* what comes behind `visible` isn't read */
};

static int watch(struct reader *reader, struct error *error)
{
    struct file *file = reader->file;
    char *slash = file->path ? strrchr(file->path, '/') : NULL;
    char folder[4096] = ".";
    const char *target = file->path;
    char stdin_path[32];

    if (reader->fd < 0) { /* not there yet: its folder tells when it comes */
        if (slash) {
            size_t len = slash == file->path ? 1 : (size_t)(slash - file->path);
            if (len >= sizeof folder)
                return error_set(error, EX_IOERR, "%s: name too long", file->path);
            memcpy(folder, file->path, len);
            folder[len] = '\0';
        }
        file->directory_watch =
            inotify_add_watch(reader->notify_fd, folder, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
        if (file->directory_watch < 0)
            return error_errno(error, EX_IOERR, "can't wait for %s in %s", file->path, folder);
        return 0;
    }
    if (file_status(reader->fd, &file->status) < 0)
        return error_errno(error, EX_IOERR, "can't read %s", reader->name);
    if (!target) {
        snprintf(stdin_path, sizeof stdin_path, "/proc/self/fd/%d", reader->fd);
        target = stdin_path;
    }
    if (inotify_add_watch(reader->notify_fd, target,
                          IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF) < 0)
        return error_errno(error, EX_IOERR, "can't follow %s", reader->name);
    return 0;
}

/* Opens the file that was waited for, if it has come. */
static int come(struct reader *reader, struct error *error)
{
    struct file *file = reader->file;
    struct file_status status;

    reader->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0) {
        if (errno == ENOENT)
            return READ_PAUSE;
        return error_errno(error, EX_IOERR, "can't read %s", file->path);
    }
    if (file_status(reader->fd, &status) == 0 && !S_ISREG(status.type))
        return error_set(error, EX_IOERR, "%s is no regular file", file->path);
    inotify_rm_watch(reader->notify_fd, file->directory_watch);
    return watch(reader, error) < 0 ? -1 : READ_RECORD;
}

/* Takes what inotify tells. Whether that is anything. */
static bool drain(int notify_fd)
{
    char events[4096] __attribute__((aligned(8)));
    const ssize_t full = sizeof events - sizeof(struct inotify_event) - NAME_MAX; /* there may be more */
    ssize_t got = read(notify_fd, events, sizeof events);
    bool any = got > 0;

    while (got >= full)
        got = read(notify_fd, events, sizeof events);
    return any;
}

/* Whether the name still means the file that is read: 1, 0, -1. */
static int is_named(const struct reader *reader, struct error *error)
{
    const struct file *file = reader->file;
    struct file_status named;

    if (!reader->follow || !file->path)
        return 1;
    if (file_status_at(AT_FDCWD, file->path, &named) == 0)
        return file_is_same(&named, &file->status);
    return errno == ENOENT || errno == ENOTDIR
               ? 0
               : error_errno(error, EX_IOERR, "can't look for %s", file->path);
}

/* Whether all was read that the lock showed, and nothing has come since. A tail without a newline may have been
 * replaced by a record of the same length; and a network's file system may tell an old size to who hasn't locked. */
static bool is_unchanged(const struct reader *reader)
{
    const struct file *file = reader->file;
    struct file_status status;

    return file->looked_ms && clock_ms() - file->looked_ms < UNLOCKED_MS && file->size == file->visible &&
           !reader->torn && file_status(reader->fd, &status) == 0 && status.size == file->size;
}

/* The name still means this file, or it is an error. */
static int check_name(const struct reader *reader, struct error *error)
{
    int result = is_named(reader, error);

    if (result == 0)
        return error_set(error, EX_DATAERR, "%s was replaced or removed while it was read",
                         reader->name);
    return result < 0 ? -1 : 0;
}

/* Looks, under the lock, how far the log goes: to behind its last newline. What follows is a torn
 * tail, which a writer may cut off and write something else in its place. Unless we were told of something, there
 * may be nothing to look for. */
static int look(struct reader *reader, bool told, struct error *error)
{
    struct file *file = reader->file;
    struct file_status status;
    uint64_t end;
    bool synced;
    int result;

    if (!told && is_unchanged(reader))
        return check_name(reader, error) < 0 ? -1 : reader->follow ? READ_PAUSE : READ_END;
    if (lock_take(reader->fd, LOCK_SHARED, error) < 0)
        return errno == EINTR ? READ_INTERRUPTED : -1;
    result = log_extent(reader->fd, file->visible, &status, &end);
    synced = result == 0 && end > file->visible && log_is_synced(reader->fd, status.size);
    lock_drop(reader->fd);
    if (result < 0)
        return error_errno(error, EX_IOERR, "can't read %s", reader->name);
    if (end < reader->lines.offset)
        return error_set(error, EX_DATAERR,
                         "%s ends at %llu, before the position %llu that was reached",
                         reader->name, (unsigned long long)end,
                         (unsigned long long)reader->lines.offset);
    if (check_name(reader, error) < 0)
        return -1;
    reader->torn = status.size - end;
    file->size = status.size;
    file->looked_ms = clock_ms();
    if (end <= file->visible)
        return reader->follow ? READ_PAUSE : READ_END;
    file->visible = end;
    file->said = synced;
    if (synced)
        file->durable = end;
    return READ_RECORD;
}

static int file_fill(struct reader *reader, struct error *error)
{
    struct file *file = reader->file;
    uint64_t at = lines_end(&reader->lines);
    size_t room;
    char *to;
    ssize_t got;
    int result;

    if (at >= file->visible && file->bounded)
        return READ_END;
    if (at >= file->visible) {
        bool told = reader->follow && drain(reader->notify_fd);
        if (reader->fd < 0 && (result = come(reader, error)) != READ_RECORD)
            return result;
        file->visible = at;
        result = look(reader, told, error);
        if (result != READ_RECORD)
            return result;
    }
    to = lines_room(&reader->lines, &room);
    if (room > file->visible - at)
        room = file->visible - at;
    got = pread(reader->fd, to, room, (off_t)at);
    if (got < 0 && errno == EINTR)
        return READ_INTERRUPTED;
    if (got == 0)
        errno = EIO; /* it was cut below what the lock showed */
    if (got <= 0)
        return error_errno(error, EX_IOERR, "can't read %s at %llu", reader->name,
                           (unsigned long long)at);
    lines_added(&reader->lines, (size_t)got);
    return READ_RECORD;
}

static int file_bound(struct reader *reader, uint64_t *end, struct error *error)
{
    int result;

    do
        result = look(reader, true, error);
    while (result == READ_INTERRUPTED);
    if (result < 0)
        return -1;
    reader->file->bounded = true;
    *end = reader->file->visible;
    return 0;
}

/* What is left to do where a writer has said that all is durable: to hear whether something that was written since
 * we have the file open never came to the disk. That is told once to each who has it open then (fsync(2)), and the
 * writer may have come later. Waiting for what is on its way to the disk tells it, and nothing is. */
static int hear_of_errors(int fd)
{
    if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) == 0)
        return 0;
    return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -1 : fdatasync(fd);
}

/* A log that was long when it was opened is read in many batches, and needs one sync. */
static int file_sync(struct reader *reader, struct error *error)
{
    struct file *file = reader->file;
    bool said = file->said;

    if (reader->fd < 0 || (file->durable && file->visible <= file->durable && !said))
        return 0;
    file->said = false;
    if ((said ? hear_of_errors(reader->fd) : fdatasync(reader->fd)) < 0)
        return error_errno(error, EX_IOERR, "can't sync %s", reader->name);
    file->durable = file->visible;
    return 0;
}

static void file_close(struct reader *reader)
{
    struct file *file = reader->file;

    if (!file->path && reader->fd >= 0) /* whoever reads stdin next goes on where we stopped */
        lseek(reader->fd, (off_t)reader->lines.offset, SEEK_SET);
    if (reader->fd >= 0)
        close(reader->fd);
    if (reader->notify_fd >= 0)
        close(reader->notify_fd);
    free(file->path);
    free(file);
}

int file_reader_init(struct reader *reader, int fd, const char *path, struct error *error)
{
    static const struct reader_operations operations = {
        .fill = file_fill, .seek = lines_reader_seek, .position = lines_reader_position,
        .bound = file_bound, .sync = file_sync, .close = file_close};
    struct file *file = calloc(1, sizeof *file);
    off_t start;

    if (!file || (path && !(file->path = strdup(path)))) {
        free(file);
        if (fd >= 0)
            close(fd);
        return error_memory(error);
    }
    reader->file = file;
    reader->operations = &operations;
    reader->fd = fd;
    reader->seekable = true;
    start = path ? 0 : lseek(fd, 0, SEEK_CUR);
    if (start > 0)
        reader->lines.offset = (uint64_t)start;
    if (!reader->follow)
        return 0;
    reader->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (reader->notify_fd < 0)
        return error_errno(error, EX_IOERR, "can't follow %s", reader->name);
    return watch(reader, error);
}
