#include "stream/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/digits.h"
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

enum { NOTE_TEXT = 4 * 20 + 3 };

/* Of the file as it is: its inode, its size, and when it was written last. A copy has another inode, and what
 * is written later changes the size or the time, whoever writes it. */
static size_t make_note(const struct stat *status, char text[NOTE_TEXT])
{
    char *at = digits_put(text, status->st_ino);

    *at++ = ' ';
    at = digits_put(at, (uint64_t)status->st_size);
    *at++ = ' ';
    at = digits_put(at, (uint64_t)status->st_mtim.tv_sec);
    *at++ = ' ';
    at = digits_put(at, (uint64_t)status->st_mtim.tv_nsec);
    return (size_t)(at - text);
}

bool log_is_synced(int fd)
{
    char found[NOTE_TEXT], wanted[NOTE_TEXT];
    ssize_t len = fgetxattr(fd, note_name, found, sizeof found);
    struct stat status;

    return len > 0 && fstat(fd, &status) == 0 && (size_t)len == make_note(&status, wanted) &&
           memcmp(found, wanted, (size_t)len) == 0;
}

/* With the lock held. The note is of before the sync, so that it isn't true of what somebody adds without a lock
 * meanwhile. Where it can't be made, readers sync for themselves. */
static int sync_and_note(int fd)
{
    char note[NOTE_TEXT];
    struct stat status;
    bool known = fstat(fd, &status) == 0;

    if (fdatasync(fd) < 0)
        return -1;
    if (known)
        fsetxattr(fd, note_name, note, make_note(&status, note), 0);
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
