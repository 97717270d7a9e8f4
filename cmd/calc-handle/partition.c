#include "partition.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"

enum { ANSWER_MS = 60000 }; /* a transaction that somebody left open is waited for */

/* --- which log it is --- */

/* The record at an offset, which has to be the one that the state knows. */
static int check_record(const struct partition *partition, const struct topics *topics,
                        uint64_t offset, const struct id *digest, struct error *error)
{
    struct kafka_reading *reading;
    struct kafka_entry found;
    struct id id;
    int result;

    if (kafka_reading_start(topics->cursor, topics->names[KAFKA_COMMANDS], partition->number,
                            offset, 0, &reading, error) < 0)
        return -1;
    result = kafka_reading_next(reading, ANSWER_MS, &found, error);
    if (result > 0) /* of a longer one no more was looked at */
        state_digest(found.data, found.len > LINE_MAX_BYTES ? LINE_MAX_BYTES : found.len, &id);
    if (result == 0 || (result > 0 && (found.offset != offset || !id_equal(&id, digest))))
        result = error_set(error, EX_DATAERR,
                           "the state in %s is of another log: command %d:%llu of topic %s is not "
                           "the one that it knows; nothing was changed",
                           topics->state, (int)partition->number, (unsigned long long)offset,
                           topics->names[KAFKA_COMMANDS]);
    kafka_reading_stop(reading);
    return result < 0 ? -1 : 0;
}

static int check_log(const struct partition *partition, const struct topics *topics,
                     struct error *error)
{
    const struct state_position *position = &partition->position;

    if (position->partitions && position->partitions != topics->count)
        return error_set(error, EX_CONFIG,
                         "topic %s has %d partitions, and had %d when the state in %s was made: "
                         "partitions that are added later split the histories of values; make new "
                         "topics and write the commands to them again",
                         topics->names[KAFKA_COMMANDS], (int)topics->count,
                         (int)position->partitions, topics->state);
    if (!position->begun)
        return 0;
    if (!position->partitions)
        return error_set(error, EX_DATAERR,
                         "the state in %s is of a file, and not of topic %s; nothing was changed",
                         topics->state, topics->names[KAFKA_COMMANDS]);
    if (check_record(partition, topics, position->first, &position->first_digest, error) < 0)
        return -1;
    return check_record(partition, topics, position->last, &position->last_digest, error);
}

/* --- where to go on --- */

/* Behind the last command that has an outcome in an output, or 0. */
static int find_emitted(const struct partition *partition, const struct topics *topics,
                        enum kafka_role role, uint64_t *next, struct error *error)
{
    const char *topic = topics->names[role];
    struct kafka_reading *reading;
    struct kafka_entry found;
    uint64_t low, high;
    int result = kafka_cursor_last(topics->cursor, topic, partition->number, ANSWER_MS, &reading,
                                   &found, error);

    *next = result > 0 && found.has_position ? found.position + 1 : 0;
    if (result > 0 && (!found.has_position || found.position_partition != partition->number))
        result = error_set(error, EX_CONFIG,
                           "topic %s, partition %d: the last record, at %llu, is no outcome of "
                           "this handler: it has no position of a command in this partition; the "
                           "outputs have to be topics of their own",
                           topic, (int)partition->number, (unsigned long long)found.offset);
    kafka_reading_stop(reading);
    if (result < 0 ||
        kafka_cursor_bounds(topics->cursor, topic, partition->number, ANSWER_MS, &low, &high,
                            error) < 0)
        return -1;
    if (high < partition->position.ends[role - KAFKA_EVENTS])
        return error_set(error, EX_DATAERR,
                         "topic %s, partition %d ends at %llu, before %llu, to where it went: "
                         "outcomes are lost; nothing was changed",
                         topic, (int)partition->number, (unsigned long long)high,
                         (unsigned long long)partition->position.ends[role - KAFKA_EVENTS]);
    return 0;
}

/* Where emitting goes on: where the group is, unless that is behind the outputs or the state. */
static int find_resume(struct partition *partition, const struct topics *topics, int64_t committed,
                       struct error *error)
{
    uint64_t events, rejections, emitted;

