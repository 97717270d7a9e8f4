#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/lock.h"
#include "tool/inputs.h"
#include "tool/stop.h"

enum {
    IDLE_MS = 1000,       /* without commands: time for a checkpoint */
    CHECKPOINT_MS = 10000 /* at most between two, while there is work */
};

/* --- opening --- */

/* The store is where the topics have that of their partition 0. */
static int store_of(const char *folder, char store[PATH_MAX], struct error *error)
{
    if (folder_path(store, PATH_MAX - 32, folder, "0") < 0)
        return error_set(error, EX_USAGE, "the state's name is too long");
    return 0;
}

static int lock_folder(const char *folder, struct error *error)
{
    char name[PATH_MAX + 16];

    folder_path(name, sizeof name, folder, "handler");
    return lock_for_life(name, ".lock", "calc-handle", error);
}

/* What is no state, or damaged, can go: it is only a copy. */
static int advise(const char *folder, struct error *error)
{
    size_t len = strlen(error->text);

    if (error->status == EX_DATAERR)
        snprintf(error->text + len, sizeof error->text - len,
                 "; without the folder %s the state is derived again", folder);
    return -1;
}

int keeper_open(struct keeper *keeper, const char *folder, struct error *error)
{
    char store[PATH_MAX];

    snprintf(keeper->folder, sizeof keeper->folder, "%s", folder);
    if (store_of(folder, store, error) < 0 || folder_make(folder, error) < 0)
        return -1;
    keeper->lock = lock_folder(folder, error);
    if (keeper->lock < 0)
        return -1;
    if (state_open(keeper->state, store, &keeper->saved, error) < 0)
        return advise(folder, error);
    if (keeper->saved.begun && keeper->saved.partitions)
        return error_set(error, EX_DATAERR, "the state in %s is of a topic, and not of %s", folder,
                         reader_name(keeper->input));
    keeper->start = reader_offset(keeper->input);
    return 0;
}

void keeper_close(struct keeper *keeper)
{
    if (keeper->lock >= 0)
        close(keeper->lock);
}

/* --- which logs they are --- */

static int is_of_another(const struct keeper *keeper, uint64_t offset, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "the state in %s is of another log: the command at %llu of %s is not the one "
                     "that it knows; nothing was changed",
                     keeper->folder, (unsigned long long)offset, reader_name(keeper->input));
}

/* The next record, waiting for a file that is to come. READ_INTERRUPTED: it is time to stop. */
static int next_record(struct keeper *keeper, struct line *record, struct error *error)
{
    for (;;) {
        int result = reader_next(keeper->input, record, error);
        if (stop_asked() && (result == READ_INTERRUPTED || result == READ_PAUSE))
            return READ_INTERRUPTED;
        if (result == READ_PAUSE && !reader_is_there(keeper->input))
            inputs_wait(&keeper->input, 1);
        else if (result != READ_INTERRUPTED)
            return result;
    }
}

static int check_record(struct keeper *keeper, uint64_t start, const struct id *digest,
                        struct line *record, struct error *error)
{
    int result = next_record(keeper, record, error);
    struct id found;

    if (result < 0 || result == READ_INTERRUPTED)
        return result;
    if (result != READ_RECORD)
        return error_set(error, EX_DATAERR,
                         "%s ends at %llu, before %llu, to where the state in %s is; nothing was "
                         "changed", reader_name(keeper->input),
                         (unsigned long long)reader_offset(keeper->input),
                         (unsigned long long)keeper->saved.next, keeper->folder);
    state_digest(record->data, record->len, &found);
    return record->start == start && id_equal(&found, digest) ? READ_RECORD
                                                              : is_of_another(keeper, start, error);
}

