/* The projector: what it was told, its logs, and the view that it folds them into. */
#ifndef CALC_PROJECT_PROJECTOR_H
#define CALC_PROJECT_PROJECTOR_H

#include "fold.h"
#include "source.h"
#include "base/histogram.h"
#include "stream/kafka.h"
#include "tool/progress.h"

enum { PROJECTOR_SKIPS = 64 };

struct projector_skip {
    enum view_log log;
    int32_t partition; /* -1: the only one */
    uint64_t position;
};

struct projector {
    const char *names[VIEW_LOGS];
    char topics[VIEW_LOGS][KAFKA_STREAM_TEXT]; /* room for names */
    const char *folder;
    const char *from;
    bool follow, end, rebuild;
    struct projector_skip skips[PROJECTOR_SKIPS];
    int skip_count;
    struct source sources[VIEW_LOGS];
    struct view *view; /* NULL: fold in memory */
    struct view_txn *txn;
    struct fold fold;
    uint64_t records; /* that were taken, */
    uint64_t taken[VIEW_LOGS], duplicates;
    uint64_t rejections[REASON_OUT_OF_RANGE + 1]; /* by reason */
    struct histogram commits;
    const char *stats; /* a file; NULL: none */
    struct progress progress; /* until it has caught up for the first time */
    bool caught_up;
    bool marked, greeted; /* see projector_greet() */
};

/* Opens the logs, and goes on where the view has got to. */
int projector_open_logs(struct projector *projector, struct error *error);
void projector_close_logs(struct projector *projector);

/* Whether a stream's name is a topic's; NULL is none. */
bool projector_is_topic(const char *name);

/* Takes a batch of what each log has, and commits. Afterwards *more says whether there may be more at
 * once, *ended whether nothing will come any more. On a record's own error (EX_DATAERR) what came
 * before it is kept. */
int projector_step(struct projector *projector, bool *more, bool *ended, struct error *error);

/* After a step: tells who started us that we are ready, once the view has all that the logs held when it
 * was called first. */
int projector_greet(struct projector *projector, struct error *error);

/* The members of a line of statistics; the context is the projector. */
void projector_write_stats(void *context, struct buffer *out);

/* Waits until a log may have more, or a stop is asked for; a second at most. */
void projector_wait(const struct projector *projector);

#endif
