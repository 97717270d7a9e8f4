/* Waiting for a view to change. */
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/folder.h"
#include "store/view.h"

static void watch(struct view_waiter *waiter)
{
    char path[4096 + 8];

    if (waiter->fd < 0)
        waiter->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    folder_path(path, sizeof path, waiter->folder, "wake");
    if (waiter->fd >= 0 && inotify_add_watch(waiter->fd, path, IN_MODIFY) < 0) {
        close(waiter->fd); /* no projector was here yet: only the second will tell */
        waiter->fd = -1;
    }
}

void view_waiter_open(struct view_waiter *waiter, const char *folder)
{
    waiter->fd = -1;
    snprintf(waiter->folder, sizeof waiter->folder, "%s", folder);
    watch(waiter);
}

void view_waiter_close(struct view_waiter *waiter)
{
    if (waiter->fd >= 0)
        close(waiter->fd);
    waiter->fd = -1;
}

/* Takes the events that are there. Whether the file that is watched is gone: the view was removed, and
 * maybe another one was put in its place. */
static bool drain(int fd)
{
    char events[4096] __attribute__((aligned(8)));
    const struct inotify_event *event;
    bool gone = false;
    ssize_t got;

    while ((got = read(fd, events, sizeof events)) > 0)
        for (const char *at = events; at < events + got; at += sizeof *event + event->len) {
            event = (const void *)at;
            gone |= (event->mask & IN_IGNORED) != 0;
        }
    return gone;
}

int view_wait_most(const struct view_waiter *waiter)
{
    return waiter->fd < 0 ? 50 : 1000;
}

void view_wait(struct view_waiter *waiter, int64_t timeout_ms)
{
    struct pollfd wait = {.fd = waiter->fd, .events = POLLIN};

    if (timeout_ms > view_wait_most(waiter))
        timeout_ms = view_wait_most(waiter);
    if (timeout_ms > 0)
        poll(&wait, 1, (int)timeout_ms);
    if (waiter->fd >= 0 && drain(waiter->fd))
        view_waiter_close(waiter);
    if (waiter->fd < 0)
        watch(waiter);
}
