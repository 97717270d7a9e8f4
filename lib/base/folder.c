#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without snprintf, whose pages of libc a short process would have to fetch for this alone. */
int folder_path(char *path, size_t size, const char *folder, const char *name)
{
    size_t len = strlen(folder), more = strlen(name);

    if (len + 1 + more >= size) {
        *path = '\0';
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, folder, len);
    path[len] = '/';
    memcpy(path + len + 1, name, more + 1);
    return 0;
}

int folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result;

    if (fd < 0)
        return -1;
    result = fsync(fd);
    close(fd);
    return result;
}

int folder_sync_parent(const char *path)
{
    char copy[4096];

    if (strlen(path) >= sizeof copy) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return folder_sync(dirname(strcpy(copy, path)));
}

int folder_make(const char *path, struct error *error)
{
    if (mkdir(path, 0777) < 0)
        return errno == EEXIST
                   ? 0
                   : error_errno(error, EX_IOERR, "can't make the folder %s", path);
    return folder_sync_parent(path) < 0
               ? error_errno(error, EX_IOERR, "can't make the folder %s durable", path)
               : 0;
}
