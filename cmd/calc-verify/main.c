/* calc-verify: derives every outcome again from the commands, and compares. */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tool/kafka_options.h"
#include "verify.h"

static const char help[] =
    "usage: calc-verify [-i COMMANDS] [-o EVENTS] [-r REJECTIONS] [--state DIR] [--view DIR]\n"
    "                   [-X NAME=VALUE]... [-F FILE]...\n"
    "\n"
    "Derives every outcome again from the commands, and compares: events, rejections, the\n"
    "handler's state, the view. Says the first difference and where. Changes nothing.\n"
    "\n"
    "  -i, --input STREAM       commands; '-' (stdin) by default\n"
    "  -o, --output STREAM      events\n"
    "  -r, --rejections STREAM  rejections\n"
    "      --state DIR          the handler's state\n"
    "      --view DIR           the view; $CALC_VIEW by default, none if it is ''\n" KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "What isn't given isn't compared. A stream is '-', or a file: PATH or file:PATH, or a topic:\n"
    "kafka:TOPIC, or kafka: for the default one. All of them may be copies, or in use.\n"
    "Exit status: 0; 65 if anything differs. See calc-verify(1).\n";

enum { OPTION_STATE = OPTION_FIRST, OPTION_VIEW };

static void parse_options(struct verify_options *verify, int argc, char **argv)
{
    static const struct option longer[] = {{"input", required_argument, NULL, 'i'},
                                           {"output", required_argument, NULL, 'o'},
                                           {"rejections", required_argument, NULL, 'r'},
                                           {"state", required_argument, NULL, OPTION_STATE},
                                           {"view", required_argument, NULL, OPTION_VIEW},
                                           OPTIONS_COMMON};
    struct options options;
    int option;

    verify->view = getenv("CALC_VIEW");
    options_open(&options, argc, argv, "+:i:o:r:" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option == 'i')
            verify->commands = optarg;
        else if (option == 'o')
            verify->outputs[0] = optarg;
        else if (option == 'r')
            verify->outputs[1] = optarg;
        else if (option == OPTION_STATE)
            verify->state = optarg;
        else if (option == OPTION_VIEW)
            verify->view = optarg;
        else
            kafka_option(option, optarg);
    }
    if (options.operand_count)
        options_bad("unexpected argument '%s'", options.operands[0]);
    if (verify->view && !*verify->view)
        verify->view = NULL;
}

static enum stream_kind kind_of(const char *name)
{
    enum stream_kind kind;
    const char *path;
    struct error error;

    if (stream_parse(name, &kind, &path, &error) < 0)
        options_bad("%s", error.text);
    return kind;
}

/* Two names of one log can only be a mistake. */
static void check_distinct(const char *const names[KAFKA_ROLES])
{
    for (int i = 0; i < KAFKA_ROLES; i++)
        for (int j = 0; j < i; j++)
            if (names[i] && names[j] &&
                (strcmp(names[i], names[j]) == 0 || stream_is_same(names[i], names[j]) ||
                 stream_is_same(names[j], names[i])))
                options_bad("%s can't be two of commands, events and rejections", names[i]);
}

static void check_streams(const struct verify_options *verify)
{
    const char *names[KAFKA_ROLES] = {verify->commands, verify->outputs[0], verify->outputs[1]};
    bool topics = kind_of(verify->commands) == STREAM_KAFKA;

    for (int i = 1; i < KAFKA_ROLES; i++)
        if (names[i] && (kind_of(names[i]) == STREAM_KAFKA) != topics)
            options_bad("%s: commands and outcomes are all topics, or none is: where a command "
                        "stands decides what some outcomes are",
                        names[i]);
    check_distinct(names);
    if (!verify->outputs[0] && !verify->outputs[1] && !verify->state && !verify->view)
        options_bad("nothing to compare with: -o, -r, --state or --view");
    if (topics && verify->view && (!verify->outputs[0] || !verify->outputs[1]))
        options_bad("a view of topics needs both of them: -o and -r");
}

int main(int argc, char **argv)
{
    struct verify_options options = {.commands = "-"};
    char texts[KAFKA_ROLES][KAFKA_STREAM_TEXT];
    struct writer *out = NULL;
    struct error error = {0};
    int result;

    kafka_install();
    parse_options(&options, argc, argv);
    options.commands = kafka_stream(options.commands, KAFKA_COMMANDS, texts[KAFKA_COMMANDS]);
    for (int i = 0; i < 2; i++)
        if (options.outputs[i])
            options.outputs[i] = kafka_stream(options.outputs[i], (enum kafka_role)(KAFKA_EVENTS + i),
                                              texts[KAFKA_EVENTS + i]);
    check_streams(&options);
    result = writer_open("-", &out, &error);
    if (result == 0)
        result = verify(&options, writer_batch(out), &error);
    if (result == 0)
        result = writer_commit(out, NULL, NULL, &error);
    writer_close(out);
    if (result == 0)
        return EXIT_OK;
    diag_error("%s", error.text);
    return error.status;
}
