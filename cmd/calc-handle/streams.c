/* Commands from a stream: outcomes to stdout, or from a file to files. */
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "committer.h"
#include "handle.h"
#include "keeper.h"
#include "output.h"
#include "store/state.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tool/inputs.h"
#include "tool/options.h"
#include "tool/progress.h"
#include "tool/service.h"
#include "tool/stats.h"
#include "tool/stop.h"

enum {
    BATCH_BYTES = 2 << 20,
    PIPE_BATCH_BYTES = 1 << 16,
    UNCOMPARED_BYTES = 16 << 20,
    LOOK_EVERY = 4096 /* records after which we look what is due, written or not */
};

struct handler {
    const char *commands, *events_name, *rejections_name;
    bool follow;
    struct reader *input;
    struct output events, rejections;
    struct committer committer;
    struct state state;
    struct keeper keeper;
    bool dry;     /* too much is held back: outcomes are only compared, until that is done */
    bool checked; /* it was done: nothing has to be held back any more */
    uint64_t records;
    struct handle_counts counts; /* what was found in the outputs already isn't counted */
    int64_t timestamp; /* of the last command that has one */
    struct progress progress; /* until then, on a terminal */
    uint64_t goal; /* where the input ended when we began: from there on we are caught up */
};

/* Once the outputs are there: no file may be two of the three. */
static void check_distinct(const struct handler *handler)
{
    const char *rejections = handler->rejections_name;

    if (stream_is_same(handler->commands, handler->events_name))
        options_bad("commands and events are one file");
    if (rejections && stream_is_same(handler->commands, rejections))
        options_bad("commands and rejections are one file");
    if (rejections && stream_is_same(rejections, handler->events_name))
        options_bad("events and rejections are one file");
}

/* Where the state of these logs is. */
static int name_state(const struct handle_options *options, char folder[PATH_MAX],
                      struct error *error)
{
    enum stream_kind kind;
    const char *path;
    int len;

    if (stream_parse(options->events, &kind, &path, error) < 0)
        return -1;
    len = options->state ? snprintf(folder, PATH_MAX, "%s", options->state)
                         : snprintf(folder, PATH_MAX, "%s.state", path);
    if (len >= PATH_MAX)
        return error_set(error, EX_USAGE, "the state's name is too long");
    return 0;
}

/* Logs are gone on with: from a file with a state, while a pipe begins from its beginning. */
static int resume(struct handler *handler, const struct handle_options *options,
                  struct error *error)
{
    struct keeper *keeper = &handler->keeper;
    char folder[PATH_MAX];

    if (!reader_is_file(handler->input)) {
        if (options->state)
            options_bad("--state: a pipe has no state: it is read from its beginning in any case");
        if (output_resume(&handler->events, 0, UINT64_MAX, error) < 0)
            return -1;
        return output_resume(&handler->rejections, 0, UINT64_MAX, error);
    }
    keeper->state = &handler->state;
    keeper->input = handler->input;
    keeper->outputs[0] = &handler->events;
    keeper->outputs[1] = &handler->rejections;
    keeper->memory = options->cache;
    if (name_state(options, folder, error) < 0 || keeper_open(keeper, folder, error) < 0)
        return -1;
    return keeper_resume(keeper, error);
}

static int open_all(struct handler *handler, const struct handle_options *options,
                    struct error *error)
{
    state_init(&handler->state);
    if (output_open(&handler->events, handler->events_name, error) < 0 ||
        output_open(&handler->rejections, handler->rejections_name, error) < 0)
        return -1;
    check_distinct(handler);
    if (output_claim(&handler->events, error) < 0 || output_claim(&handler->rejections, error) < 0)
        return -1;
    if (reader_open(handler->commands, handler->follow, &handler->input, error) < 0)
        return -1;
    handler->goal = reader_end(handler->input, 0);
    if (reader_partitions(handler->input) > 1)
        handler->state.place = (struct state_place){.count = reader_partitions(handler->input),
                                                    .of = kafka_partition};
    return writer_is_log(handler->events.writer) ? resume(handler, options, error) : 0;
}

static bool comparing(const struct handler *handler)
{
    return output_comparing(&handler->events) || output_comparing(&handler->rejections);
}

