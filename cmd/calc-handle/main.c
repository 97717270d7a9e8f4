/* calc-handle: commands to events and rejections. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* Whether two names are of one file; the second one may not exist yet. */
static bool same_file(const char *a, const char *b)
{
    struct stat first, second;

    return strcmp(a, b) == 0 || (stat(a, &first) == 0 && stat(b, &second) == 0 &&
                                 first.st_dev == second.st_dev && first.st_ino == second.st_ino &&
                                 S_ISREG(first.st_mode));
}

/* What a log may be written to, so that no history is mixed with another. */
static void check_streams(const struct handler *handler)
{
    const char *name[3] = {handler->commands, handler->events_name, handler->rejections_name};
    const char *path[3] = {0};
    enum stream_kind kind[3] = {STREAM_STDIO, STREAM_STDIO, STREAM_STDIO};
    struct error error;

    for (int i = 0; i < 3; i++)
        if (name[i] && stream_parse(name[i], &kind[i], &path[i], &error) < 0)
            options_bad("%s", error.text);
    if (kind[1] == STREAM_FILE && kind[2] != STREAM_FILE)
        options_bad("with -o %s a log, rejections need a log of their own: -r FILE", name[1]);
    if (kind[1] == STREAM_STDIO && name[2] && kind[2] == STREAM_STDIO)
        options_bad("events and rejections can't both go to stdout");
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (kind[i] == STREAM_FILE && kind[j] == STREAM_FILE && same_file(path[i], path[j]))
                options_bad("%s and %s are one file", name[i], name[j]);
}

static int open_all(struct handler *handler, struct error *error)
{
    bool log = false;
    enum stream_kind kind;
    const char *path;

    if (stream_parse(handler->events_name, &kind, &path, error) < 0)
        return -1;
    log = kind == STREAM_FILE;
    state_init(&handler->state);
    if (output_open(&handler->events, handler->events_name, log, error) < 0 ||
        output_open(&handler->rejections, handler->rejections_name, log, error) < 0)
        return -1;
    return reader_open(handler->commands, handler->follow, &handler->input, error);
}

/* Decimal digits and a NUL. */
static void write_position(uint64_t offset, char *text)
{
    char reversed[20];
    int count = 0;

    do
        reversed[count++] = (char)('0' + offset % 10);
    while (offset /= 10);
    while (count)
        *text++ = reversed[--count];
    *text = '\0';
}

static int handle(struct handler *handler, const struct line *record, struct error *error)
{
    char position[POSITION_TEXT];
    struct outcome outcome;
    struct output *output;
    size_t from;
    int result;

    write_position(record->start, position);
    result = state_handle(&handler->state, position, record->data, record->len, record->oversize,
                          &outcome, error);
    if (result <= 0)
        return result;
    output = outcome.reason == REASON_NONE ? &handler->events : &handler->rejections;
    from = output_batch(output)->len;
    outcome_write(&outcome, output_batch(output));
    return output_put(output, from, error);
}

/* Whether enough waits to be written. While a log is still compared, little is: if it turns out to
 * differ, nothing must have changed. */
static bool batch_is_full(struct handler *handler)
{
    size_t waiting = output_batch(&handler->events)->len + output_batch(&handler->rejections)->len;

    if (output_comparing(&handler->events) || output_comparing(&handler->rejections))
        return waiting >= UNCOMPARED_BYTES;
    return waiting >= (writer_is_log(handler->events.writer) ? BATCH_BYTES : PIPE_BATCH_BYTES);
}

/* The input is made durable first: no outcome outlives its command. */
static int commit(struct handler *handler, struct error *error)
{
    if (output_batch(&handler->events)->len + output_batch(&handler->rejections)->len == 0)
        return 0;
    if (handler->events.lock >= 0 && reader_sync(handler->input, error) < 0)
        return -1;
    if (output_commit(&handler->events, error) < 0)
        return -1;
    return output_commit(&handler->rejections, error);
}

static int run(struct handler *handler, struct error *error)
{
    struct line record;

    for (;;) {
        int got = reader_next(handler->input, &record, error);
        if (got < 0)
            return -1;
        if (got == READ_RECORD) {
            if (handle(handler, &record, error) < 0)
                return -1;
            if (!batch_is_full(handler))
                continue;
        } else if (output_check_end(&handler->events, error) < 0 ||
                   output_check_end(&handler->rejections, error) < 0) {
            return -1;
        }
        if (commit(handler, error) < 0)
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
