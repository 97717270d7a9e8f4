#include "deadline.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { REPEAT_MS = 500, LATE_MS = 1000 };

static _Thread_local struct {
    timer_t timer;
    bool made;
    int64_t until_ms;          /* 0: none */
    _Atomic int64_t *watched; /* the same, for others to see; NULL: there were too many threads */
} mine;

static _Atomic int64_t all[DEADLINE_THREADS];
static _Atomic unsigned all_count;

static void ignore(int number)
{
    (void)number;
}

void deadline_install(void)
{
    struct sigaction action = {.sa_handler = ignore};

    sigaction(SIGUSR2, &action, NULL);
}

static bool make_timer(void)
{
    unsigned number = all_count++;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};

    event._sigev_un._tid = gettid(); /* timer_create(2): glibc has no other name for it */
    mine.watched = number < DEADLINE_THREADS ? &all[number] : NULL;
    mine.made = timer_create(CLOCK_MONOTONIC, &event, &mine.timer) == 0;
    return mine.made;
}

void deadline_set(int64_t ms)
{
    struct itimerspec when = {.it_interval = {.tv_nsec = REPEAT_MS * 1000000}};
    int64_t now_ms = clock_ms(), late_ms = mine.until_ms - (now_ms + ms);

    if (ms && late_ms >= 0 && late_ms <= LATE_MS)
        return;
    if (ms)
        ms += LATE_MS;
    when.it_value = (struct timespec){ms / 1000, ms % 1000 * 1000000};
    mine.until_ms = ms ? now_ms + ms : 0;
    if (mine.made || make_timer())
        timer_settime(mine.timer, 0, &when, NULL);
    if (mine.watched)
        *mine.watched = mine.until_ms;
}

int64_t deadline_overdue_ms(void)
{
    int64_t now = clock_ms(), overdue = 0;

    for (unsigned i = 0; i < all_count && i < DEADLINE_THREADS; i++) {
        int64_t until_ms = all[i];
        if (until_ms && now - until_ms > overdue)
            overdue = now - until_ms;
    }
    return overdue;
}

bool deadline_passed(void)
{
    return mine.until_ms && clock_ms() >= mine.until_ms;
}
