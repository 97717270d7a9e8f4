/* calc-submit: the Commander. Inputs to commands, and commands to their log. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "input.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tool/inputs.h"
#include "tool/kafka_check.h"
#include "tool/kafka_options.h"
#include "tool/options.h"
#include "tool/wait.h"

static const char help[] =
    "usage: calc-submit [-i INPUTS] [-o COMMANDS [--wait SECONDS --view DIR]]\n"
    "       calc-submit [OPTION]... create NUMBER\n"
    "       calc-submit [OPTION]... add VALUE_ID NUMBER\n"
    "       calc-submit [OPTION]... multiply VALUE_ID NUMBER\n"
    "\n"
    "Turns inputs, a line each, into commands on stdout; or appends them to a log, a file or\n"
    "kafka:TOPIC, and prints an acknowledgement a line once they are durable.\n"
    "\n"
    "  -i, --input STREAM        inputs; '-' (stdin) by default\n"
    "  -o, --output STREAM       commands; '-' (stdout) by default\n"
    "      --wait SECONDS        after the acknowledgement, wait for the outcome and print it\n"
    "      --view DIR            the view in which it appears; $CALC_VIEW by default\n"
    "      --id UUID             the command's id (a retry has the same); a new one by default\n"
    "      --expected-version N  only if the value is at this version; 0: must not exist\n"
    "      --actor NAME          who asks\n"
    KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "Inputs: {\"value\":7}, {\"value_id\":\"...\",\"operation\":\"ADD\",\"value\":3}, or whole commands.\n"
    "See calc-submit(1), calc-formats(5).\n";

enum {
    BATCH_BYTES = 1 << 20,
    TOPIC_BATCH_BYTES = 1 << 24, /* sent while it fills: only the wait for its end counts */
    PIPE_BATCH_BYTES = 1 << 16,
    OPTION_WAIT = OPTION_FIRST,
    OPTION_VIEW,
    OPTION_ID,
    OPTION_EXPECTED_VERSION,
    OPTION_ACTOR
};

/* A command in the batch that is not durable yet. */
struct pending {
    struct id id, value_id;
    struct body body;
    uint64_t line; /* of the input, from 1 */
};

struct submitter {
    const char *input_name, *output_name, *folder;
    char topic_name[KAFKA_STREAM_TEXT];
    enum stream_kind output_kind;
    bool one_shot, waits, has_id;
    int64_t wait_ms;
    struct command command; /* one-shot: the command itself */
    struct reader *input;
    struct writer *output, *acknowledgements;
    struct buffer pending; /* of struct pending; logs only */
    size_t ended;          /* of them, which the writer took */
    struct view *view;
    bool appended, bad, rejected, undecided;
};

/* --- the command line --- */

/* A number as shells have them: what JSON allows, and .5, 5. and +5 too. */
static bool read_number(const char *text, double *number)
{
    char *end;

    if (!*text || text[strspn(text, "+-.0123456789eE")])
        return false;
    *number = strtod(text, &end);
    return !*end && isfinite(*number);
}

static void parse_command(struct submitter *submitter, const struct options *options)
{
    static const char *const verbs[] = {"create", "add", "multiply"};
    struct command *command = &submitter->command;
    const char *verb = options->operands[0], *number;
    int action = ACTION_CREATE, wanted;

    while (action <= ACTION_MULTIPLY && strcmp(verb, verbs[action]) != 0)
        action++;
    if (action > ACTION_MULTIPLY)
        options_bad("what to do is create, add or multiply, not '%s'", verb);
    command->action = (enum action)action;
    wanted = action == ACTION_CREATE ? 2 : 3;
    if (options->operand_count != wanted)
        options_bad("%s takes %s", verb, wanted == 2 ? "a number" : "a value's id and a number");
    number = options->operands[wanted - 1];
    if (!read_number(number, &command->value))
        options_bad("'%s' is no finite decimal number", number);
    if (!submitter->has_id)
        id_new(&command->id);
    if (action == ACTION_CREATE)
        input_value_id(command, submitter->has_id);
    else if (id_parse(options->operands[1], strlen(options->operands[1]), &command->value_id) < 0)
        options_bad("a value's id is a UUID, not '%s'", options->operands[1]);
}

