#include "stream/group.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "stream/log.h"

struct batch {
    struct buffer lines;
    uint64_t offset; /* where it begins in the log, once done */
    uint64_t cut;    /* what was cut off before; told to one of the threads */
    int result;      /* as log_append */
    struct error error;
    int members; /* threads that look at it */
    bool unknown; /* it may be in the log though it failed */
    bool done;
};

struct group {
    const char *path;
    bool (*give_up)(void);
    struct log log; /* used by the thread that writes */
    pthread_mutex_t mutex;
    pthread_cond_t written;
    struct batch *filling; /* NULL: nobody waits */
    bool writing;          /* a thread has the log */
    bool poisoned;         /* the log was, when a thread had it last */
    struct histogram commits;
};

struct group *group_new(const char *path, bool (*give_up)(void))
{
    struct group *group = calloc(1, sizeof *group);

    if (!group)
        return NULL;
    group->path = path;
    group->log.fd = -1;
    group->give_up = give_up;
    pthread_mutex_init(&group->mutex, NULL);
    pthread_cond_init(&group->written, NULL);
    return group;
}

void group_free(struct group *group)
{
    if (!group)
        return;
    log_close(&group->log);
    pthread_cond_destroy(&group->written);
    pthread_mutex_destroy(&group->mutex);
    free(group);
}

/* Only one thread at a time is here, without the mutex. */
static void write_batch(struct group *group, struct batch *batch)
{
    int64_t begun_us = clock_us();
    bool poisoned;

    if (batch->lines.failed)
        batch->result = error_memory(&batch->error);
    else if (group->log.fd < 0)
        batch->result = log_open(&group->log, group->path, &batch->error);
    if (batch->result < 0)
        return;
    poisoned = group->log.poisoned;
    group->log.give_up = group->give_up;
    batch->result = log_append(&group->log, batch->lines.data, batch->lines.len, &batch->offset,
                               &batch->cut, &batch->error);
    if (batch->result == 0)
        histogram_add(&group->commits, clock_us() - begun_us);
    batch->unknown = batch->result < 0 && group->log.poisoned && !poisoned;
    if (batch->result < 0 && !group->log.poisoned)
        log_close(&group->log);
}

static struct batch *join(struct group *group)
{
    if (!group->filling)
        group->filling = calloc(1, sizeof *group->filling);
    if (group->filling)
        group->filling->members++;
    return group->filling;
}

int group_append(struct group *group, const char *line, size_t len, uint64_t *offset,
                 uint64_t *cut, bool *unknown, struct error *error)
{
    struct batch *batch;
    size_t from;
    int result;

    *unknown = false;
    pthread_mutex_lock(&group->mutex);
    batch = join(group);
    if (!batch) {
        pthread_mutex_unlock(&group->mutex);
        return error_memory(error);
    }
    from = batch->lines.len;
    buffer_append(&batch->lines, line, len);
    while (!batch->done) {
        if (group->writing) {
            pthread_cond_wait(&group->written, &group->mutex);
            continue;
        }
        group->writing = true; /* the batch that fills is ours: the others are done */
        group->filling = NULL;
        pthread_mutex_unlock(&group->mutex);
        write_batch(group, batch);
        pthread_mutex_lock(&group->mutex);
        group->writing = false;
        group->poisoned = group->log.poisoned;
        batch->done = true;
        pthread_cond_broadcast(&group->written);
    }
    *offset = batch->offset + from;
    *unknown = batch->unknown;
    *cut = batch->cut;
    batch->cut = 0;
    *error = batch->error;
    result = batch->result;
    if (--batch->members == 0) {
        buffer_release(&batch->lines);
        free(batch);
    }
    pthread_mutex_unlock(&group->mutex);
    return result;
}

const struct histogram *group_commits(const struct group *group)
{
    return &group->commits;
}

bool group_is_poisoned(struct group *group)
{
    bool poisoned;

    pthread_mutex_lock(&group->mutex);
    poisoned = group->poisoned;
    pthread_mutex_unlock(&group->mutex);
    return poisoned;
}
