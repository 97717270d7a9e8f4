#include "committer.h"

#include <signal.h>

#include "base/clock.h"

static void append(struct committer *committer)
{
    int64_t begun_us = clock_us();

    committer->result = output_append(committer->events, &committer->error);
    if (committer->result == 0)
        committer->result = output_append(committer->rejections, &committer->error);
    committer->took_us = clock_us() - begun_us;
}

static void *work(void *argument)
{
    append(argument);
    return NULL;
}

static int finish(struct committer *committer, struct error *error)
{
    if (committer->result < 0)
        *error = committer->error;
    else
        histogram_add(&committer->commits, committer->took_us);
    return committer->result;
}

/* Signals are for who reads the commands. */
static bool start(struct committer *committer)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&committer->thread, NULL, work, committer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0;
}

int committer_commit(struct committer *committer, bool behind, struct error *error)
{
    if (committer_wait(committer, error) < 0)
        return -1;
    behind = behind && output_only_grows(committer->events) &&
             output_only_grows(committer->rejections);
    output_take(committer->events);
    output_take(committer->rejections);
    committer->under_way = behind && start(committer);
    if (committer->under_way)
        return 0;
    append(committer);
    return finish(committer, error);
}

int committer_wait(struct committer *committer, struct error *error)
{
    if (!committer->under_way)
        return 0;
    pthread_join(committer->thread, NULL);
    committer->under_way = false;
    return finish(committer, error);
}
