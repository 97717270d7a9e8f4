/* How calc-cgi knows of a thread that is stuck. */
#include "../../cmd/calc-cgi/deadline.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "tap.h"

enum { SHORT_MS = 30 };

static atomic_bool go_on;

/* How late who is late is, as soon as that is more than `ms`; a deadline may come a second late. */
static int64_t later_than(int64_t ms)
{
    int64_t until = clock_ms() + 20000, late;

    while ((late = deadline_overdue_ms()) <= ms && clock_ms() < until)
        poll(NULL, 0, 5);
    return late;
}

/* Its deadline passes, it doesn't care until it is told to, and ends what it was at. */
static void *stick(void *argument)
{
    (void)argument;
    deadline_set(SHORT_MS);
    while (!go_on)
        poll(NULL, 0, 5);
    deadline_set(0);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    int64_t late, begun;

    deadline_install();
    ok(deadline_overdue_ms() == 0, "nobody is late at first");
    deadline_set(60000);
    ok(deadline_overdue_ms() == 0, "who has time left isn't late");
    begun = clock_ms();
    pthread_create(&thread, NULL, stick, NULL);
    late = later_than(0);
    ok(late > 0 && late <= clock_ms() - begun - SHORT_MS + 1,
       "another thread's deadline passed %lld ms ago", (long long)late);
    ok(later_than(late) > late, "it gets later");
    go_on = true;
    pthread_join(thread, NULL);
    ok(deadline_overdue_ms() == 0, "done late is done");
    return tap_done();
}