static void parse_options(struct submitter *submitter, int argc, char **argv)
{
    static const struct option longer[] = {
        {"input", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"wait", required_argument, NULL, OPTION_WAIT},
        {"view", required_argument, NULL, OPTION_VIEW},
        {"id", required_argument, NULL, OPTION_ID},
        {"expected-version", required_argument, NULL, OPTION_EXPECTED_VERSION},
        {"actor", required_argument, NULL, OPTION_ACTOR},
        OPTIONS_COMMON};
    struct command *command = &submitter->command;
    struct options options;
    const char *only_one_shot = NULL;
    int option;

    submitter->folder = getenv("CALC_VIEW");
    options_open(&options, argc, argv, "+:i:o:" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        switch (option) {
        case 'i':
            submitter->input_name = optarg;
            break;
        case 'o':
            submitter->output_name = optarg;
            break;
        case OPTION_WAIT:
            submitter->waits = true;
            submitter->wait_ms = options_seconds("--wait", optarg);
            break;
        case OPTION_VIEW:
            submitter->folder = optarg;
            break;
        case OPTION_ID:
            only_one_shot = "--id";
            submitter->has_id = true;
            if (id_parse(optarg, strlen(optarg), &command->id) < 0)
                options_bad("--id takes a UUID, not '%s'", optarg);
            break;
        case OPTION_EXPECTED_VERSION:
            only_one_shot = "--expected-version";
            command->has_expected_version = true;
            command->expected_version = options_count("--expected-version", optarg);
            break;
        case OPTION_ACTOR:
            only_one_shot = "--actor";
            if (!*optarg || actor_set(&command->actor, optarg, strlen(optarg)) < 0)
                options_bad("--actor takes 1 to %d bytes", ACTOR_MAX_BYTES);
            break;
        default:
            kafka_option(option, optarg);
        }
    }
    submitter->one_shot = options.operand_count > 0;
    if (submitter->one_shot)
        parse_command(submitter, &options);
    else if (only_one_shot)
        options_bad("%s goes with create, add or multiply; an input line has its own members",
                    only_one_shot);
    if (submitter->one_shot && submitter->input_name)
        options_bad("-i goes without create, add or multiply");
}

static void check_options(struct submitter *submitter)
{
    enum stream_kind kind, input_kind;
    const char *path;
    struct error error;

    submitter->output_name =
        kafka_stream(submitter->output_name, KAFKA_COMMANDS, submitter->topic_name);
    if (!submitter->input_name)
        submitter->input_name = "-";
    if (stream_parse(submitter->output_name, &kind, &path, &error) < 0 ||
        stream_parse(submitter->input_name, &input_kind, &path, &error) < 0)
        options_bad("%s", error.text);
    submitter->output_kind = kind;
    if (submitter->waits && kind == STREAM_STDIO)
        options_bad("--wait needs a log: -o COMMANDS");
    if (submitter->waits && (!submitter->folder || !*submitter->folder))
        options_bad("--wait needs a view: --view DIR, or CALC_VIEW");
    if (!submitter->one_shot && stream_is_same(submitter->input_name, submitter->output_name))
        options_bad("input and output are one file");
}

/* --- one command --- */

static int add(struct submitter *submitter, const struct command *command, uint64_t line,
               struct error *error)
{
    struct pending pending = {command->id, command->value_id, {{0}}, line};

    if (command_write_checked(command, writer_batch(submitter->output), error) < 0)
        return -1;
    if (!writer_is_log(submitter->output))
        return 0;
    if (submitter->waits)
        body_of(command->action, command->value, &command->actor, &pending.body);
    buffer_append(&submitter->pending, &pending, sizeof pending);
    if (submitter->pending.failed)
        return error_memory(error);
    if (writer_end_record(submitter->output, &command->value_id, error) < 0)
        return -1;
    submitter->ended++;
    return 0;
}

static int take_line(struct submitter *submitter, const struct line *line, struct error *error)
{
    struct error reason;
    struct command command;
    int result;

    if (line_fault(line))
        result = error_set(&reason, EX_DATAERR, "%s", line_fault(line));
    else
        result = input_parse(line->data, line->len, timestamp_now(), &command, &reason);
    if (result == 0)
        result = add(submitter, &command, line->number, &reason);
    if (result == 0)
        return 0;
    if (reason.status != EX_DATAERR) {
        *error = reason;
        return -1;
    }
    diag_error("line %llu: %s", (unsigned long long)line->number, reason.text);
    submitter->bad = true;
    return 0;
}

