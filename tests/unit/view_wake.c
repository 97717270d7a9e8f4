/* A reader that waits is woken by every commit: none is missed, and found only by the look that it
 * takes each second in any case. With an argument: so many commits. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calc/outcome.h"
#include "scratch.h"
#include "store/view.h"
#include "tap.h"

enum {
    COMMITS = 2000,
    MISSED = 3, /* are enough */
    DEADLINE_MS = 120000,
};

/* What both processes see. */
struct shared {
    volatile uint64_t committed; /* the version, once the commit has returned */
    volatile uint64_t seen;
    volatile uint64_t missed, waits;
    volatile bool waiting; /* the reader has its watch: commits before it wake nobody */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct id value_id = {{0x01, 0x93, 15}};

static int commit(struct view *view, uint64_t version)
{
    struct outcome event = {.action = version == 1 ? ACTION_CREATE : ACTION_ADD,
                            .value_id = value_id,
                            .parent = {{(uint8_t)(version >> 16), (uint8_t)(version >> 8),
                                        (uint8_t)version}},
                            .value = 1,
                            .version = version,
                            .result = (double)version,
                            .timestamp = TIMESTAMP_NONE};
    struct view_txn *txn;
    struct error error;

    outcome_derive_id(&value_id, &event.parent, &event.id);
    if (view_begin(view, &txn, &error) < 0)
        return -1;
    if (view_apply_event(txn, &event, 0, version, &error) != 1) {
        view_abort(txn);
        return -1;
    }
    return view_commit(view, txn, &error);
}

static uint64_t look(struct view *view)
{
    struct view_value value = {0};
    struct view_txn *txn;
    struct error error;

    if (view_snapshot(view, &txn, &error) < 0)
        return 0;
    view_get_value(txn, &value_id, &value, &error);
    view_abort(txn);
    return value.value.version;
}

/* Whether a commit ends a wait. No clock is looked at, since a machine may stand still. */
static bool is_woken(const struct view_waiter *waiter, int wait_ms)
{
    struct pollfd wait = {.fd = waiter->fd, .events = POLLIN};

    return poll(&wait, 1, wait_ms) > 0;
}

/* In a process of its own: sees one version after the other. */
static void read_all(struct shared *shared, uint64_t count)
{
    struct view_waiter waiter;
    struct view *view;
    struct error error;

    if (view_open("view", &view, &error) < 0)
        exit(1);
    view_waiter_open(&waiter, "view");
    shared->waiting = true;
    while (shared->seen < count) {
        bool woken = is_woken(&waiter, view_wait_most(&waiter));
        shared->waits++;
        /* who sees what was committed behind the wait finds the news of it, too */
        if (!woken && shared->committed > shared->seen && !is_woken(&waiter, 0))
            shared->missed++;
        view_wait(&waiter, 0);
        shared->seen = look(view);
    }
    view_waiter_close(&waiter);
    view_close(view);
    exit(0);
}

/* Commits when the one before was seen, at once or a bit later: the reader is on its way to sleep, or
 * sleeps. */
static uint64_t write_all(struct view *view, struct shared *shared, uint64_t count)
{
    for (uint64_t version = 1; version <= count; version++) {
        int64_t deadline = now_ms() + DEADLINE_MS;
        struct timespec pause = {0, (long)(version * 7919 % 50) * 1000};
        while ((!shared->waiting || shared->seen < version - 1) && now_ms() < deadline)
            sched_yield();
        if (!shared->waiting || shared->seen < version - 1 || shared->missed > MISSED)
            return version;
        if (version % 2)
            nanosleep(&pause, NULL);
        if (commit(view, version) < 0)
            return version;
        shared->committed = version;
    }
    return 0;
}

/* As when a backup is restored under readers that wait. */
static void test_another(void)
{
    struct view_waiter waiter;
    struct error error = {0};
    struct view *view;

    view_create("other", &view, &error);
    view_waiter_open(&waiter, "other");
    view_wake(view);
    ok(is_woken(&waiter, view_wait_most(&waiter)), "who waits is woken");
    view_close(view);
    nftw("other", scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    view_wait(&waiter, 10000);
    view_create("other", &view, &error);
    view_wait(&waiter, 10000);
    view_wake(view);
    ok(is_woken(&waiter, view_wait_most(&waiter)), "and by another view that was put in the place of that one, too");
    view_waiter_close(&waiter);
    view_close(view);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : COMMITS;
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct error error = {0};
    struct view *view;
    uint64_t stopped;
    int status = -1;
    pid_t child;

    scratch_enter();
    if (shared == MAP_FAILED || view_create("view", &view, &error) < 0) {
        printf("Bail out! no view: %s\n", error.text);
        return 1;
    }
    view_close(view); /* LMDB's environments don't go through a fork */
    child = fork();
    if (child == 0)
        read_all(shared, count);
    view_create("view", &view, &error);
    stopped = write_all(view, shared, count);
    ok(!stopped, "%llu commits, each seen by who waits for it", (unsigned long long)count);
    if (stopped) {
        printf("# stopped at %llu\n", (unsigned long long)stopped);
        kill(child, SIGKILL);
    }
    waitpid(child, &status, 0);
    ok(status == 0, "the reader ends when it has seen all");
    ok(!shared->missed, "none was found only by the look each second");
    printf("# %llu waits\n", (unsigned long long)shared->waits);
    view_close(view);
    test_another();
    return tap_done();
}
