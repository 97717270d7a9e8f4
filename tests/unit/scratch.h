/* A folder for a test's files, gone when the test is. */
#ifndef UNIT_SCRATCH_H
#define UNIT_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_folder[1024];
static pid_t scratch_owner;

static inline int scratch_remove_one(const char *path, const struct stat *status, int type,
                                     struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static inline void scratch_remove(void)
{
    if (getpid() == scratch_owner) /* and not a child of it */
        nftw(scratch_folder, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes it, and goes there. */
static inline void scratch_enter(void)
{
    const char *parent = getenv("TMPDIR");

    snprintf(scratch_folder, sizeof scratch_folder, "%s/calc-unit-XXXXXX",
             parent && *parent ? parent : "/tmp");
    if (!mkdtemp(scratch_folder) || chdir(scratch_folder) < 0) {
        printf("Bail out! no folder for the test's files\n");
        exit(1);
    }
    scratch_owner = getpid();
    atexit(scratch_remove);
}

#endif