static int handle(struct handler *handler, const struct line *record, struct error *error)
{
    char position[POSITION_TEXT];
    struct outcome outcome;
    struct output *output;
    size_t from;
    int result;

    keeper_moves(&handler->keeper, record);
    handler->state.place.partition = record->partition;
    reader_position(handler->input, record, position);
    result = state_handle(&handler->state, position, record->data, record->len,
                          line_fault(record) != NULL,
                          &outcome, error);
    if (result < 0)
        return -1;
    if (result == 0) {
        if (!handler->dry && !comparing(handler))
            handle_count(&handler->counts, result, &outcome);
        return 0;
    }
    output = outcome.reason == REASON_NONE ? &handler->events : &handler->rejections;
    from = output_batch(output)->len;
    outcome_write(&outcome, output_batch(output));
    if (output_put(output, from, error) < 0)
        return -1;
    if (output_batch(output)->len > from && !handler->dry)
        handle_count(&handler->counts, result, &outcome);
    if (outcome.timestamp != TIMESTAMP_NONE)
        handler->timestamp = outcome.timestamp;
    if (handler->dry)
        output_batch(output)->len = 0;
    return 0;
}

static size_t waiting_bytes(struct handler *handler)
{
    return output_batch(&handler->events)->len + output_batch(&handler->rejections)->len;
}

static bool batch_is_full(struct handler *handler)
{
    return waiting_bytes(handler) >=
           (writer_is_log(handler->events.writer) ? BATCH_BYTES : PIPE_BATCH_BYTES);
}

/* While a log is still compared, what waits for the other one is held back: if they turn out to
 * differ, nothing was changed. If it is too much, it is let go, and the commands are handled once more
 * when all is compared; but those of a pipe are gone. */
static bool holds_back(struct handler *handler)
{
    if (!comparing(handler) || handler->checked)
        return false;
    if (waiting_bytes(handler) < UNCOMPARED_BYTES)
        return true;
    if (!handler->keeper.state)
        return false;
    handler->dry = true;
    output_batch(&handler->events)->len = output_batch(&handler->rejections)->len = 0;
    return true;
}

/* The input is made durable first: no outcome outlives its command. A full batch is committed behind
 * the next one, if that comes. */
static int commit(struct handler *handler, bool behind, struct error *error)
{
    bool keeps = handler->events.lock >= 0 || handler->rejections.lock >= 0;

    if ((!output_is_due(&handler->events) && !output_is_due(&handler->rejections)) ||
        holds_back(handler))
        return behind ? 0 : committer_wait(&handler->committer, error);
    if (keeps && reader_sync(handler->input, error) < 0)
        return -1;
    if (keeper_before_append(&handler->keeper, error) < 0)
        return -1;
    return committer_commit(&handler->committer, behind, error);
}

/* A checkpoint never knows more than the outputs hold. */
static int save(struct handler *handler, bool now, bool idle, struct error *error)
{
    if (handler->dry || waiting_bytes(handler) || !(now || keeper_is_due(&handler->keeper, idle)))
        return 0;
    service_takes_long();
    if (committer_wait(&handler->committer, error) < 0)
        return -1;
    return keeper_checkpoint(&handler->keeper, error);
}

/* Nothing that a log holds may lie behind what the commands derive. A pipe that pauses isn't at its
 * end. */
static int check_end(struct handler *handler, int got, struct error *error)
{
    if (got != READ_END && !(got == READ_PAUSE && reader_is_file(handler->input)))
        return 0;
    if (output_check_end(&handler->events, error) < 0)
        return -1;
    return output_check_end(&handler->rejections, error);
}

/* All that is there was compared, and nothing was written: now it is. */
static int begin_again(struct handler *handler, struct error *error)
{
    handler->dry = false;
    handler->checked = true;
    return keeper_resume(&handler->keeper, error);
}

/* What is to be done now and then, and when nothing was read. */
static int settle(struct handler *handler, int got, struct error *error)
{
    bool ends = got == READ_END || stop_asked(), waits = ends || got != READ_RECORD;

    if (check_end(handler, got, error) < 0 ||
        ((waits || batch_is_full(handler)) && commit(handler, !waits, error) < 0))
        return -1;
    return save(handler, ends, got == READ_PAUSE, error);
}

static void write_stats(void *context, struct buffer *out)
{
    const struct handler *handler = context;
    uint64_t at = reader_offset(handler->input), end = reader_end(handler->input, 0);

    handle_counts_write(&handler->counts, &handler->committer.commits, out);
    if (reader_partitions(handler->input) > 1)
        return;
    buffer_printf(out, ",\"positions\":{\"commands\":{\"0\":%llu}}", (unsigned long long)at);
    if (end == UINT64_MAX)
        return; /* a pipe */
    buffer_printf(out, ",\"lag\":{\"commands\":{\"0\":{\"bytes\":%llu,\"seconds\":",
                  (unsigned long long)(end > at ? end - at : 0));
    stats_age(out, end > at ? handler->timestamp : TIMESTAMP_NONE);
    buffer_append_text(out, "}}}");
}

