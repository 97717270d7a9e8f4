#include "stream/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/lock.h"

int log_extent(int fd, uint64_t known, uint64_t *size, uint64_t *end)
{
    char chunk[65536];
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -1;
    *size = *end = (uint64_t)status.st_size;
    while (*end > known) {
        size_t len = sizeof chunk;
        char *newline;
        ssize_t got;
        if (*end == *size)
            len = 1; /* mostly the newline stands right there */
        if (len > *end - known)
            len = (size_t)(*end - known);
        got = pread(fd, chunk, len, (off_t)(*end - len));
        if (got != (ssize_t)len) {
            errno = got < 0 ? errno : EIO;
            return -1;
        }
        newline = memrchr(chunk, '\n', len);
        if (newline) {
            *end -= len - (size_t)(newline + 1 - chunk);
            return 0;
        }
        *end -= len;
    }
    return 0;
}

/* --- the note of what is durable --- */

static const char note_name[] = "user.calc.synced";

enum { NOTE_NS = 10000000 };

/* Of which file as it was when, in nanoseconds since 1970. What is written later, by whomever, changes its size or
 * the time at which it was written. A copy, in whichever place, may have all of these, the attribute with them;
 * but its status changed (st_ctime) when it was made, which nobody can set, while here that is when the attribute
 * was. */
struct note {
    uint64_t inode, size, written, noted;
};

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct note note_of(const struct stat *status)
{
    return (struct note){.inode = status->st_ino,
                         .size = (uint64_t)status->st_size,
                         .written = nanoseconds(status->st_mtim)};
}

bool log_is_synced(int fd)
{
    struct note found, wanted;
    struct stat status;
    uint64_t changed;

    if (fgetxattr(fd, note_name, &found, sizeof found) != sizeof found || fstat(fd, &status) < 0)
        return false;
    wanted = note_of(&status);
    changed = nanoseconds(status.st_ctim);
    return found.inode == wanted.inode && found.size == wanted.size && found.written == wanted.written &&
           changed < found.noted + NOTE_NS && found.noted < changed + NOTE_NS;
}

/* With the lock held. The note is of before the sync, so that it isn't true of what somebody adds without a lock
 * meanwhile. Where it can't be made, or later than that, readers sync for themselves. */
static int sync_and_note(int fd)
{
    struct timespec now;
    struct stat status;
    bool known = fstat(fd, &status) == 0;
    struct note note;

    if (fdatasync(fd) < 0)
        return -1;
    if (!known || clock_gettime(CLOCK_REALTIME, &now) < 0)
        return 0;
    note = note_of(&status);
    note.noted = nanoseconds(now);
    fsetxattr(fd, note_name, &note, sizeof note, 0);
    return 0;
}

/* --- appending --- */

int log_open(struct log *log, const char *path, struct error *error)
{
    struct stat status;

    *log = (struct log){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666), .name = path};
    if (log->fd < 0)
        return error_errno(error, EX_IOERR, "can't append to %s", path);
    if (fstat(log->fd, &status) < 0 || (status.st_size == 0 && S_ISREG(status.st_mode) &&
                                        folder_sync_parent(path) < 0))
        error_errno(error, EX_IOERR, "can't make %s durable", path);
    else if (!S_ISREG(status.st_mode))
        error_set(error, EX_IOERR, "can't append to %s: no regular file", path);
    else
        return 0;
    log_close(log);
    return -1;
}

void log_close(struct log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static int write_all(int fd, const char *data, size_t len, uint64_t offset, uint64_t *written)
{
    for (*written = 0; *written < len;) {
        ssize_t put =
            pwrite(fd, data + *written, len - *written, (off_t)(offset + *written));
        if (put < 0 && errno != EINTR)
            return -1;
        if (put > 0)
            *written += (uint64_t)put;
    }
    return 0;
}

/* Brings the log back to where our batch began. A failed sync is never tried again as if it might
 * have worked: the bytes it was for are cut off instead. */
static int cut_back(int fd, uint64_t begin, uint64_t end)
{
    struct stat status;

    if (fstat(fd, &status) < 0 || (uint64_t)status.st_size != end)
        return -1; /* somebody who doesn't know the lock wrote behind us */
    if (end == begin)
        return 0;
    return ftruncate(fd, (off_t)begin) < 0 || fdatasync(fd) < 0 ? -1 : 0;
}

/* With the lock held. */
static int append(struct log *log, const char *data, size_t len, uint64_t *offset, uint64_t *cut,
                  struct error *error)
{
    struct stat opened, named = {0};
    uint64_t size, written;

    if (fstat(log->fd, &opened) < 0 ||
        (stat(log->name, &named) < 0 && errno != ENOENT && errno != ENOTDIR))
        return error_errno(error, EX_IOERR, "can't look for %s; nothing was appended", log->name);
    if (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
        return error_set(error, EX_IOERR,
                         "%s was replaced or removed since it was opened; nothing was appended",
                         log->name);
    if (log_extent(log->fd, 0, &size, offset) < 0)
        return error_errno(error, EX_IOERR, "can't read the end of %s", log->name);
    *cut = size - *offset;
    if (*cut && ftruncate(log->fd, (off_t)*offset) < 0)
        return error_errno(error, EX_IOERR, "can't cut the torn tail off %s", log->name);
    if (write_all(log->fd, data, len, *offset, &written) == 0 && sync_and_note(log->fd) == 0)
        return 0;
    error_errno(error, EX_IOERR, "can't append to %s", log->name);
    log->poisoned = cut_back(log->fd, *offset, *offset + written) < 0;
    return -1;
}

int log_append(struct log *log, const char *data, size_t len, uint64_t *offset, uint64_t *cut,
               struct error *error)
{
    int result;

    *cut = 0;
    if (log->poisoned)
        return error_set(error, EX_IOERR,
                         "%s could not be brought to a known end after a failed append; "
                         "this process keeps it locked until it is ended", log->name);
    while ((result = lock_take(log->fd, LOCK_EXCLUSIVE, error)) < 0 && errno == EINTR)
        if (log->give_up && log->give_up())
            return error_set(error, EX_TEMPFAIL, "%s is locked by another process", log->name);
    if (result < 0)
        return -1;
    result = append(log, data, len, offset, cut, error);
    if (!log->poisoned)
        lock_drop(log->fd);
    return result;
}

int log_cut(struct log *log, uint64_t end, uint64_t *cut, struct error *error)
{
    struct stat status;
    int result;

    while ((result = lock_take(log->fd, LOCK_EXCLUSIVE, error)) < 0 && errno == EINTR)
        ;
    if (result < 0)
        return -1;
    *cut = 0;
    if (fstat(log->fd, &status) < 0 || ftruncate(log->fd, (off_t)end) < 0 ||
        fdatasync(log->fd) < 0)
        result = error_errno(error, EX_IOERR, "can't cut %s at %llu", log->name,
                             (unsigned long long)end);
    else
        *cut = (uint64_t)status.st_size - end;
    lock_drop(log->fd);
    return result;
}
