#include "base/file_status.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int ask(int folder, const char *path, int flags, struct file_status *status)
{
    struct statx found;

    if (statx(folder, path, flags, STATX_TYPE | STATX_INO | STATX_SIZE, &found) < 0)
        return -1;
    *status = (struct file_status){.device = makedev(found.stx_dev_major, found.stx_dev_minor),
                                   .inode = found.stx_ino,
                                   .size = found.stx_size,
                                   .type = found.stx_mode & S_IFMT};
    return 0;
}

int file_status(int fd, struct file_status *status)
{
    return ask(fd, "", AT_EMPTY_PATH, status);
}

int file_status_at(int folder, const char *path, struct file_status *status)
{
    return ask(folder, path, 0, status);
}

bool file_is_same(const struct file_status *a, const struct file_status *b)
{
    return a->inode == b->inode && a->device == b->device;
}
