#include "emission.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tool/service.h"
#include "tool/stop.h"

enum {
    LOOK_MS = 200,      /* whether we are to stop */
    GIVE_UP_MS = 12000  /* then: an answer's time (KAFKA_WAIT_MS), and some more */
};

/* An outcome whose key and line are in the text, which may still move. */
struct gathered {
    struct kafka_outcome outcome;
    size_t key, data;
    bool has_key;
};

struct reached {
    uint64_t next;
    int32_t partition;
};

static struct emission_batch *gathering(struct emission *emission)
{
    return &emission->batches[emission->gathering];
}

static void clear(struct emission_batch *batch)
{
    batch->outcomes.len = 0;
    batch->text.len = 0;
    batch->offsets.len = 0;
}

void emission_clear(struct emission *emission)
{
    clear(gathering(emission));
}

bool emission_has_any(const struct emission *emission)
{
    return emission->batches[emission->gathering].outcomes.len > 0;
}

void emission_add(struct emission *emission, enum kafka_role role,
                  const struct kafka_command *command, const void *key, size_t key_len,
                  const void *data, size_t len)
{
    struct emission_batch *batch = gathering(emission);
    struct gathered gathered = {.outcome = {.role = role,
                                            .partition = command->line.partition,
                                            .key_len = key_len,
                                            .len = len},
                                .has_key = key != NULL};

    memcpy(gathered.outcome.position, command->position, sizeof command->position);
    gathered.key = batch->text.len;
    buffer_append(&batch->text, key, key_len);
    gathered.data = batch->text.len;
    buffer_append(&batch->text, data, len);
    buffer_append(&batch->outcomes, &gathered, sizeof gathered);
}

void emission_reached(struct emission *emission, int32_t partition, uint64_t next)
{
    struct reached reached = {next, partition};

    buffer_append(&gathering(emission)->offsets, &reached, sizeof reached);
}

/* --- on its way --- */

static void put_all(struct kafka_processor *processor, const struct emission_batch *batch)
{
    struct gathered *gathered = (struct gathered *)batch->outcomes.data;
    const struct reached *reached = (const struct reached *)batch->offsets.data;

    for (size_t i = 0; i < batch->outcomes.len / sizeof *gathered; i++) {
        struct kafka_outcome *outcome = &gathered[i].outcome;
        if (gathered[i].has_key)
            outcome->key = batch->text.data + gathered[i].key;
        outcome->data = batch->text.data + gathered[i].data;
        kafka_processor_put(processor, outcome);
    }
    for (size_t i = 0; i < batch->offsets.len / sizeof *reached; i++)
        kafka_processor_done(processor, reached[i].partition, reached[i].next);
}

static void send_batch(struct emission *emission)
{
    struct emission_batch *batch = &emission->batches[!emission->gathering];
    int64_t begun_us = clock_us();

    emission->result = kafka_processor_begin(emission->processor, &emission->error);
    if (emission->result == 0) {
        put_all(emission->processor, batch);
        emission->result = kafka_processor_commit(emission->processor, &emission->error);
    }
    if (emission->result > 0)
        histogram_add(&emission->commits, clock_us() - begun_us);
    clear(batch);
}

/* --- the thread --- */

static void go_to(struct emission *emission, int step)
{
    pthread_mutex_lock(&emission->thread.mutex);
    emission->thread.step = step;
    pthread_cond_broadcast(&emission->thread.changed);
    pthread_mutex_unlock(&emission->thread.mutex);
}

static void *work(void *argument)
{
    struct emission *emission = argument;
    int step;

    for (;;) {
        pthread_mutex_lock(&emission->thread.mutex);
        while (emission->thread.step == EMISSION_WAITS || emission->thread.step == EMISSION_HAS_SENT)
            pthread_cond_wait(&emission->thread.changed, &emission->thread.mutex);
        step = emission->thread.step;
        pthread_mutex_unlock(&emission->thread.mutex);
        if (step == EMISSION_ENDS)
            return NULL;
        send_batch(emission);
        go_to(emission, EMISSION_HAS_SENT);
    }
}

static bool start(struct emission *emission)
{
    pthread_condattr_t attributes;

    if (emission->thread.started)
        return true;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&emission->thread.mutex, NULL);
    pthread_cond_init(&emission->thread.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    emission->thread.started = pthread_create(&emission->thread.id, NULL, work, emission) == 0;
    return emission->thread.started;
}

void emission_release(struct emission *emission)
{
    if (emission->thread.started) {
        go_to(emission, EMISSION_ENDS);
        pthread_join(emission->thread.id, NULL);
    }
    for (int i = 0; i < 2; i++) {
        buffer_release(&emission->batches[i].outcomes);
        buffer_release(&emission->batches[i].text);
        buffer_release(&emission->batches[i].offsets);
    }
}

int emission_send(struct emission *emission, struct error *error)
{
    const struct emission_batch *batch = gathering(emission);

    if (batch->outcomes.failed || batch->text.failed || batch->offsets.failed)
        return error_memory(error);
    if (!start(emission))
        return error_set(error, EX_TEMPFAIL, "can't start a thread");
    emission->gathering = !emission->gathering;
    emission->sending = true;
    go_to(emission, EMISSION_SENDS);
    return 0;
}

static bool ends_soon(struct emission *emission)
{
    struct timespec until;
    bool sent;
    int code = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&emission->thread.mutex);
    while (emission->thread.step == EMISSION_SENDS && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&emission->thread.changed, &emission->thread.mutex, &until);
    sent = emission->thread.step == EMISSION_HAS_SENT;
    pthread_mutex_unlock(&emission->thread.mutex);
    return sent;
}

/* librdkafka waits for ever for a coordinator to take offsets, whatever time it was given (2.0 to 2.14). */
static bool wait_for(struct emission *emission)
{
    int64_t asked_ms = 0;

    while (!ends_soon(emission)) {
        service_takes_long();
        if (stop_asked() && !asked_ms)
            asked_ms = clock_ms();
        if (asked_ms && clock_ms() - asked_ms > GIVE_UP_MS)
            return false;
    }
    return true;
}

int emission_wait(struct emission *emission, struct error *error)
{
    if (!emission->sending)
        return 1;
    emission->stuck = !wait_for(emission);
    emission->sending = false;
    if (emission->stuck)
        return error_set(error, EX_TEMPFAIL, "Kafka doesn't answer, and what becomes of the last "
                                             "transaction is for the next start to find");
    if (emission->result < 0)
        *error = emission->error;
    return emission->result;
}
