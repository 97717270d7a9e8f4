/* calc-submit: the Commander. Inputs to commands, and commands to their log. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "input.h"
#include "stream/kafka.h"
#include "submit.h"
#include "tool/kafka_options.h"
#include "tool/options.h"
#include "tool/stats.h"
#include "tool/stop.h"

static const char help[] =
    "usage: calc-submit [-ef] [-i INPUTS] [-o COMMANDS [--wait SECONDS --view DIR]] [--policy FILE]\n"
    "       calc-submit [OPTION]... create NUMBER\n"
    "       calc-submit [OPTION]... add VALUE_ID NUMBER\n"
    "       calc-submit [OPTION]... multiply VALUE_ID NUMBER\n"
    "\n"
    "Turns inputs, a line each, into commands on stdout; or appends them to a log, a file or\n"
    "kafka:TOPIC, and prints an acknowledgement a line once they are durable.\n"
    "\n"
    "  -i, --input STREAM        inputs; '-' (stdin) by default\n"
    "  -o, --output STREAM       commands; '-' (stdout) by default\n"
    "  -f, --follow              go on when the inputs end, until SIGTERM or SIGINT; a topic is\n"
    "                            followed anyhow\n"
    "  -e, --exit                end where the inputs do, of a topic too\n"
    "      --from PLACE          begin in a topic of inputs at its 'beginning' or 'end', at an\n"
    "                            OFFSET of each partition, or at @TIME\n"
    "      --wait SECONDS        after the acknowledgement, wait for the outcome and print it\n"
    "      --view DIR            the view in which it appears; $CALC_VIEW by default\n"
    "      --id UUID             the command's id (a retry has the same); a new one by default\n"
    "      --expected-version N  only if the value is at this version; 0: must not exist\n"
    "      --actor NAME          who asks\n"
    "      --policy FILE         append only what it allows the commands' actors; $CALC_POLICY by\n"
    "                            default\n"
    STATS_OPTION_HELP KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "Inputs: {\"value\":7}, {\"value_id\":\"...\",\"operation\":\"ADD\",\"value\":3}, or whole commands.\n"
    "See calc-submit(1), calc-formats(5).\n";

enum {
    OPTION_WAIT = OPTION_FIRST,
    OPTION_VIEW,
    OPTION_ID,
    OPTION_EXPECTED_VERSION,
    OPTION_ACTOR,
    OPTION_POLICY,
    OPTION_FROM,
    OPTION_STATS
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

/* An option of create, add and multiply. Returns its name. */
static const char *one_shot_option(struct submitter *submitter, int option)
{
    struct command *command = &submitter->command;

    switch (option) {
    case OPTION_ID:
        submitter->has_id = true;
        if (id_parse(optarg, strlen(optarg), &command->id) < 0)
            options_bad("--id takes a UUID, not '%s'", optarg);
        return "--id";
    case OPTION_EXPECTED_VERSION:
        command->has_expected_version = true;
        command->expected_version = options_count("--expected-version", optarg);
        return "--expected-version";
    default:
        if (!*optarg || actor_set(&command->actor, optarg, strlen(optarg)) < 0)
            options_bad("--actor takes 1 to %d bytes", ACTOR_MAX_BYTES);
        return "--actor";
    }
}

static void parse_options(struct submitter *submitter, int argc, char **argv)
{
    static const struct option longer[] = {
        {"input", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"follow", no_argument, NULL, 'f'},
        {"exit", no_argument, NULL, 'e'},
        {"from", required_argument, NULL, OPTION_FROM},
        {"wait", required_argument, NULL, OPTION_WAIT},
        {"view", required_argument, NULL, OPTION_VIEW},
        {"id", required_argument, NULL, OPTION_ID},
        {"expected-version", required_argument, NULL, OPTION_EXPECTED_VERSION},
        {"actor", required_argument, NULL, OPTION_ACTOR},
        {"stats", required_argument, NULL, OPTION_STATS},
        {"policy", required_argument, NULL, OPTION_POLICY},
        OPTIONS_COMMON};
    struct options options;
    const char *only_one_shot = NULL;
    int option;

    submitter->folder = getenv("CALC_VIEW");
    submitter->policy_name = getenv("CALC_POLICY");
    options_open(&options, argc, argv, "+:i:o:fe" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        switch (option) {
        case 'i':
            submitter->input_name = optarg;
            break;
        case 'o':
            submitter->output_name = optarg;
            break;
        case 'f':
            submitter->follow = true;
            break;
        case 'e':
            submitter->end = true;
            break;
        case OPTION_FROM:
            submitter->from = optarg;
            break;
        case OPTION_STATS:
            submitter->stats = optarg;
            break;
        case OPTION_WAIT:
            submitter->waits = true;
            submitter->wait_ms = options_seconds("--wait", optarg);
            break;
        case OPTION_VIEW:
            submitter->folder = optarg;
            break;
        case OPTION_POLICY:
            if (!*optarg)
                options_bad("--policy takes a file");
            submitter->policy_name = optarg;
            break;
        default:
            if (!kafka_option(option, optarg))
                only_one_shot = one_shot_option(submitter, option);
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
    if (submitter->follow && submitter->end)
        options_bad("-f goes on when the inputs end, -e doesn't: only one of them");
}

static void check_options(struct submitter *submitter)
{
    enum stream_kind kind, input_kind;
    const char *path, *inputs;
    struct error error;

    submitter->output_name =
        kafka_stream(submitter->output_name, KAFKA_COMMANDS, submitter->topic_name);
    if (!submitter->input_name)
        submitter->input_name = "-";
    if (stream_parse(submitter->output_name, &kind, &path, &error) < 0 ||
        stream_parse(submitter->input_name, &input_kind, &inputs, &error) < 0)
        options_bad("%s", error.text);
    submitter->output_kind = kind;
    submitter->input_kind = input_kind;
    if (input_kind == STREAM_KAFKA && !*inputs)
        options_bad("-i kafka: needs the name of a topic: kafka:TOPIC");
    if (submitter->from && input_kind != STREAM_KAFKA)
        options_bad("--from needs a topic of inputs: -i kafka:TOPIC");
    if (submitter->policy_name && !*submitter->policy_name)
        submitter->policy_name = NULL;
    submitter->follow |= input_kind == STREAM_KAFKA && !submitter->end;
    if (submitter->waits && kind == STREAM_STDIO)
        options_bad("--wait needs a log: -o COMMANDS");
    if (submitter->waits && (!submitter->folder || !*submitter->folder))
        options_bad("--wait needs a view: --view DIR, or CALC_VIEW");
    if (!submitter->one_shot && stream_is_same(submitter->input_name, submitter->output_name))
        options_bad("input and output are one %s",
                    kind == STREAM_KAFKA ? "topic" : "file");
}

int main(int argc, char **argv)
{
    struct submitter submitter = {.output_name = "-"};
    struct error error = {0};
    int status = EXIT_OK;

    stats_install();
    kafka_install();
    parse_options(&submitter, argc, argv);
    check_options(&submitter);
    if (submitter.follow)
        stop_install();
    kafka_give_up = stop_asked;
    if (submit(&submitter, &error) < 0) {
        bool stopped = stop_asked() && error.status == EX_TEMPFAIL && !submitter.pending.len;
        status = stopped ? EXIT_OK : error.status; /* there was no broker yet */
        if (!stopped)
            diag_error("%s", error.text);
    } else if (submitter.bad) {
        status = EX_DATAERR;
    } else if (submitter.undecided) {
        status = EX_UNAVAILABLE;
    } else if (submitter.rejected) {
        status = EXIT_NO;
    }
    submit_release(&submitter);
    return status;
}
