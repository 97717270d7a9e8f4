/* calc-handle: commands to events and rejections. */
#include <stdlib.h>

#include "base/diag.h"
#include "output.h"
#include "store/state.h"
#include "stream/stream.h"
#include "tool/inputs.h"
#include "tool/options.h"
#include "tool/stop.h"

static const char help[] =
    "usage: calc-handle [-f] [-i COMMANDS] [-o EVENTS] [-r REJECTIONS]\n"
    "\n"
    "Decides each command and writes its outcome: an event, or a rejection.\n"
    "\n"
    "  -i, --input STREAM       commands; '-' (stdin) by default\n"
    "  -o, --output STREAM      events; '-' (stdout) by default\n"
    "  -r, --rejections STREAM  rejections; stderr by default, needed if -o is a log\n"
    "  -f, --follow             go on when the commands end, until SIGTERM or SIGINT\n"
    "      --help, --version\n"
    "\n"
    "A stream is '-', or a file: PATH or file:PATH. Output logs that hold outcomes from\n"
    "earlier are compared with what the commands derive, and go on where they end.\n"
    "See calc-handle(1), calc-formats(5).\n";

enum { BATCH_BYTES = 1 << 20, PIPE_BATCH_BYTES = 1 << 16, UNCOMPARED_BYTES = 64 << 20 };

struct handler {
    const char *commands, *events_name, *rejections_name;
    bool follow;
    struct reader *input;
    struct output events, rejections;
    struct state state;
};

static void parse_options(struct handler *handler, int argc, char **argv)
{
    static const struct option longer[] = {{"input", required_argument, NULL, 'i'},
                                           {"output", required_argument, NULL, 'o'},
                                           {"rejections", required_argument, NULL, 'r'},
                                           {"follow", no_argument, NULL, 'f'},
                                           OPTIONS_COMMON};
    struct options options;
    int option;

    options_open(&options, argc, argv, "+:i:o:r:f", longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        switch (option) {
        case 'i':
            handler->commands = optarg;
            break;
        case 'o':
            handler->events_name = optarg;
            break;
        case 'r':
            handler->rejections_name = optarg;
            break;
        case 'f':
            handler->follow = true;
            break;
        }
    }
    if (options.operand_count)
        options_bad("unexpected argument '%s'", options.operands[0]);
}

/* What a log may be written to, so that no history is mixed with another. */
static void check_streams(const struct handler *handler)
{
    enum stream_kind input, events, rejections = STREAM_STDIO;
    const char *path;
    struct error error;

    if (stream_parse(handler->commands, &input, &path, &error) < 0 ||
        stream_parse(handler->events_name, &events, &path, &error) < 0 ||
        (handler->rejections_name &&
         stream_parse(handler->rejections_name, &rejections, &path, &error) < 0))
        options_bad("%s", error.text);
    if (events == STREAM_FILE && rejections != STREAM_FILE)
        options_bad("with -o %s a log, rejections need a log of their own: -r FILE",
                    handler->events_name);
    if (events == STREAM_STDIO && handler->rejections_name && rejections == STREAM_STDIO)
        options_bad("events and rejections can't both go to stdout");
}

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
    return reader_open(handler->commands, handler->follow, &handler->input, error);
}

static int handle(struct handler *handler, const struct line *record, struct error *error)
{
    char position[POSITION_TEXT];
    struct outcome outcome;
    struct output *output;
    size_t from;
    int result;

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

int main(int argc, char **argv)
{
    struct handler handler = {.commands = "-", .events_name = "-"};
    struct error error = {0};
    int status = EXIT_OK;

    handler.events.lock = handler.rejections.lock = -1;
    parse_options(&handler, argc, argv);
    check_streams(&handler);
    stop_install();
    if (open_all(&handler, &error) < 0 || run(&handler, &error) < 0) {
        diag_error("%s", error.text);
        status = error.status;
    } else if (reader_torn(handler.input)) {
        diag_warn("%s: %llu bytes behind its last newline, at %llu, are no record",
                 handler.commands, (unsigned long long)reader_torn(handler.input),
                 (unsigned long long)reader_offset(handler.input));
    }
    reader_close(handler.input);
    output_close(&handler.events);
    output_close(&handler.rejections);
    state_release(&handler.state);
    return status;
}
