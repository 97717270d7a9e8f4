/* Commands from a topic, their outcomes to topics: each once, in one transaction with the commands'
 * offsets. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/folder.h"
#include "base/lock.h"
#include "calc/message.h"
#include "emission.h"
#include "handle.h"
#include "partitions.h"
#include "report.h"
#include "tool/kafka_check.h"
#include "tool/progress.h"
#include "tool/service.h"
#include "tool/stats.h"
#include "tool/stop.h"

enum {
    POLL_MS = 100,           /* how soon a stop is seen */
    IDLE_MS = 1000,          /* without commands: time for a checkpoint */
    CHECKPOINT_MS = 10000    /* at most between two, while there is work */
};

struct handler {
    struct topics topics;
    struct partition *partitions; /* by their numbers */
    struct buffer outcome; /* the one at hand, as a line */
    struct emission emission;
    int batch;             /* the one at hand: its number modulo STATE_BATCHES */
    bool until_end, assigned;
    struct progress progress; /* until we have caught up, on a terminal */
    uint64_t commands; /* that were handled */
    struct handle_counts counts; /* of what is committed, */
    struct handle_counts pending[STATE_BATCHES]; /* and of the batches that aren't yet */
    int64_t timestamp; /* of the last command that has one */
    bool unknown; /* whether the last batch was committed */
    int lock;
    char state[PATH_MAX], instance[256];
};

/* --- opening --- */

