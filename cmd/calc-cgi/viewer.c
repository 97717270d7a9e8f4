#include "viewer.h"

#include <poll.h>
#include <time.h>

#include "base/clock.h"
#include "tool/stop.h"

enum { LOOK_MS = 1000, NO_VIEW_MS = 50 };

void viewer_init(struct viewer *viewer, const char *folder)
{
    *viewer = (struct viewer){.folder = folder};
    pthread_rwlock_init(&viewer->lock, NULL);
    pthread_mutex_init(&viewer->mutex, NULL);
    pthread_cond_init(&viewer->looked, NULL);
}

void viewer_release(struct viewer *viewer)
{
    if (viewer->opened)
        view_waiter_close(&viewer->waiter);
    view_close(viewer->view);
    pthread_cond_destroy(&viewer->looked);
    pthread_mutex_destroy(&viewer->mutex);
    pthread_rwlock_destroy(&viewer->lock);
}

/* --- snapshots --- */

int viewer_begin(struct viewer *viewer, struct view_txn **txn, struct error *error)
{
    int result = 0;

    pthread_rwlock_rdlock(&viewer->lock);
    while (result == 0 && (!viewer->view || view_replaced(viewer->view))) {
        pthread_rwlock_unlock(&viewer->lock);
        pthread_rwlock_wrlock(&viewer->lock);
        result = view_refresh(viewer->folder, &viewer->view, error);
        viewer->openings++;
        pthread_rwlock_unlock(&viewer->lock);
        pthread_rwlock_rdlock(&viewer->lock);
    }
    if (result == 0)
        result = view_snapshot(viewer->view, txn, error);
    if (result < 0)
        pthread_rwlock_unlock(&viewer->lock);
    return result;
}

void viewer_end(struct viewer *viewer, struct view_txn *txn)
{
    view_abort(txn);
    pthread_rwlock_unlock(&viewer->lock);
}

/* --- waiting --- */

static enum seen look(struct viewer *viewer, struct awaited *awaited, struct error *error)
{
    int result;

    if (viewer_begin(viewer, &awaited->txn, error) < 0)
        return error->status == EX_TEMPFAIL ? SEEN_NOT : SEEN_ERROR;
    result = view_get_outcome(awaited->txn, awaited->value_id, awaited->command_id,
                              &awaited->outcome, error);
    if (result > 0)
        return SEEN;
    viewer_end(viewer, awaited->txn);
    awaited->txn = NULL;
    return result < 0 ? SEEN_ERROR : SEEN_NOT;
}

/* Looks on until the view may have changed. Only one thread is here, without the mutex. */
static void watch(struct viewer *viewer, int64_t left_ms)
{
    struct pollfd wait[] = {{.events = POLLIN}, {.fd = stop_fd(), .events = POLLIN}};
    int64_t most_ms;

    if (!viewer->opened) {
        view_waiter_open(&viewer->waiter, viewer->folder);
        viewer->opened = true; /* and what came before the watch, somebody has to look for */
        return;
    }
    wait[0].fd = viewer->waiter.fd;
    most_ms = wait[0].fd < 0 ? NO_VIEW_MS : LOOK_MS;
    poll(wait, 2, (int)(left_ms < most_ms ? left_ms : most_ms));
    view_wait(&viewer->waiter, 0);
    if (wait[0].fd >= 0 && !wait[0].revents) {
        /* the folder may be another by now, whose changes the watch doesn't see */
        view_waiter_close(&viewer->waiter);
        viewer->opened = false;
    }
}

/* Returns when the view may have changed since `changes` was read, or when the time is up. */
static void wait_for_change(struct viewer *viewer, unsigned changes, int64_t left_ms)
{
    struct timespec until;

    pthread_mutex_lock(&viewer->mutex);
    if (viewer->changes != changes) {
        /* somebody saw it meanwhile */
    } else if (viewer->watched) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        if (left_ms > LOOK_MS)
            left_ms = LOOK_MS;
        until.tv_nsec += left_ms % 1000 * 1000000;
        until.tv_sec += left_ms / 1000 + until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_clockwait(&viewer->looked, &viewer->mutex, CLOCK_MONOTONIC, &until);
    } else {
        viewer->watched = true;
        pthread_mutex_unlock(&viewer->mutex);
        watch(viewer, left_ms);
        pthread_mutex_lock(&viewer->mutex);
        viewer->watched = false;
        viewer->changes++;
        pthread_cond_broadcast(&viewer->looked);
    }
    pthread_mutex_unlock(&viewer->mutex);
}

static unsigned read_changes(struct viewer *viewer)
{
    unsigned changes;

    pthread_mutex_lock(&viewer->mutex);
    changes = viewer->changes;
    pthread_mutex_unlock(&viewer->mutex);
    return changes;
}

/* Adds to those who wait; false if they are too many. */
static bool add_waiting(struct viewer *viewer, int count)
{
    bool room;

    pthread_mutex_lock(&viewer->mutex);
    room = viewer->waiting + count <= WAITERS_MAX;
    if (room)
        viewer->waiting += count;
    pthread_mutex_unlock(&viewer->mutex);
    return room;
}

static bool gives_up(const struct request *request)
{
    return stop_asked() || (request->gone && request->gone(request->from));
}

enum seen viewer_await(struct viewer *viewer, const struct request *request,
                       struct awaited *awaited, struct error *error)
{
    enum seen seen = look(viewer, awaited, error);
    int64_t left_ms = awaited->deadline_ms - clock_ms();

    if (seen != SEEN_NOT || left_ms <= 0)
        return seen;
    if (!add_waiting(viewer, 1))
        return SEEN_BUSY;
    for (;;) {
        unsigned changes = read_changes(viewer);
        seen = look(viewer, awaited, error);
        left_ms = awaited->deadline_ms - clock_ms();
        if (seen != SEEN_NOT || left_ms <= 0 || gives_up(request))
            break;
        wait_for_change(viewer, changes, left_ms);
    }
    add_waiting(viewer, -1);
    return seen;
}
