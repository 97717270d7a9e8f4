/* Which file it is and how long, without its times.
 *
 * Who asks for those (stat(2)) has the file's next change take a time of its own, finer than the kernel's clock
 * ticks, and moves on what the changes of all other files take (multigrain timestamps, Linux 6.13). Then each sync
 * of any of them may have an inode to write besides its pages: not what one wants of who looks at logs all the time. */
#ifndef BASE_FILE_STATUS_H
#define BASE_FILE_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct file_status {
    dev_t device;
    uint64_t inode, size; /* bytes */
    mode_t type; /* S_IFREG and so on, inode(7) */
};

/* Of a descriptor, and of what a path names (in the folder of a descriptor, or AT_FDCWD). -1 with errno. */
int file_status(int fd, struct file_status *status);
int file_status_at(int folder, const char *path, struct file_status *status);

bool file_is_same(const struct file_status *a, const struct file_status *b);

#endif
