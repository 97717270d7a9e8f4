#include "partitions.h"

#include <pthread.h>
#include <stdlib.h>

enum work { TAKE, LEAVE, LEAVE_WITH_CHECKPOINT };

struct worker {
    struct partition_task task;
    const struct topics *topics;
    enum work work;
    bool started;
    pthread_t thread;
    int result;
    struct error error;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct partition *partition = worker->task.partition;

    if (worker->work == TAKE)
        worker->result =
            partition_take(partition, worker->topics, worker->task.committed, &worker->error);
    else
        worker->result = partition_leave(partition, worker->topics,
                                         worker->work == LEAVE_WITH_CHECKPOINT, &worker->error);
    return NULL;
}

/* Each has a state of its own to read or write, and others may wait for the partitions. */
static int work_all(const struct partition_task *tasks, size_t count, const struct topics *topics,
                    enum work what, struct error *error)
{
    struct worker *workers = calloc(count + 1, sizeof *workers);
    int result = 0;

    if (!workers)
        return error_memory(error);
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = &workers[i];
        *worker = (struct worker){.task = tasks[i], .topics = topics, .work = what};
        worker->started = pthread_create(&worker->thread, NULL, work, worker) == 0;
        if (!worker->started)
            work(worker);
    }
    for (size_t i = 0; i < count; i++) {
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
        if (workers[i].result < 0 && result == 0) {
            *error = workers[i].error;
            result = -1;
        }
    }
    free(workers);
    return result;
}

int partitions_take(const struct partition_task *tasks, size_t count, const struct topics *topics,
                    struct error *error)
{
    return work_all(tasks, count, topics, TAKE, error);
}

int partitions_leave(const struct partition_task *tasks, size_t count, const struct topics *topics,
                     bool checkpoint, struct error *error)
{
    return work_all(tasks, count, topics, checkpoint ? LEAVE_WITH_CHECKPOINT : LEAVE, error);
}
