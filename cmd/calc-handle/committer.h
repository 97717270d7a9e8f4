/* What the handler owes its outputs, on its way there: where a full batch goes to logs, a thread appends
 * and syncs it while the next one is decided. */
#ifndef CALC_HANDLE_COMMITTER_H
#define CALC_HANDLE_COMMITTER_H

#include <pthread.h>

#include "base/histogram.h"
#include "output.h"

/* Zeroed, with the outputs set, nothing is under way. */
struct committer {
    struct output *events, *rejections;
    struct histogram commits; /* how long they took */
    pthread_t thread;
    bool under_way;
    int result; /* of the thread, and how long that took */
    int64_t took_us;
    struct error error;
};

/* Commits what both outputs have gathered; after what is under way. With `behind` a thread may do it,
 * and until committer_wait() the outputs are only to be put to. */
int committer_commit(struct committer *committer, bool behind, struct error *error);

/* Waits for what is under way: 0, or -1 if it failed. */
int committer_wait(struct committer *committer, struct error *error);

#endif
