/* The outcomes of a batch on their way out: they are gathered while the batch before is committed, then
 * put into a transaction, which a thread commits while the next batch is decided. */
#ifndef CALC_HANDLE_EMISSION_H
#define CALC_HANDLE_EMISSION_H

#include <pthread.h>

#include "base/buffer.h"
#include "stream/kafka_processor.h"

/* Zeroed, with the processor set, it is empty. */
struct emission {
    struct kafka_processor *processor;
    struct buffer outcomes; /* of struct gathered */
    struct buffer text;     /* their keys and their lines */
    pthread_t thread;
    bool committing;
    int result; /* of the commit */
    struct error error;
};

void emission_release(struct emission *emission);

/* Gathers an outcome; everything is copied. */
void emission_add(struct emission *emission, enum kafka_role role,
                  const struct kafka_command *command, const void *key, size_t key_len,
                  const void *data, size_t len);

/* Forgets what was gathered. */
void emission_clear(struct emission *emission);

/* Whether anything was gathered. */
bool emission_has_any(const struct emission *emission);

/* Begins a transaction and puts what was gathered into it. The caller may add offsets to it
 * (kafka_processor_done), and lets it be committed: by a thread. Nothing else may be under way. */
int emission_begin(struct emission *emission, struct error *error);
int emission_commit(struct emission *emission, struct error *error);

/* Waits for the commit that is under way: 1 done (or nothing was), 0 aborted, -1. */
int emission_wait(struct emission *emission, struct error *error);

#endif
