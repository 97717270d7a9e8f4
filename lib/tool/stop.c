#include "tool/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int event_fd = -1;
static _Atomic bool asked; /* of all threads; without a lock, which a signal may not take */

static void on_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;

    (void)number;
    asked = true;
    if (write(event_fd, &one, sizeof one) < 0) {
        /* the counter is full: it is readable already */
    }
    errno = saved;
}

void stop_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

bool stop_asked(void)
{
    return asked;
}

int stop_fd(void)
{
    return event_fd;
}