/* Tells how far we are, once all that was there when we began is derived and written. */
static void tell(struct handler *handler, int got)
{
    uint64_t at = reader_offset(handler->input), end;
    char place[400];

    if (got == READ_PAUSE)
        progress_end(&handler->progress); /* from here on it is a matter of who writes commands */
    stats_tick();
    service_alive();
    if (!handler->dry && !comparing(handler) && !handler->committer.under_way &&
        (got == READ_PAUSE || at >= handler->goal))
        service_ready();
    if (!service_is_due())
        return;
    end = reader_known_end(handler->input, 0);
    snprintf(place, sizeof place, "at byte %llu of %.300s", (unsigned long long)at,
             handler->commands);
    service_progress(&(struct service_progress){
        .place = place,
        .behind = end == UINT64_MAX ? end : end > at ? end - at : 0,
        .units = "bytes",
        .count = handler->records,
        .counted = "commands"});
}

/* Only where the outcomes don't go to the terminal, too. */
static void begin_progress(struct handler *handler)
{
    uint64_t at = reader_offset(handler->input);

    if (writer_is_log(handler->events.writer))
        progress_begin(&handler->progress, "handling", "commands",
                       handler->goal == UINT64_MAX || handler->goal < at ? 0 : handler->goal - at);
}

static int run(struct handler *handler, struct error *error)
{
    struct line record;

    begin_progress(handler);
    while (!stop_asked()) {
        int got = reader_next(handler->input, &record, error);
        if (got < 0 || (got == READ_RECORD && handle(handler, &record, error) < 0))
            return -1;
        handler->records += got == READ_RECORD;
        if (got == READ_RECORD)
            progress_add(&handler->progress, record.end - record.start, 1);
        if (got == READ_RECORD && !batch_is_full(handler) && !stop_asked() &&
            handler->records % LOOK_EVERY)
            continue;
        if (settle(handler, got, error) < 0)
            return -1;
        tell(handler, got);
        if (handler->dry && !comparing(handler)) {
            if (begin_again(handler, error) < 0)
                return -1;
            continue;
        }
        if (got == READ_END)
            return 0;
        if (got == READ_PAUSE)
            inputs_wait(&handler->input, 1);
    }
    service_stopping();
    return settle(handler, READ_INTERRUPTED, error);
}

/* A pipe's run has no state, but a file's run may have left one, and will go on with the logs. */
static int mark(struct handler *handler, const struct handle_options *options,
                struct error *error)
{
    struct output *outputs[KEEPER_OUTPUTS] = {&handler->events, &handler->rejections};
    char folder[PATH_MAX];

    if (!handler->events.resumed || handler->keeper.state)
        return 0;
    if (name_state(options, folder, error) < 0 || output_sync(outputs[0], error) < 0 ||
        output_sync(outputs[1], error) < 0)
        return -1;
    return keeper_mark(folder, outputs, error);
}

int handle_streams(const struct handle_options *options, struct error *error)
{
    struct handler handler = {.commands = options->commands,
                              .events_name = options->events,
                              .rejections_name = options->rejections,
                              .follow = options->follow,
                              .timestamp = TIMESTAMP_NONE};
    struct error later; /* what failed before that is told */
    int result;

    handler.events.lock = handler.rejections.lock = handler.keeper.lock = -1;
    handler.committer.events = &handler.events;
    handler.committer.rejections = &handler.rejections;
    result = open_all(&handler, options, error);
    if (result == 0) {
        stats_open(options->stats, write_stats, &handler);
        result = run(&handler, error);
        committer_wait(&handler.committer, &later);
        progress_end(&handler.progress);
        stats_close();
    }
    if (result == 0)
        result = mark(&handler, options, error);
    if (result == 0 && reader_torn(handler.input))
        diag_warn("%s: %llu bytes behind its last newline, at %llu, are no record",
                  handler.commands, (unsigned long long)reader_torn(handler.input),
                  (unsigned long long)reader_offset(handler.input));
    reader_close(handler.input);
    output_close(&handler.events);
    output_close(&handler.rejections);
    state_release(&handler.state);
    keeper_close(&handler.keeper);
    return result;
}
