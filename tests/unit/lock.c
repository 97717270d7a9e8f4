#include "base/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "tap.h"

/* Whether another description of the file could be locked so, now. */
static bool could(int operation)
{
    int fd = open("file", O_RDWR | O_CREAT, 0666);
    bool got = flock(fd, operation | LOCK_NB) == 0;

    close(fd);
    return got;
}

static void test_kinds(void)
{
    struct error error;
    int fd = open("file", O_RDWR | O_CREAT, 0666), other = open("file", O_RDWR);

    ok(lock_take(fd, LOCK_SHARED, &error) == 0 && lock_take(other, LOCK_SHARED, &error) == 0 &&
           could(LOCK_SH) && !could(LOCK_EX),
       "readers share a file, and keep writers out");
    lock_drop(fd);
    lock_drop(other);
    ok(lock_take(fd, LOCK_EXCLUSIVE, &error) == 0 && !could(LOCK_SH),
       "a writer keeps everybody out");
    lock_drop(fd);
    ok(could(LOCK_EX), "until it lets go");
    close(other);
    other = open("file", O_RDONLY);
    ok(lock_take(other, LOCK_SHARED, &error) == 0, "who may only read can share it");
    close(fd);
    close(other);
}

/* A writer that never pauses must not keep a reader out. */
static void test_turnstile(void)
{
    enum { ROUNDS = 200 };
    volatile int *turns =
        mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int bad = 0, waited = 0, fd = open("file", O_RDWR);
    struct error error;
    pid_t writer = fork();

    if (writer == 0) {
        fd = open("file", O_RDWR);
        for (;;) {
            lock_take(fd, LOCK_EXCLUSIVE, &error);
            ++*turns;
            usleep(500);
            lock_drop(fd);
        }
    }
    alarm(60); /* is how a reader that is kept out for ever shows */
    while (!*turns)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        int before = *turns;
        bad += lock_take(fd, LOCK_SHARED, &error) < 0;
        waited += *turns - before;
        lock_drop(fd);
        usleep(700);
    }
    alarm(0);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    close(fd);
    printf("# in %d rounds the reader waited for %d turns\n", ROUNDS, waited);
    ok(!bad && waited < ROUNDS / 4,
       "a reader waits for few turns of a writer that asks again at once");
    munmap((void *)(uintptr_t)turns, sizeof *turns);
}

static void test_life(void)
{
    struct error error = {0};
    int fd = lock_for_life("log", ".lock", "calc-handle", &error);

    ok(fd >= 0 && access("log.lock", F_OK) == 0, "a lock for life is a file beside it");
    ok(lock_for_life("log", ".lock", "calc-handle", &error) < 0 && error.status == EX_TEMPFAIL,
       "the second one is told to try again");
    close(fd);
    fd = lock_for_life("log", ".lock", "calc-handle", &error);
    ok(fd >= 0, "when the first is gone it is free");
    close(fd);
    ok(lock_for_life("no/folder", ".lock", "calc-handle", &error) < 0 && error.status == EX_IOERR,
       "where no file can be made there is no lock");
}

int main(void)
{
    scratch_enter();
    test_kinds();
    test_turnstile();
    test_life();
    return tap_done();
}