/* --- a batch --- */

static void acknowledge(struct submitter *submitter, const struct pending *pending,
                        const char *position)
{
    char id[ID_TEXT], value_id[ID_TEXT];

    id_write(&pending->id, id);
    id_write(&pending->value_id, value_id);
    buffer_printf(writer_batch(submitter->acknowledgements),
                  "{\"id\":\"%.36s\",\"value_id\":\"%.36s\",\"position\":\"%s\"}\n", id,
                  value_id, position);
    submitter->appended = true;
}

/* Acknowledges what is durable, in order. */
static int acknowledge_all(struct submitter *submitter, struct error *error)
{
    const struct pending *pending = (const struct pending *)submitter->pending.data;
    char position[STREAM_POSITION_TEXT];

    for (size_t i = 0; i < submitter->ended; i++)
        if (writer_position(submitter->output, i, position) == DELIVERY_DONE)
            acknowledge(submitter, &pending[i], position);
    return writer_commit(submitter->acknowledgements, NULL, NULL, error);
}

/* After a failed commit to a topic, of which a part may be there: which record the error is about,
 * and what became of the others. */
static void tell_failure(const struct submitter *submitter, struct error *error)
{
    const struct pending *pending = (const struct pending *)submitter->pending.data;
    const struct pending *failed = &pending[writer_failed(submitter->output)];
    size_t count = submitter->pending.len / sizeof *pending, unknown = 0, lost = 0;
    char position[STREAM_POSITION_TEXT], id[ID_TEXT];
    struct error reason = *error;

    for (size_t i = 0; i < count; i++) {
        enum delivery delivery = DELIVERY_FAILED;
        if (i < submitter->ended)
            delivery = writer_position(submitter->output, i, position);
        lost += delivery == DELIVERY_FAILED;
        if (delivery != DELIVERY_UNKNOWN)
            continue;
        unknown++;
        id_write(&pending[i].id, id);
        diag_info("line %llu, command %.36s: may be there or not",
                  (unsigned long long)pending[i].line, id);
    }
    id_write(&failed->id, id);
    error_set(error, reason.status,
              "line %llu, command %.36s: %s (of the last %zu commands, %zu were appended, %zu were "
              "not, and %zu may be there or not)",
              (unsigned long long)failed->line, id, reason.text, count, count - lost - unknown,
              lost, unknown);
    if (submitter->appended && !unknown)
        error->status = EX_IOERR;
}

/* Prints what became of a command; another body's outcome means that its id was used before. */
static int report(struct submitter *submitter, const struct pending *pending,
                  int64_t deadline_ms, struct error *error)
{
    struct buffer *out = writer_batch(submitter->acknowledgements);
    char id[ID_TEXT], value_id[ID_TEXT];
    struct outcome outcome;
    struct body body;
    int result = wait_for_outcome(submitter->folder, &submitter->view, &pending->value_id,
                                  &pending->id, deadline_ms, &outcome, error);

    if (result < 0)
        return -1;
    id_write(&pending->id, id);
    id_write(&pending->value_id, value_id);
    if (result == 0) {
        diag_error("command %.36s on value %.36s is not decided yet", id, value_id);
        submitter->undecided = true;
        return 0;
    }
    body_of(outcome.action, outcome.value, &outcome.actor, &body);
    if (!body_equal(&body, &pending->body))
        outcome.reason = REASON_ID_REUSED;
    submitter->rejected |= outcome.reason != REASON_NONE;
    buffer_printf(out, "{\"id\":\"%.36s\",\"value_id\":\"%.36s\",", id, value_id);
    outcome_write_status(&outcome, out);
    buffer_append_text(out, "}\n");
    return writer_commit(submitter->acknowledgements, NULL, NULL, error);
}

