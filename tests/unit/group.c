#include "stream/group.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "scratch.h"
#include "tap.h"

/* Stands before the C library's, so that a disk can fail on demand. */
static int fail_sync; /* so many calls, from the next one on */

int fdatasync(int fd)
{
    if (!fail_sync)
        return (int)syscall(SYS_fdatasync, fd);
    fail_sync--;
    errno = EIO;
    return -1;
}

enum { THREADS = 8, LINES = 100 };

struct member {
    struct group *group;
    int number;
    uint64_t offset[LINES], cut;
    int failures, unknown;
};

static size_t line_of(int member, int i, char *line, size_t cap)
{
    return (size_t)snprintf(line, cap, "%d:%d:%.*s\n", member, i, i % 40,
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void *work(void *argument)
{
    struct member *member = argument;
    char line[128];

    for (int i = 0; i < LINES; i++) {
        struct error error;
        uint64_t cut = 0;
        bool unknown;
        size_t len = line_of(member->number, i, line, sizeof line);
        if (group_append(member->group, line, len, &member->offset[i], &cut, &unknown, &error) < 0)
            member->failures++;
        member->unknown += unknown;
        member->cut += cut;
    }
    return NULL;
}

static void run(struct member *members, struct group *group)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){.group = group, .number = i};
        pthread_create(&threads[i], NULL, work, &members[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads(void)
{
    static struct member members[THREADS];
    struct group *group = group_new("log", NULL);
    static char content[1 << 20];
    size_t total = 0, len;
    uint64_t cut = 0;
    int bad = 0;

    FILE *file = fopen("log", "w");
    fputs("first\ntorn", file);
    fclose(file);
    run(members, group);
    group_free(group);
    file = fopen("log", "r");
    len = fread(content, 1, sizeof content, file);
    fclose(file);
    for (int i = 0; i < THREADS; i++) {
        bad += wrong(!members[i].failures, "%d of thread %d failed", members[i].failures, i);
        cut += members[i].cut;
        for (int j = 0; j < LINES; j++) {
            char line[128];
            size_t size = line_of(i, j, line, sizeof line);
            uint64_t at = members[i].offset[j];
            total += size;
            bad += wrong(at + size <= len && memcmp(content + at, line, size) == 0,
                         "line %d of thread %d is not at %llu", j, i, (unsigned long long)at);
            bad += wrong(!j || at > members[i].offset[j - 1], "line %d of thread %d", j, i);
        }
    }
    ok(!bad, "eight threads append to one log, and each line is where its thread was told");
    ok(len == 6 + total, "and nothing else is there");
    ok(cut == 4, "a torn tail that was cut off is told once");
}

static void test_failure(void)
{
    static struct member members[THREADS];
    struct group *group = group_new("folder/log", NULL);
    struct error error = {0};
    uint64_t offset, cut;
    bool unknown = false;
    int failures = 0, unknowns = 0;

    run(members, group);
    for (int i = 0; i < THREADS; i++)
        failures += members[i].failures;
    for (int i = 0; i < THREADS; i++)
        unknowns += members[i].unknown;
    ok(failures == THREADS * LINES && !unknowns, "where no log can be made every thread is told");
    ok(group_append(group, "a\n", 2, &offset, &cut, &unknown, &error) < 0 &&
           error.status == EX_IOERR,
       "that it is an error of the disk");
    mkdir("folder", 0777);
    ok(group_append(group, "a\n", 2, &offset, &cut, &unknown, &error) == 0 && offset == 0,
       "once it can be, it is appended to");
    rename("folder/log", "folder/old");
    group_append(group, "b\n", 2, &offset, &cut, &unknown, &error);
    ok(group_append(group, "c\n", 2, &offset, &cut, &unknown, &error) == 0 && offset <= 2,
       "a log that was moved away is opened again after a failure");
    group_free(group);
    group_free(NULL);
}

static void test_poison(void)
{
    struct group *group = group_new("log", NULL);
    struct error error = {0};
    uint64_t offset, cut;
    bool unknown = true;

    ok(group_append(group, "a\n", 2, &offset, &cut, &unknown, &error) == 0 && !unknown,
       "a line that is durable is not unknown");
    fail_sync = 1;
    ok(group_append(group, "b\n", 2, &offset, &cut, &unknown, &error) < 0 && !unknown,
       "nor is one that was cut off again");
    fail_sync = 2; /* and that of cutting it off */
    ok(group_append(group, "c\n", 2, &offset, &cut, &unknown, &error) < 0 && unknown &&
           error.status == EX_IOERR,
       "one that may be in the log or not is");
    fail_sync = 0;
    ok(group_append(group, "d\n", 2, &offset, &cut, &unknown, &error) < 0 && !unknown &&
           error.status == EX_IOERR,
       "those that come then were not appended, and it is known");
    group_free(group);
}

int main(void)
{
    scratch_enter();
    test_threads();
    test_failure();
    test_poison();
    return tap_done();
}