/* A topic's name has these, and so has the name of a group's member. */
static bool is_legal(const char *name)
{
    return *name && strlen(name) < 200 &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

/* The host's name, and a digest of where the state is: the same after each start. */
static int default_instance(struct handler *handler, struct error *error)
{
    char path[PATH_MAX], host[128] = "", digest[ID_TEXT];
    struct id id;

    if (!realpath(handler->state, path))
        return error_errno(error, EX_IOERR, "can't find %s", handler->state);
    gethostname(host, sizeof host - 1);
    for (char *at = host; *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
            *at = '_';
    id_derive(&calc_namespace, path, strlen(path), &id);
    id_write(&id, digest);
    snprintf(handler->instance, sizeof handler->instance, "%s-%.8s", host, digest);
    return 0;
}

static int open_state(struct handler *handler, const struct handle_options *options,
                      struct error *error)
{
    char lock[PATH_MAX + 16];
    int len;

    if (options->state)
        len = snprintf(handler->state, sizeof handler->state, "%s", options->state);
    else
        len = snprintf(handler->state, sizeof handler->state, "%s.state",
                       handler->topics.names[KAFKA_EVENTS]);
    if (len >= (int)sizeof handler->state - 32)
        return error_set(error, EX_USAGE, "the state's name is too long");
    if (mkdir(handler->state, 0777) < 0 && errno != EEXIST)
        return error_errno(error, EX_IOERR, "can't make the folder %s", handler->state);
    folder_path(lock, sizeof lock, handler->state, "handler");
    handler->lock = lock_for_life(lock, ".lock", "calc-handle", error);
    if (handler->lock < 0)
        return -1;
    if (!options->instance)
        return default_instance(handler, error);
    if (!is_legal(options->instance))
        return error_set(error, EX_USAGE,
                         "--instance has letters, digits, '.', '_' and '-', and fewer than 200");
    snprintf(handler->instance, sizeof handler->instance, "%s", options->instance);
    return 0;
}

/* Refuses topics that would lose or split a value's history. */
static int check_topics(struct topics *topics, struct error *error)
{
    struct kafka_topics look = {.needed = 1u << KAFKA_COMMANDS | 1u << KAFKA_EVENTS |
                                          1u << KAFKA_REJECTIONS,
                                .timeout_ms = KAFKA_CHECK_MS};
    int result;

    memcpy(look.names, topics->names, sizeof look.names);
    result = kafka_topics_check(&look, error);
    kafka_check_say(&look, error);
    topics->count = look.partitions;
    kafka_topics_release(&look);
    return result;
}

static int open_all(struct handler *handler, const struct handle_options *options,
                    struct error *error)
{
    struct topics *topics = &handler->topics;

    topics->names[KAFKA_COMMANDS] = options->commands + strlen("kafka:");
    topics->names[KAFKA_EVENTS] = options->events + strlen("kafka:");
    topics->names[KAFKA_REJECTIONS] = options->rejections + strlen("kafka:");
    topics->state = handler->state;
    topics->cache = options->cache;
    for (int role = 1; role < KAFKA_ROLES; role++)
        if (strcmp(topics->names[role], topics->names[role - 1]) == 0 ||
            strcmp(topics->names[KAFKA_REJECTIONS], topics->names[KAFKA_COMMANDS]) == 0)
            return error_set(error, EX_USAGE,
                             "commands, events and rejections need a topic each");
    if (open_state(handler, options, error) < 0 ||
        check_topics(topics, error) < 0 ||
        kafka_cursor_open(service_gives_up, &topics->cursor, error) < 0)
        return -1;
    handler->partitions = calloc((size_t)topics->count, sizeof *handler->partitions);
    if (!handler->partitions)
        return error_memory(error);
    for (int32_t i = 0; i < topics->count; i++)
        handler->partitions[i].number = i;
    if (kafka_processor_open(topics->names, handler->instance, service_gives_up,
                             &topics->processor, error) < 0)
        return -1;
    handler->emission.processor = topics->processor;
    return 0;
}

/* --- batches ---
 *
 * A batch is decided while the one before is produced and committed. If that is aborted, both are
 * taken back. */

/* Decides a command: its outcome is to be emitted, or is compared with what was. */
static int handle(struct handler *handler, const struct kafka_command *command,
                  struct error *error)
{
    struct partition *partition = &handler->partitions[command->line.partition];
    struct buffer *line = &handler->outcome;
    struct outcome outcome;
    const void *key = command->key;
    size_t key_len = command->key_len;
    enum kafka_role role;
    char id[ID_TEXT];
    int result;

    if (!partition_wants(partition, &command->line))
        return 0;
    partition_moves(partition, handler->batch, &command->line);
    if (command->line.blank)
        return 0;
    result = state_handle(&partition->state, command->position, command->line.data,
                          command->line.len, line_fault(&command->line) != NULL, &outcome, error);
    if (result < 0)
        return -1;
    if (command->line.start >= partition->resume)
        handle_count(&handler->pending[handler->batch], result, &outcome);
    if (result == 0)
        return 0;
    if (outcome.timestamp != TIMESTAMP_NONE)
        handler->timestamp = outcome.timestamp;
    line->len = 0;
    outcome_write(&outcome, line);
    if (line->failed)
        return error_memory(error);
    role = outcome.reason == REASON_NONE ? KAFKA_EVENTS : KAFKA_REJECTIONS;
    if (command->line.start < partition->resume)
        return partition_compare(partition, &handler->topics, role, command, line->data,
                                 line->len - 1, error);
    if (outcome.reason != REASON_MALFORMED) {
        id_write(&outcome.value_id, id);
        key = id;
        key_len = sizeof id;
    }
    emission_add(&handler->emission, role, command, key, key_len, line->data, line->len - 1);
    return 0;
}

/* The batch is committed. */
static void count_batch(struct handler *handler, int batch)
{
    struct handle_counts *counts = &handler->counts, *pending = &handler->pending[batch];

    counts->commands += pending->commands;
    counts->retries += pending->retries;
    counts->events += pending->events;
    for (int i = 0; i <= REASON_OUT_OF_RANGE; i++)
        counts->rejections[i] += pending->rejections[i];
    *pending = (struct handle_counts){0};
}

/* All is as before the batches that aren't committed; with `seek` the consumer is, too, which an abort
 * doesn't see to. */
static int go_back(struct handler *handler, bool seek, struct error *error)
{
    emission_clear(&handler->emission);
    memset(handler->pending, 0, sizeof handler->pending);
    for (int32_t i = 0; i < handler->topics.count; i++) {
        struct partition *partition = &handler->partitions[i];
        if (partition->ours && partition_rollback(partition) && seek &&
            kafka_processor_seek(handler->topics.processor, i, partition->position.next, error) <
                0)
            return -1;
    }
    return 0;
}

/* Waits for the batch that is being committed: 1 when it is, or none was; 0 if we went back; -1. */
static int settle(struct handler *handler, bool seek, struct error *error)
{
    bool sending = handler->emission.sending;
    int result = emission_wait(&handler->emission, error);

    handler->unknown = result < 0;
    if (result == 0 && go_back(handler, seek, error) < 0)
        return -1;
    for (int32_t i = 0; result > 0 && sending && i < handler->topics.count; i++)
        partition_keep(&handler->partitions[i], !handler->batch);
    if (result > 0 && sending)
        count_batch(handler, !handler->batch);
    return result;
}

/* Whether a batch moved anything behind the outcomes that are there. */
static bool has_news(const struct handler *handler, int32_t number)
{
    const struct partition *partition = &handler->partitions[number];

    return partition->batches[handler->batch].touched &&
           partition->position.next > partition->resume;
}

/* Sends the batch at hand on its way. What was only compared has nothing to commit. */
static int emit(struct handler *handler, struct error *error)
{
    bool any = emission_has_any(&handler->emission);

    for (int32_t i = 0; i < handler->topics.count; i++) {
        if (!has_news(handler, i))
            continue;
        emission_reached(&handler->emission, i, handler->partitions[i].position.next);
        any = true;
    }
    if (any && emission_send(&handler->emission, error) < 0)
        return -1;
    for (int32_t i = 0; !any && i < handler->topics.count; i++)
        partition_keep(&handler->partitions[i], handler->batch);
    if (!any)
        count_batch(handler, handler->batch);
    handler->batch = !handler->batch;
    return 0;
}

static int handle_batch(struct handler *handler, struct error *error)
{
    struct kafka_processor *processor = handler->topics.processor;
    size_t count = kafka_processor_count(processor);
    struct kafka_command command;
    int result;

    for (size_t i = 0; i < count; i++) {
        kafka_processor_record(processor, i, &command);
        handler->commands++;
        progress_add(&handler->progress, 1, 1);
        if (handle(handler, &command, error) < 0)
            return -1;
    }
    for (int32_t i = 0; i < handler->topics.count; i++)
        partition_seal(&handler->partitions[i], handler->batch);
    result = settle(handler, true, error);
    return result > 0 ? emit(handler, error) : result;
}

/* --- partitions come and go --- */

/* How many partitions the topic had when we started; more would split histories. */
static int check_number(const struct topics *topics, int32_t number, struct error *error)
{
    if (number < topics->count)
        return 0;
    return error_set(error, EX_CONFIG,
                     "topic %s has more than %d partitions by now: partitions that are "
                     "added later split the histories of values; make new topics and "
                     "write the commands to them again",
                     topics->names[KAFKA_COMMANDS], (int)topics->count);
}

/* On a terminal: how much lies between us and the ends of our partitions. */
static void begin_progress(struct handler *handler)
{
    uint64_t total = 0, low, high;
    struct error unknown;

    if (handler->progress.what || !isatty(STDERR_FILENO))
        return;
    for (int32_t i = 0; i < handler->topics.count; i++) {
        const struct partition *partition = &handler->partitions[i];
        if (partition->ours &&
            kafka_cursor_bounds(handler->topics.cursor, handler->topics.names[KAFKA_COMMANDS], i,
                                KAFKA_CHECK_MS, &low, &high, &unknown) == 0 &&
            high > partition->position.next)
            total += high - partition->position.next;
    }
    progress_begin(&handler->progress, "handling", "commands", total);
}

static int take_over(struct handler *handler, struct error *error)
{
    const int32_t *numbers;
    struct topics *topics = &handler->topics;
    size_t count = kafka_processor_partitions(topics->processor, &numbers);
    int64_t *committed = calloc(count + 1, sizeof *committed);
    uint64_t *from = calloc(count + 1, sizeof *from);
    struct partition_task *tasks = calloc(count + 1, sizeof *tasks);
    int result = committed && from && tasks ? 0 : error_memory(error);

    if (result == 0 && count)
        result = kafka_processor_committed(topics->processor, committed, error);
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = check_number(topics, numbers[i], error);
        if (result == 0)
            tasks[i] = (struct partition_task){&handler->partitions[numbers[i]], committed[i]};
    }
    if (result == 0)
        result = partitions_take(tasks, count, topics, error);
    for (size_t i = 0; result == 0 && i < count; i++)
        from[i] = tasks[i].partition->position.next;
    if (result == 0)
        result = kafka_processor_start(topics->processor, from, error);
    handler->assigned = true;
    if (result == 0)
        begin_progress(handler);
    diag_info("%zu partitions are ours", count);
    free(committed);
    free(from);
    free(tasks);
    return result;
}

static int leave_all(struct handler *handler, bool checkpoint, struct error *error)
{
    int32_t count = handler->partitions ? handler->topics.count : 0;
    struct partition_task *tasks = calloc((size_t)count + 1, sizeof *tasks);
    size_t ours = 0;
    int result;

    if (!tasks)
        return error_memory(error);
    for (int32_t i = 0; i < count; i++)
        if (handler->partitions[i].ours)
            tasks[ours++].partition = &handler->partitions[i];
    result = partitions_leave(tasks, ours, &handler->topics, checkpoint, error);
    free(tasks);
    return result;
}

static int give_back(struct handler *handler, struct error *error)
{
    if (leave_all(handler, true, error) < 0)
        return -1;
    handler->assigned = false;
    diag_info("our partitions are given back");
    return kafka_processor_stop(handler->topics.processor, error);
}

static int save(struct handler *handler, bool idle, struct error *error)
{
    int64_t now = clock_ms();

    for (int32_t i = 0; i < handler->topics.count; i++) {
        struct partition *partition = &handler->partitions[i];
        if (!partition->ours || !partition->moved)
            continue;
        if (!idle && !partition_is_due(partition, &handler->topics) &&
            now - partition->saved_ms < CHECKPOINT_MS)
            continue;
        service_takes_long();
        if (settle(handler, true, error) < 0 ||
            partition_checkpoint(partition, &handler->topics, error) < 0)
            return -1;
    }
    return 0;
}

/* Whether every partition of ours is handled to its end. */
static int is_done(const struct handler *handler, struct error *error)
{
    for (int32_t i = 0; i < handler->topics.count; i++) {
        const struct partition *partition = &handler->partitions[i];
        if (!partition->ours)
            continue;
        if (!kafka_processor_ended(handler->topics.processor, i))
            return 0;
        if (partition->position.next < partition->resume)
            return error_set(error, EX_DATAERR,
                             "topic %s, partition %d ends at %llu, before %llu, which is handled",
                             handler->topics.names[KAFKA_COMMANDS], (int)i,
                             (unsigned long long)partition->position.next,
                             (unsigned long long)partition->resume);
    }
    return handler->assigned;
}

/* What to do about an event that is not records. 1: it is time to end. */
static int take_event(struct handler *handler, int event, struct error *error)
{
    /* before partitions go the last batch has to be committed or aborted */
    if (settle(handler, event == PROCESSOR_NOTHING, error) < 0)
        return -1;
    if (event == PROCESSOR_ASSIGNED)
        return take_over(handler, error);
    if (event == PROCESSOR_REVOKED)
        return give_back(handler, error);
    return handler->until_end ? is_done(handler, error) : 0;
}

static int run(struct handler *handler, struct error *error)
{
    int64_t busy_ms = clock_ms();

    while (!stop_asked()) {
        bool ends = handler->until_end && is_done(handler, error) > 0;
        int event = kafka_processor_poll(handler->topics.processor, ends ? 0 : POLL_MS, error);
        int result;
        bool idle = event == PROCESSOR_NOTHING && clock_ms() - busy_ms >= IDLE_MS;
        if (event < 0)
            return -1;
        result = event == PROCESSOR_RECORDS ? handle_batch(handler, error)
                                            : take_event(handler, event, error);
        if (result < 0 || save(handler, idle, error) < 0)
            return -1;
        stats_tick();
        report(handler->partitions, &handler->topics, handler->assigned, handler->commands);
        if (result > 0 && event != PROCESSOR_RECORDS)
            break;
        if (event == PROCESSOR_RECORDS)
            busy_ms = clock_ms();
        if (idle)
            progress_end(&handler->progress);
    }
    service_stopping();
    return settle(handler, false, error) < 0 ? -1 : 0;
}

static void write_stats(void *context, struct buffer *out)
{
    const struct handler *handler = context;

    handle_counts_write(&handler->counts, &handler->emission.commits, out);
    report_stats(handler->partitions, &handler->topics, handler->timestamp, out);
}

int handle_topics(const struct handle_options *options, struct error *error)
{
    struct handler handler = {
        .until_end = !options->follow, .timestamp = TIMESTAMP_NONE, .lock = -1};
    struct error second;
    int result = open_all(&handler, options, error);

    if (result == 0) {
        stats_open(options->stats, write_stats, &handler);
        result = run(&handler, error);
        progress_end(&handler.progress);
        stats_close();
    }
    if (handler.emission.sending) /* something else failed meanwhile */
        handler.unknown = emission_wait(&handler.emission, &second) < 0;
    if (handler.emission.stuck) { /* its thread still has all of it */
        diag_error("%s", error->text);
        _exit(EX_TEMPFAIL);
    }
    if (result < 0 && stop_asked() && error->status == EX_TEMPFAIL && !handler.unknown)
        result = 0; /* it was waiting for an answer when it was told to stop */
    service_takes_long();
    if (leave_all(&handler, result == 0, &second) < 0 && result == 0) {
        *error = second;
        result = -1;
    }
    kafka_processor_close(handler.topics.processor);
    kafka_cursor_close(handler.topics.cursor);
    free(handler.partitions);
    emission_release(&handler.emission);
    buffer_release(&handler.outcome);
    if (handler.lock >= 0)
        close(handler.lock);
    return result;
}
