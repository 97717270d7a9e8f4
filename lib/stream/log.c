#include "stream/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/lock.h"

static int read_all(int fd, char *to, size_t len, uint64_t offset)
{
    ssize_t got = pread(fd, to, len, (off_t)offset);

    if (got >= 0 && got != (ssize_t)len)
        errno = EIO; /* it was cut */
    return got == (ssize_t)len ? 0 : -1;
}

/* Where the last line before `end` ends. Not inlined: a frame of its size would be touched each time. */
static __attribute__((noinline)) int search_end(int fd, uint64_t known, uint64_t *end)
{
    char chunk[65536];

    while (*end > known) {
        size_t len = *end - known < sizeof chunk ? (size_t)(*end - known) : sizeof chunk;
        char *newline;
        if (read_all(fd, chunk, len, *end - len) < 0)
            return -1;
        newline = memrchr(chunk, '\n', len);
        if (newline) {
            *end -= len - (size_t)(newline + 1 - chunk);
            return 0;
        }
        *end -= len;
    }
    return 0;
}

/* As log_extent(), of a file of this size. Mostly the newline stands right there. */
static int find_end(int fd, uint64_t known, uint64_t size, uint64_t *end)
{
    char last;

    *end = size;
    if (size <= known)
        return 0;
    if (read_all(fd, &last, 1, size - 1) < 0)
        return -1;
    if (last == '\n')
        return 0;
    --*end;
    return search_end(fd, known, end);
}

int log_extent(int fd, uint64_t known, struct file_status *status, uint64_t *end)
{
    return file_status(fd, status) < 0 ? -1 : find_end(fd, known, status->size, end);
}

/* --- the mark of what is durable --- */

/* A lock on one byte, as far behind this one as the log is long of which all is synced: farther than any log
 * reaches, and before the turnstile of base/lock.c. It is gone with its writer, and with the machine. */
static const uint64_t marks = UINT64_C(1) << 62;

static int on_mark(int fd, short type, int command, struct flock *lock, uint64_t size)
{
    *lock = (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(marks + size), .l_len = 1};
    return fcntl(fd, command, lock);
}

bool log_is_synced(int fd, uint64_t size)
{
    struct flock lock;

    return on_mark(fd, F_RDLCK, F_OFD_GETLK, &lock, size) == 0 && lock.l_type != F_UNLCK &&
           lock.l_start == (off_t)(marks + size) && lock.l_len == 1; /* and not somebody's lock on all of it */
}

/* Whether this lock and flock(2) go past each other. Not so where a server knows locks on bytes only: there flock is
 * one on all of them (flock(2), NFS and SMB), and who held a mark would keep all others out. And whether a reader
 * that doesn't sync hears of errors: sync_file_range(2) does nothing on overlayfs. */
static bool has_marks(int fd)
{
    struct statfs status;

    if (fstatfs(fd, &status) < 0)
        return false;
    switch ((uint32_t)status.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return true;
    default:
        return false;
    }
}

/* With the lock held. The one before stays until drop_mark(). */
static void set_mark(struct log *log, uint64_t size)
{
    struct flock lock;

    log->unmarked = log->marked;
    log->marked = size;
    if (log->marks)
        on_mark(log->fd, F_WRLCK, F_OFD_SETLK, &lock, size);
}

/* That one is of no use any more, and nobody has to wait for it to go. */
static void drop_mark(const struct log *log)
{
    struct flock lock;

    if (log->marks)
        on_mark(log->fd, F_UNLCK, F_OFD_SETLK, &lock, log->unmarked);
}

/* --- appending --- */

int log_open(struct log *log, const char *path, struct error *error)
{
    struct stat status;

    *log = (struct log){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666), .name = path};
    if (log->fd < 0)
        return error_errno(error, EX_IOERR, "can't append to %s", path);
    log->marks = has_marks(log->fd);
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
    struct file_status opened, named = {0};
    uint64_t written;

    if (file_status(log->fd, &opened) < 0 ||
        (file_status_at(AT_FDCWD, log->name, &named) < 0 && errno != ENOENT && errno != ENOTDIR))
        return error_errno(error, EX_IOERR, "can't look for %s; nothing was appended", log->name);
    if (!file_is_same(&opened, &named))
        return error_set(error, EX_IOERR,
                         "%s was replaced or removed since it was opened; nothing was appended",
                         log->name);
    if (find_end(log->fd, 0, opened.size, offset) < 0)
        return error_errno(error, EX_IOERR, "can't read the end of %s", log->name);
    *cut = opened.size - *offset;
    if (*cut && ftruncate(log->fd, (off_t)*offset) < 0)
        return error_errno(error, EX_IOERR, "can't cut the torn tail off %s", log->name);
    if (write_all(log->fd, data, len, *offset, &written) == 0  && fdatasync(log->fd) == 0) {
        set_mark(log, *offset + len);
        return 0;
    }
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
    if (result == 0)
        drop_mark(log);
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