/* The first record and the last one that was handled. READ_RECORD, READ_INTERRUPTED, -1. */
static int check_input(struct keeper *keeper, struct error *error)
{
    const struct state_position *saved = &keeper->saved;
    struct line record;
    int result = check_record(keeper, saved->first, &saved->first_digest, &record, error);

    if (result != READ_RECORD)
        return result;
    if (reader_seek(keeper->input, 0, saved->last, error) < 0)
        return -1;
    result = check_record(keeper, saved->last, &saved->last_digest, &record, error);
    if (result == READ_RECORD && record.end != saved->next)
        return is_of_another(keeper, saved->last, error);
    return result;
}

/* What stands right before the checkpoint's position in an output, and that it isn't shorter than it
 * was. */
static int check_output(const struct keeper *keeper, int i, uint64_t end, struct error *error)
{
    const struct state_position *saved = &keeper->saved;
    const struct output *output = keeper->outputs[i];
    struct id digest;

    if (end < saved->durable[i])
        return error_set(error, EX_DATAERR,
                         "%s ends at %llu, before %llu, to where the state in %s knows it: "
                         "outcomes are lost; nothing was changed",
                         output->name, (unsigned long long)end,
                         (unsigned long long)saved->durable[i], keeper->folder);
    if (saved->ends[i] == 0)
        return 0;
    if (output_digest(output, saved->last_outcomes[i], saved->ends[i], &digest, error) < 0)
        return error->status == EX_DATAERR
                   ? error_set(error, EX_DATAERR,
                               "%s has no line from %llu to %llu, where the state in %s has its "
                               "last outcome; nothing was changed",
                               output->name, (unsigned long long)saved->last_outcomes[i],
                               (unsigned long long)saved->ends[i], keeper->folder)
                   : -1;
    if (!id_equal(&digest, &saved->outcome_digests[i]))
        return error_set(error, EX_DATAERR,
                         "%s is another log, or damaged: at %llu is not the outcome that the state "
                         "in %s knows; nothing was changed",
                         output->name, (unsigned long long)saved->last_outcomes[i],
                         keeper->folder);
    return 0;
}

int keeper_resume(struct keeper *keeper, struct error *error)
{
    struct state_position *saved = &keeper->saved;
    uint64_t ends[KEEPER_OUTPUTS];
    int result;

    state_forget(keeper->state);
    keeper->position = *saved;
    keeper->moved = 0;
    for (int i = 0; i < KEEPER_OUTPUTS; i++)
        if (writer_end(keeper->outputs[i]->writer, &ends[i], error) < 0 ||
            check_output(keeper, i, ends[i], error) < 0)
            return -1;
    if (saved->begun) {
        result = reader_seek(keeper->input, 0, keeper->start, error) < 0
                     ? -1 : check_input(keeper, error);
        if (result < 0 || result == READ_INTERRUPTED)
            return result < 0 ? -1 : 0;
    }
    for (int i = 0; i < KEEPER_OUTPUTS; i++) {
        /* with no state there are no durable ends: all that is there has to be equal */
        if (!saved->kept)
            keeper->position.durable[i] = ends[i];
        keeper->outputs[i]->last = saved->last_outcomes[i];
        if (output_resume(keeper->outputs[i], saved->ends[i], keeper->position.durable[i], error) <
            0)
            return -1;
    }
    return reader_seek(keeper->input, 0, saved->begun ? saved->next : keeper->start, error);
}

/* --- going on --- */

void keeper_moves(struct keeper *keeper, const struct line *record)
{
    struct state_position *position = &keeper->position;

    if (!keeper->state)
        return;
    if (!position->begun) {
        position->begun = true;
        position->first = record->start;
        state_digest(record->data, record->len, &position->first_digest);
    }
    position->last = record->start;
    position->next = record->end;
    if (keeper->moved++ == 0)
        keeper->since_ms = clock_ms();
}

static int sync_outputs(struct keeper *keeper, struct error *error)
{
    if (output_sync(keeper->outputs[0], error) < 0)
        return -1;
    return output_sync(keeper->outputs[1], error);
}

