/* The view, as the threads of a process share it: its snapshots, and waiting for outcomes.
 *
 * Of the threads that wait one looks on, with inotify, and wakes the others, which then look for
 * themselves; when it has what it came for, another one takes its place. */
#ifndef CALC_CGI_VIEWER_H
#define CALC_CGI_VIEWER_H

#include <pthread.h>

#include "request.h"
#include "store/view.h"

enum { WAITERS_MAX = 256 }; /* requests that wait at the same time */

struct viewer {
    const char *folder;
    pthread_rwlock_t lock; /* shared by who uses the view, exclusive to open it */
    struct view *view;     /* NULL: not open */
    unsigned openings;     /* how often it was opened: what was placed in another one, has to be again */

    pthread_mutex_t mutex; /* for what follows */
    pthread_cond_t looked;
    struct view_waiter waiter; /* of the thread that looks on */
    bool opened;               /* the waiter is */
    bool watched;              /* a thread looks on */
    unsigned changes;          /* how often the view may have changed */
    int waiting;
};

void viewer_init(struct viewer *viewer, const char *folder);
void viewer_release(struct viewer *viewer);

/* A snapshot of the view, opened if need be; it has to be ended before a new view can be opened.
 * EX_TEMPFAIL if there is no view yet. */
int viewer_begin(struct viewer *viewer, struct view_txn **txn, struct error *error);
void viewer_end(struct viewer *viewer, struct view_txn *txn);

/* Waits until the outcome of a command on a value is visible. */
enum seen {
    SEEN_ERROR = -1,
    SEEN_NOT,  /* it isn't in time, or we are stopped, or the client left */
    SEEN_BUSY, /* it isn't yet, and WAITERS_MAX requests wait already */
    SEEN,
};
struct awaited {
    const struct id *value_id, *command_id;
    int64_t deadline_ms; /* clock_ms(); one that is past looks once */
    struct outcome outcome; /* if SEEN */
    struct view_txn *txn;   /* if SEEN: a snapshot that has it, to be ended by the caller */
};
enum seen viewer_await(struct viewer *viewer, const struct request *request,
                       struct awaited *awaited, struct error *error);

#endif
