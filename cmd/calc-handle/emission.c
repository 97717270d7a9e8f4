#include "emission.h"

#include <string.h>

/* An outcome whose key and line are in the text, which may still move. */
struct gathered {
    struct kafka_outcome outcome;
    size_t key, data;
    bool has_key;
};

void emission_release(struct emission *emission)
{
    buffer_release(&emission->outcomes);
    buffer_release(&emission->text);
}

void emission_clear(struct emission *emission)
{
    emission->outcomes.len = 0;
    emission->text.len = 0;
}

bool emission_has_any(const struct emission *emission)
{
    return emission->outcomes.len > 0;
}

void emission_add(struct emission *emission, enum kafka_role role,
                  const struct kafka_command *command, const void *key, size_t key_len,
                  const void *data, size_t len)
{
    struct gathered gathered = {.outcome = {.role = role,
                                            .partition = command->line.partition,
                                            .key_len = key_len,
                                            .len = len},
                                .has_key = key != NULL};

    memcpy(gathered.outcome.position, command->position, sizeof command->position);
    gathered.key = emission->text.len;
    buffer_append(&emission->text, key, key_len);
    gathered.data = emission->text.len;
    buffer_append(&emission->text, data, len);
    buffer_append(&emission->outcomes, &gathered, sizeof gathered);
}

int emission_begin(struct emission *emission, struct error *error)
{
    struct gathered *gathered = (struct gathered *)emission->outcomes.data;
    size_t count = emission->outcomes.len / sizeof *gathered;

    if (emission->outcomes.failed || emission->text.failed)
        return error_memory(error);
    if (kafka_processor_begin(emission->processor, error) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct kafka_outcome *outcome = &gathered[i].outcome;
        if (gathered[i].has_key)
            outcome->key = emission->text.data + gathered[i].key;
        outcome->data = emission->text.data + gathered[i].data;
        kafka_processor_put(emission->processor, outcome);
    }
    emission_clear(emission);
    return 0;
}

static void *commit(void *argument)
{
    struct emission *emission = argument;

    emission->result = kafka_processor_commit(emission->processor, &emission->error);
    return NULL;
}

int emission_commit(struct emission *emission, struct error *error)
{
    if (pthread_create(&emission->thread, NULL, commit, emission) != 0)
        return error_set(error, EX_TEMPFAIL, "can't start a thread");
    emission->committing = true;
    return 0;
}

int emission_wait(struct emission *emission, struct error *error)
{
    if (!emission->committing)
        return 1;
    pthread_join(emission->thread, NULL);
    emission->committing = false;
    if (emission->result < 0)
        *error = emission->error;
    return emission->result;
}
