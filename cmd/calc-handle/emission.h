/* The outcomes of a batch on their way out: they are gathered while the batch is decided, then a thread
 * puts them into a transaction and commits it, while the next batch is decided. */
#ifndef CALC_HANDLE_EMISSION_H
#define CALC_HANDLE_EMISSION_H

#include <pthread.h>

#include "base/buffer.h"
#include "base/histogram.h"
#include "stream/kafka_processor.h"

/* What one transaction is made of. */
struct emission_batch {
    struct buffer outcomes; /* of struct gathered */
    struct buffer text;     /* their keys and their lines */
    struct buffer offsets;  /* of struct reached: how far commands are handled with it */
};

/* Zeroed, with the processor set, it is empty. */
struct emission {
    struct kafka_processor *processor;
    struct emission_batch batches[2];
    int gathering; /* which of them is; the other one is on its way */
    bool sending;
    bool stuck; /* somebody asked us to stop, and it doesn't end */
    struct histogram commits; /* how long the transactions took that were committed */
    struct { /* what sends: one thread, since each has memory of its own to allocate from */
        bool started;
        pthread_t id;
        pthread_mutex_t mutex; /* of `step` */
        pthread_cond_t changed;
        enum { EMISSION_WAITS, EMISSION_SENDS, EMISSION_HAS_SENT, EMISSION_ENDS } step;
    } thread;
    int result; /* of the thread */
    struct error error;
};

/* Nothing may be under way. */
void emission_release(struct emission *emission);

/* Gathers an outcome; everything is copied. */
void emission_add(struct emission *emission, enum kafka_role role,
                  const struct kafka_command *command, const void *key, size_t key_len,
                  const void *data, size_t len);

/* Says that `next` is the next command of a partition when what was gathered is committed. */
void emission_reached(struct emission *emission, int32_t partition, uint64_t next);

/* Forgets what was gathered. */
void emission_clear(struct emission *emission);

/* Whether any outcome was gathered. */
bool emission_has_any(const struct emission *emission);

/* Sends what was gathered on its way, in a transaction of its own. Nothing else may be under way. */
int emission_send(struct emission *emission, struct error *error);

/* Waits for what is under way: 1 committed (or nothing was), 0 aborted, -1. Brokers that don't answer are
 * waited for; but once we are to stop not for long. What is `stuck` then is still at work on the processor
 * and on this emission: nobody else may touch them any more, nor free them. */
int emission_wait(struct emission *emission, struct error *error);

#endif