static int commit(struct submitter *submitter, struct error *error)
{
    const struct pending *pending = (const struct pending *)submitter->pending.data;
    size_t count = submitter->pending.len / sizeof *pending;
    uint64_t base = 0, cut = 0;
    int64_t deadline_ms;
    struct error acknowledging;
    int result = writer_commit(submitter->output, &base, &cut, error);

    if (cut)
        diag_warn("cut off a torn tail of %llu bytes that a crash left before %llu",
                  (unsigned long long)cut, (unsigned long long)base);
    if (acknowledge_all(submitter, result < 0 ? &acknowledging : error) < 0 && result == 0)
        return -1;
    if (result < 0) {
        if (submitter->output_kind == STREAM_KAFKA)
            tell_failure(submitter, error);
        return -1;
    }
    deadline_ms = clock_ms() + submitter->wait_ms;
    for (size_t i = 0; submitter->waits && i < count; i++)
        if (report(submitter, &pending[i], deadline_ms, error) < 0)
            return -1;
    submitter->pending.len = 0;
    submitter->ended = 0;
    return 0;
}

/* How much gathers before it is committed, if the input doesn't pause. */
static size_t batch_bytes(enum stream_kind kind)
{
    return kind == STREAM_KAFKA ? TOPIC_BATCH_BYTES
           : kind == STREAM_FILE ? BATCH_BYTES
                                 : PIPE_BATCH_BYTES;
}

/* One more record, or what reader_next() says. */
static int take(struct submitter *submitter, struct error *error)
{
    struct line line;
    int got = reader_next(submitter->input, &line, error);

    return got == READ_RECORD && take_line(submitter, &line, error) < 0 ? -1 : got;
}

/* When reading or writing failed: a topic has a part of the batch already, so what became of it has to
 * be told. */
static int end_batch(struct submitter *submitter, struct error *error)
{
    struct error later;

    if (submitter->output_kind == STREAM_KAFKA && commit(submitter, &later) < 0)
        *error = later;
    return -1;
}

static int submit_lines(struct submitter *submitter, struct error *error)
{
    size_t full = batch_bytes(submitter->output_kind);

    if (reader_open(submitter->input_name, false, &submitter->input, error) < 0)
        return -1;
    for (;;) {
        int got = take(submitter, error);
        if (got < 0)
            return end_batch(submitter, error);
        if (got == READ_INTERRUPTED ||
            (got == READ_RECORD && writer_batch(submitter->output)->len < full))
            continue;
        if (commit(submitter, error) < 0)
            return -1;
        if (got == READ_END)
            break;
        if (got == READ_PAUSE)
            inputs_wait(&submitter->input, 1);
    }
    if (reader_torn(submitter->input)) {
        diag_error("the last line of %s, at %llu, has no newline: a file's record ends with one",
                   submitter->input_name, (unsigned long long)reader_offset(submitter->input));
        submitter->bad = true;
    }
    return 0;
}

/* A writer waits longer for its broker, so it comes first. */
static int check_topic(const struct submitter *submitter, struct error *error)
{
    const char *streams[KAFKA_ROLES] = {[KAFKA_COMMANDS] = submitter->output_name};

    return kafka_check(streams, 1u << KAFKA_COMMANDS, KAFKA_CHECK_MS, error);
}

static int submit(struct submitter *submitter, struct error *error)
{
    if (writer_open(submitter->output_name, &submitter->output, error) < 0 ||
        check_topic(submitter, error) < 0 ||
        writer_open("-", &submitter->acknowledgements, error) < 0)
        return -1;
    if (!submitter->one_shot)
        return submit_lines(submitter, error);
    submitter->command.timestamp = timestamp_now();
    if (add(submitter, &submitter->command, 1, error) < 0)
        return end_batch(submitter, error);
    return commit(submitter, error);
}

int main(int argc, char **argv)
{
    struct submitter submitter = {.output_name = "-"};
    struct error error = {0};
    int status = EXIT_OK;

    kafka_install();
    parse_options(&submitter, argc, argv);
    check_options(&submitter);
    if (submit(&submitter, &error) < 0) {
        diag_error("%s", error.text);
        status = error.status;
    } else if (submitter.bad) {
        status = EX_DATAERR;
    } else if (submitter.undecided) {
        status = EX_UNAVAILABLE;
    } else if (submitter.rejected) {
        status = EXIT_NO;
    }
    view_close(submitter.view);
    reader_close(submitter.input);
    writer_close(submitter.output);
    writer_close(submitter.acknowledgements);
    buffer_release(&submitter.pending);
    return status;
}
