/* Commands from a stream: outcomes to stdout, or from a file to files. */
#include "base/diag.h"
#include "handle.h"
#include "output.h"
#include "store/state.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tool/inputs.h"
#include "tool/options.h"
#include "tool/stop.h"

enum { BATCH_BYTES = 1 << 20, PIPE_BATCH_BYTES = 1 << 16, UNCOMPARED_BYTES = 64 << 20 };

struct handler {
    const char *commands, *events_name, *rejections_name;
    bool follow;
    struct reader *input;
    struct output events, rejections;
    struct state state;
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

static int open_all(struct handler *handler, struct error *error)
{
    bool resume;

    state_init(&handler->state);
    if (output_open(&handler->events, handler->events_name, error) < 0 ||
        output_open(&handler->rejections, handler->rejections_name, error) < 0)
        return -1;
    check_distinct(handler);
    resume = writer_is_log(handler->events.writer);
    if (output_claim(&handler->events, handler->events_name, resume, error) < 0 ||
        output_claim(&handler->rejections, handler->rejections_name, resume, error) < 0)
        return -1;
    if (reader_open(handler->commands, handler->follow, &handler->input, error) < 0)
        return -1;
    if (reader_partitions(handler->input) > 1)
        handler->state.place = (struct state_place){.count = reader_partitions(handler->input),
                                                    .of = kafka_partition};
    return 0;
}

static int handle(struct handler *handler, const struct line *record, struct error *error)
{
    char position[POSITION_TEXT];
    struct outcome outcome;
    struct output *output;
    size_t from;
    int result;

    handler->state.place.partition = record->partition;
    reader_position(handler->input, record, position);
    result = state_handle(&handler->state, position, record->data, record->len,
                          line_fault(record) != NULL,
                          &outcome, error);
    if (result <= 0)
        return result;
    output = outcome.reason == REASON_NONE ? &handler->events : &handler->rejections;
    from = output_batch(output)->len;
    outcome_write(&outcome, output_batch(output));
    return output_put(output, from, error);
}

static size_t waiting_bytes(struct handler *handler)
{
    return output_batch(&handler->events)->len + output_batch(&handler->rejections)->len;
}

static bool comparing(const struct handler *handler)
{
    return output_comparing(&handler->events) || output_comparing(&handler->rejections);
}

static bool batch_is_full(struct handler *handler)
{
    return waiting_bytes(handler) >=
           (writer_is_log(handler->events.writer) ? BATCH_BYTES : PIPE_BATCH_BYTES);
}

/* The input is made durable first: no outcome outlives its command. While a log is still compared,
 * what waits for the other one is held back: if they turn out to differ, nothing was changed. */
static int commit(struct handler *handler, struct error *error)
{
    bool keeps = handler->events.lock >= 0 || handler->rejections.lock >= 0;

    if (waiting_bytes(handler) == 0 ||
        (comparing(handler) && waiting_bytes(handler) < UNCOMPARED_BYTES))
        return 0;
    if (keeps && reader_sync(handler->input, error) < 0)
        return -1;
    if (output_commit(&handler->events, error) < 0)
        return -1;
    return output_commit(&handler->rejections, error);
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

static int run(struct handler *handler, struct error *error)
{
    struct line record;

    for (;;) {
        int got = reader_next(handler->input, &record, error);
        if (got < 0 || (got == READ_RECORD && handle(handler, &record, error) < 0))
            return -1;
        if (got == READ_RECORD && !batch_is_full(handler) && !stop_asked())
            continue;
        if (check_end(handler, got, error) < 0 || commit(handler, error) < 0)
            return -1;
        if (got == READ_END || stop_asked())
            return 0;
        if (got == READ_PAUSE)
            inputs_wait(&handler->input, 1);
    }
}

int handle_streams(const struct handle_options *options, struct error *error)
{
    struct handler handler = {.commands = options->commands,
                              .events_name = options->events,
                              .rejections_name = options->rejections,
                              .follow = options->follow};
    int result;

    handler.events.lock = handler.rejections.lock = -1;
    result = open_all(&handler, error);
    if (result == 0)
        result = run(&handler, error);
    if (result == 0 && reader_torn(handler.input))
        diag_warn("%s: %llu bytes behind its last newline, at %llu, are no record",
                  handler.commands, (unsigned long long)reader_torn(handler.input),
                  (unsigned long long)reader_offset(handler.input));
    reader_close(handler.input);
    output_close(&handler.events);
    output_close(&handler.rejections);
    state_release(&handler.state);
    return result;
}
