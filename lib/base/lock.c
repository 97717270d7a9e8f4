#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* The turnstile is one byte far behind anything that a log will hold. */
static int turnstile(int fd, short type, int command)
{
    struct flock gate = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = INT64_MAX - 1, .l_len = 1};

    return fcntl(fd, command, &gate);
}

int lock_take(int fd, enum lock_kind kind, struct error *error)
{
    int result;

    if (turnstile(fd, kind == LOCK_SHARED ? F_RDLCK : F_WRLCK, F_OFD_SETLKW) < 0)
        return error_errno(error, EX_IOERR, "can't lock");
    result = flock(fd, kind == LOCK_SHARED ? LOCK_SH : LOCK_EX);
    if (result < 0)
        error_errno(error, EX_IOERR, "can't lock");
    int saved = errno;
    turnstile(fd, F_UNLCK, F_OFD_SETLK);
    errno = saved;
    return result;
}

void lock_drop(int fd)
{
    flock(fd, LOCK_UN);
}

int lock_for_life(const char *path, const char *suffix, const char *who, struct error *error)
{
    char name[4096];
    int fd;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(error, EX_IOERR, "can't open %s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (errno == EWOULDBLOCK)
        error_set(error, EX_TEMPFAIL, "another %s works on %s: it holds %s", who, path, name);
    else
        error_errno(error, EX_IOERR, "can't lock %s", name);
    close(fd);
    return -1;
}