int keeper_before_append(struct keeper *keeper, struct error *error)
{
    if (!keeper->state || keeper->saved.kept)
        return 0;
    if (sync_outputs(keeper, error) < 0 ||
        state_mark_durable(keeper->state, keeper->position.durable, error) < 0)
        return -1;
    keeper->saved.kept = true;
    memcpy(keeper->saved.durable, keeper->position.durable, sizeof keeper->saved.durable);
    return 0;
}

/* How many commands are still to be read, as far as that is known, if they are as long as the last ones. */
static uint64_t ahead(const struct keeper *keeper)
{
    uint64_t end = reader_known_end(keeper->input, 0), next = keeper->position.next;
    uint64_t length = (next - keeper->saved.next) / keeper->moved;

    return end == UINT64_MAX || end <= next || !length ? 0 : (end - next) / length;
}

bool keeper_is_due(const struct keeper *keeper, bool idle)
{
    int64_t passed;

    if (!keeper->state || !keeper->moved)
        return false;
    passed = clock_ms() - keeper->since_ms;
    return (idle && passed >= IDLE_MS) || passed >= CHECKPOINT_MS ||
           state_is_due(keeper->state, keeper->memory / 2, keeper->memory / 2, ahead(keeper));
}

/* The digest of the last command, which is read again: it may be long gone from memory. */
static int digest_last(struct keeper *keeper, struct error *error)
{
    struct state_position *position = &keeper->position;
    struct line record;
    int result;

    if (reader_seek(keeper->input, 0, position->last, error) < 0)
        return -1;
    do
        result = reader_next(keeper->input, &record, error);
    while (result == READ_INTERRUPTED);
    if (result < 0)
        return -1;
    if (result != READ_RECORD || record.start != position->last || record.end != position->next)
        return is_of_another(keeper, position->last, error);
    state_digest(record.data, record.len, &position->last_digest);
    return 0;
}

/* Input and outputs are made durable first: a state that leads would know commands as retries whose
 * outcomes are lost. */
int keeper_checkpoint(struct keeper *keeper, struct error *error)
{
    struct state_position *position = &keeper->position;

    if (!keeper->state || !keeper->moved)
        return 0;
    if (reader_sync(keeper->input, error) < 0 || sync_outputs(keeper, error) < 0 ||
        digest_last(keeper, error) < 0)
        return -1;
    for (int i = 0; i < KEEPER_OUTPUTS; i++) {
        const struct output *output = keeper->outputs[i];
        if (output->end != position->ends[i] &&
            output_digest(output, output->last, output->end, &position->outcome_digests[i],
                          error) < 0)
            return -1;
        position->ends[i] = output->end;
        position->last_outcomes[i] = output->last;
        if (position->durable[i] < output->end)
            position->durable[i] = output->end;
    }
    if (state_checkpoint(keeper->state, position, keeper->memory / 2, error) < 0)
        return -1;
    keeper->saved = *position;
    keeper->saved.kept = position->kept = true;
    keeper->moved = 0;
    return 0;
}

int keeper_mark(const char *folder, struct output *const outputs[KEEPER_OUTPUTS],
                struct error *error)
{
    char store[PATH_MAX], data[PATH_MAX + 16];
    struct state_position position;
    struct state state;
    int lock, result;

    if (store_of(folder, store, error) < 0)
        return -1;
    folder_path(data, sizeof data, store, "data.mdb");
    if (access(data, F_OK) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_errno(error, EX_IOERR, "can't look for %s", data);
    lock = lock_folder(folder, error);
    if (lock < 0)
        return -1;
    state_init(&state);
    result = state_open(&state, store, &position, error);
    for (int i = 0; i < KEEPER_OUTPUTS; i++)
        if (result == 0 && position.durable[i] < outputs[i]->end)
            position.durable[i] = outputs[i]->end;
    if (result == 0 && position.kept)
        result = state_mark_durable(&state, position.durable, error);
    state_release(&state);
    close(lock);
    return result < 0 ? advise(folder, error) : 0;
}
