#include "store/view_copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digits.h"
#include "base/folder.h"
#include "store/db.h"

enum {
    TRIES = 50, /* a millisecond each */
    NUMBER_DIGITS = 9,
    NAME_TEXT = 21 /* of any number, and a NUL */
};

/* The number that a name is, 0 if it is none of ours. */
static unsigned long number_of(const char *name)
{
    unsigned long number = 0;

    if (*name == '0' || strlen(name) > NUMBER_DIGITS)
        return 0;
    for (; *name; name++) {
        if (*name < '0' || *name > '9')
            return 0;
        number = 10 * number + (unsigned long)(*name - '0');
    }
    return number;
}

static void write_name(unsigned long number, char name[NAME_TEXT])
{
    *digits_put(name, number) = '\0';
}

/* The copy that a link names: 0 if it isn't there, -1 if it is none of ours. */
static long named(const char *folder, const char *link, struct error *error)
{
    char path[4096], name[64];
    ssize_t len;

    if (folder_path(path, sizeof path, folder, link) < 0)
        return error_set(error, EX_USAGE, "the view's name is too long");
    len = readlink(path, name, sizeof name - 1);
    if (len < 0 && errno == ENOENT)
        return 0;
    if (len < 0 && errno != EINVAL)
        return error_errno(error, EX_IOERR, "can't read the link %s", path);
    name[len < 0 ? 0 : len] = '\0';
    if (number_of(name))
        return (long)number_of(name);
    return error_set(error, EX_DATAERR, "%s is no link to a copy of the view", path);
}

static void name_it(const char *folder, unsigned long number, struct view_copy *copy)
{
    char name[NAME_TEXT];

    write_name(number, name);
    copy->number = number;
    copy->fd = -1;
    folder_path(copy->path, sizeof copy->path, folder, name);
}

/* Locks the copy's folder. 1, 0 if it isn't there (any more), or another has a lock that this one
 * doesn't go with; -1. */
static int lock(struct view_copy *copy, int kind, struct error *error)
{
    struct stat opened, there;

    copy->fd = open(copy->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy->fd < 0)
        return errno == ENOENT ? 0 : error_errno(error, EX_IOERR, "can't open %s", copy->path);
    if (flock(copy->fd, kind | LOCK_NB) == 0) {
        if (fstat(copy->fd, &opened) == 0 && stat(copy->path, &there) == 0 &&
            opened.st_ino == there.st_ino && opened.st_dev == there.st_dev)
            return 1;
        errno = EWOULDBLOCK; /* it was removed before it was locked */
    }
    if (errno != EWOULDBLOCK)
        error_errno(error, EX_IOERR, "can't lock %s", copy->path);
    int result = errno == EWOULDBLOCK ? 0 : -1;
    view_copy_close(copy);
    return result;
}

int view_copy_open(const char *folder, const char *link, struct view_copy *copy,
                   struct error *error)
{
    long before = named(folder, link, error);

    copy->fd = -1;
    for (int tries = 0; before > 0; tries++) {
        long after;
        int result;
        name_it(folder, (unsigned long)before, copy);
        result = lock(copy, LOCK_SH, error);
        if (result < 0)
            return -1;
        after = named(folder, link, error);
        if (result > 0 && after == before)
            return 1;
        view_copy_close(copy);
        if (after == before && (tries == TRIES || access(copy->path, F_OK) < 0))
            return 0; /* a link to nothing */
        if (after == before)
            poll(NULL, 0, 1);
        before = after; /* it was switched meanwhile */
    }
    return (int)before;
}

static unsigned long highest(const char *folder)
{
    DIR *names = opendir(folder);
    unsigned long number = 0;
    struct dirent *entry;

    while (names && (entry = readdir(names)))
        if (number_of(entry->d_name) > number)
            number = number_of(entry->d_name);
    if (names)
        closedir(names);
    return number;
}

int view_copy_make(const char *folder, struct view_copy *copy, struct error *error)
{
    unsigned long number = highest(folder);
    int result = 0;

    while (result == 0) {
        name_it(folder, ++number, copy);
        if (mkdir(copy->path, 0777) < 0) {
            if (errno == EEXIST)
                continue;
            return error_errno(error, EX_IOERR, "can't make the folder %s", copy->path);
        }
        result = lock(copy, LOCK_SH, error); /* 0: someone tidied it away before it was locked */
    }
    return result < 0 ? -1 : 0;
}

void view_copy_close(struct view_copy *copy)
{
    if (copy->fd >= 0)
        close(copy->fd);
    copy->fd = -1;
}

int view_copy_link(const char *folder, const char *link, const struct view_copy *copy,
                   struct error *error)
{
    char temporary[4096 + 8], path[4096], name[NAME_TEXT];
    int fd, result = -1;

    write_name(copy->number, name);
    folder_path(path, sizeof path, folder, link);
    strcat(strcpy(temporary, path), ".new");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(copy->fd) < 0 || fsync(fd) < 0)
        error_errno(error, EX_IOERR, "can't make %s durable", copy->path);
    else if ((unlink(temporary) < 0 && errno != ENOENT) || symlink(name, temporary) < 0 ||
             rename(temporary, path) < 0)
        error_errno(error, EX_IOERR, "can't make %s", path);
    else if (fsync(fd) < 0)
        error_errno(error, EX_IOERR, "can't make %s durable", path);
    else
        result = 0;
    if (fd >= 0)
        close(fd);
    return result;
}

bool view_copy_is(const char *folder, const char *link, const struct view_copy *copy)
{
    struct error error;

    return named(folder, link, &error) == (long)copy->number;
}

void view_copy_unlink(const char *folder, const char *link, const struct view_copy *copy)
{
    char path[4096];

    folder_path(path, sizeof path, folder, link);
    if (view_copy_is(folder, link, copy))
        unlink(path);
}

static bool is_needed(const char *folder, const struct view_copy *copy)
{
    return view_copy_is(folder, "current", copy) || view_copy_is(folder, "next", copy);
}

/* Only what is ours is removed: a folder with anything else in it stays. */
static bool remove_copy(const char *folder, struct view_copy *copy)
{
    static const char *const files[] = DB_FILES;
    struct error error;
    bool gone = false;

    if (lock(copy, LOCK_EX, &error) <= 0)
        return false;
    if (!is_needed(folder, copy)) { /* still */
        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
            unlinkat(copy->fd, files[i], 0);
        gone = rmdir(copy->path) == 0;
    }
    view_copy_close(copy);
    return gone;
}

bool view_copies_tidy(const char *folder)
{
    DIR *names = opendir(folder);
    struct dirent *entry;
    struct view_copy copy;
    bool left = false;

    while (names && (entry = readdir(names))) {
        if (!number_of(entry->d_name))
            continue;
        name_it(folder, number_of(entry->d_name), &copy);
        if (!is_needed(folder, &copy) && !remove_copy(folder, &copy))
            left = true;
    }
    if (names)
        closedir(names);
    return left;
}