    if (find_emitted(partition, topics, KAFKA_EVENTS, &events, error) < 0 ||
        find_emitted(partition, topics, KAFKA_REJECTIONS, &rejections, error) < 0)
        return -1;
    emitted = events > rejections ? events : rejections;
    if (committed >= 0 && (uint64_t)committed >= emitted &&
        (uint64_t)committed >= partition->position.next) {
        partition->resume = (uint64_t)committed;
        return 0;
    }
    partition->resume = emitted;
    if (committed >= 0 || emitted || partition->position.begun)
        diag_warn("partition %d: the group %s is %s; going on behind the last outcome, at %llu",
                  (int)partition->number, kafka_group(KAFKA_COMMANDS),
                  committed < 0 ? "at no offset" : "behind the outputs or the state",
                  (unsigned long long)emitted);
    return 0;
}

/* What the outputs hold from the state's position on, to be compared with. */
static int start_comparing(struct partition *partition, const struct topics *topics,
                           struct error *error)
{
    for (int i = 0; i < PARTITION_OUTPUTS; i++) {
        const char *topic = topics->names[KAFKA_EVENTS + i];
        uint64_t low, high, from = partition->position.ends[i];
        if (kafka_cursor_bounds(topics->cursor, topic, partition->number, ANSWER_MS, &low, &high,
                                error) < 0 ||
            kafka_reading_start(topics->cursor, topic, partition->number, from > low ? from : low,
                                high, &partition->emitted[i], error) < 0)
            return -1;
    }
    return 0;
}

static void stop_comparing(struct partition *partition)
{
    for (int i = 0; i < PARTITION_OUTPUTS; i++) {
        kafka_reading_stop(partition->emitted[i]);
        partition->emitted[i] = NULL;
    }
}

int partition_take(struct partition *partition, const struct topics *topics, int64_t committed,
                   struct error *error)
{
    char folder[4096];

    if ((size_t)snprintf(folder, sizeof folder, "%s/%d", topics->state, (int)partition->number) >=
        sizeof folder)
        return error_set(error, EX_USAGE, "the state's name is too long");
    partition->ours = true;
    partition->goal = UINT64_MAX;
    partition->moved = 0;
    partition->awaiting = false;
    memset(partition->batches, 0, sizeof partition->batches);
    state_init(&partition->state);
    partition->state.place =
        (struct state_place){partition->number, topics->count, kafka_partition};
    if (state_open(&partition->state, folder, &partition->position, error) < 0 ||
        check_log(partition, topics, error) < 0 ||
        find_resume(partition, topics, committed, error) < 0)
        return -1;
    partition->position.partitions = topics->count;
    if (partition->position.next > partition->resume) { /* it leads: derive it anew */
        diag_warn("partition %d: the state is ahead, at %llu: it is derived again",
                  (int)partition->number, (unsigned long long)partition->position.next);
        if (state_clear(&partition->state, error) < 0)
            return -1;
        partition->position = (struct state_position){.partitions = topics->count};
    }
    partition->compared = partition->position.next;
    if (partition->position.next < partition->resume) {
        diag_info("partition %d: deriving from %llu, what is emitted already goes to %llu",
                  (int)partition->number, (unsigned long long)partition->position.next,
                  (unsigned long long)partition->resume);
        return start_comparing(partition, topics, error);
    }
    return 0;
}

/* --- comparing --- */

static int differs(const struct partition *partition, const struct topics *topics,
                   enum kafka_role role, const struct kafka_entry *found, const void *data,
                   size_t len, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "topic %s at %d:%llu is not what the commands derive; nothing was changed\n"
                     "  derived: %.*s\n  found:   %.*s",
                     topics->names[role], (int)partition->number,
                     (unsigned long long)found->offset, (int)(len > 250 ? 250 : len),
                     (const char *)data, (int)(found->len > 250 ? 250 : found->len),
                     (const char *)found->data);
}

int partition_compare(struct partition *partition, const struct topics *topics,
                      enum kafka_role role, const struct kafka_command *command, const void *data,
                      size_t len, struct error *error)
{
    struct kafka_reading *emitted = partition->emitted[role - KAFKA_EVENTS];
    struct kafka_entry found;
    int result;

    if (!emitted || command->line.start < partition->compared)
        return 0;
    do
        result = kafka_reading_next(emitted, ANSWER_MS, &found, error);
    while (result > 0 && found.has_position && found.position < partition->compared);
    if (result < 0)
        return -1;
    if (result == 0)
        return error_set(error, EX_DATAERR,
                         "topic %s, partition %d ends before the outcome of command %s, which the "
                         "group %s has behind it: outcomes are lost; nothing was changed",
                         topics->names[role], (int)partition->number, command->position,
                         kafka_group(KAFKA_COMMANDS));
    if (found.len != len || memcmp(found.data, data, len) != 0 || !found.has_position ||
        found.position != command->line.start)
        return differs(partition, topics, role, &found, data, len, error);
    partition->position.ends[role - KAFKA_EVENTS] = found.offset + 1;
    return 0;
}

/* --- batches --- */

bool partition_wants(struct partition *partition, const struct line *command)
{
    if (!partition->ours || command->start < partition->position.next)
        return false;
    if (partition->awaiting && command->start != partition->awaited)
        return false;
    partition->awaiting = false;
    return true;
}

void partition_moves(struct partition *partition, int batch, const struct line *command)
{
    struct state_position *position = &partition->position;

    if (!partition->batches[batch].touched) {
        partition->batches[batch].touched = true;
        partition->batches[batch].before = *position;
        partition->batches[batch].first = command->start;
        state_begin(&partition->state);
    }
    if (!position->begun) {
        position->begun = true;
        position->first = command->start;
        state_digest(command->data, command->len, &position->first_digest);
    }
    position->last = command->start;
    position->next = command->end;
    partition->last = *command;
    if (partition->moved++ == 0)
        partition->saved_ms = clock_ms();
}

void partition_seal(struct partition *partition, int batch)
{
    struct state_position *position = &partition->position;

    if (!partition->batches[batch].touched)
        return;
    state_digest(partition->last.data, partition->last.len, &position->last_digest);
    partition->batches[batch].next = position->next;
}

void partition_keep(struct partition *partition, int batch)
{
    uint64_t next = partition->batches[batch].next;

    if (!partition->batches[batch].touched)
        return;
    partition->batches[batch].touched = false;
    state_keep(&partition->state);
    if (next > partition->compared)
        partition->compared = next;
    if (next >= partition->resume)
        stop_comparing(partition);
}

/* What was compared stays compared: it can't be read again. */
bool partition_rollback(struct partition *partition)
{
    uint64_t reached = partition->position.next;
    bool any = false;

    for (int i = 0; i < STATE_BATCHES; i++) {
        if (!partition->batches[i].touched)
            continue;
        partition->batches[i].touched = false;
        if (any && partition->batches[i].first >= partition->awaited)
            continue;
        partition->position = partition->batches[i].before;
        partition->awaited = partition->batches[i].first;
        any = true;
    }
    if (!any)
        return false;
    partition->awaiting = true;
    if (reached > partition->compared)
        partition->compared = reached;
    state_rollback(&partition->state);
    return true;
}

/* --- keeping --- */

/* Half of the cache is for the working sets of all partitions, and half for writing a checkpoint of
 * one. */
static size_t share(const struct topics *topics)
{
    return topics->cache / 2 / (size_t)topics->count;
}

bool partition_is_due(const struct partition *partition, const struct topics *topics)
{
    uint64_t end = kafka_processor_known_end(topics->processor, partition->number);
    uint64_t next = partition->position.next;

    return state_is_due(&partition->state, share(topics), topics->cache / 2,
                        end != UINT64_MAX && end > next ? end - next : 0);
}

int partition_checkpoint(struct partition *partition, const struct topics *topics,
                         struct error *error)
{
    if (!partition->moved || partition->state.open)
        return 0;
    /* Never where the outputs end now: if the partition isn't ours any more, and we don't know it yet,
     * others' outcomes are there, which this state doesn't have. And while it is compared it may be
     * behind what we committed ourselves. */
    for (int i = 0; i < PARTITION_OUTPUTS; i++) {
        uint64_t end = kafka_processor_end(topics->processor, KAFKA_EVENTS + i, partition->number);
        if (!partition->emitted[i] && end > partition->position.ends[i])
            partition->position.ends[i] = end;
        partition->position.durable[i] = partition->position.ends[i];
    }
    if (state_checkpoint(&partition->state, &partition->position, share(topics), error) < 0)
        return -1;
    partition->moved = 0;
    return 0;
}

int partition_leave(struct partition *partition, const struct topics *topics, bool checkpoint,
                    struct error *error)
{
    int result = checkpoint ? partition_checkpoint(partition, topics, error) : 0;

    stop_comparing(partition);
    state_release(&partition->state);
    partition->ours = false;
    return result;
}
