/* calc-watch: subscriptions. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "tool/options.h"
#include "tool/stats.h"
#include "tool/stop.h"
#include "watch.h"

static const char help[] =
    "usage: calc-watch [--view DIR] [--from CURSOR|beginning|now] [-e] [VALUE_ID...]\n"
    "       calc-watch [--view DIR] --command COMMAND_ID [--wait SECONDS] VALUE_ID\n"
    "\n"
    "Prints events and rejections as they become visible in the view, as lines of JSON, each with\n"
    "a cursor to go on from. Without value ids, those of all values.\n"
    "\n"
    "      --view DIR            the view's folder; $CALC_VIEW by default\n"
    "      --from CURSOR|beginning|now\n"
    "                            where to begin; now by default\n"
    "  -e, --exit                end when everything that is there was printed\n"
    "      --command COMMAND_ID  only what becomes of this command on the value, then end\n"
    "      --wait SECONDS        how long to wait for that; for ever by default\n"
    STATS_OPTION_HELP
    "      --help, --version\n"
    "\n"
    "Exit status: 0; 1 if the command was rejected; 69 if it isn't decided in time. See\n"
    "calc-watch(1).\n";

enum { OPTION_VIEW = OPTION_FIRST, OPTION_FROM, OPTION_COMMAND, OPTION_WAIT, OPTION_STATS };

/* What is asked for besides. */
struct asked {
    struct options options;
    const char *command_text; /* NULL: not given */
    struct id command;
    bool waits;
    int64_t wait_ms;
};

static void parse_options(struct watch *watch, struct asked *asked, int argc, char **argv)
{
    static const struct option longer[] = {{"view", required_argument, NULL, OPTION_VIEW},
                                           {"from", required_argument, NULL, OPTION_FROM},
                                           {"exit", no_argument, NULL, 'e'},
                                           {"command", required_argument, NULL, OPTION_COMMAND},
                                           {"wait", required_argument, NULL, OPTION_WAIT},
                                           {"stats", required_argument, NULL, OPTION_STATS},
                                           OPTIONS_COMMON};
    int option;

    watch->folder = getenv("CALC_VIEW");
    options_open(&asked->options, argc, argv, "+:e", longer, help);
    while ((option = options_next(&asked->options)) != OPTION_END)
        if (option == OPTION_VIEW) {
            watch->folder = optarg;
        } else if (option == OPTION_FROM) {
            watch->from = optarg;
        } else if (option == 'e') {
            watch->ends = true;
        } else if (option == OPTION_COMMAND) {
            asked->command_text = optarg;
        } else if (option == OPTION_STATS) {
            watch->stats = optarg;
        } else if (option == OPTION_WAIT) {
            asked->waits = true;
            asked->wait_ms = options_seconds("--wait", optarg);
        }
}

static void check_options(struct watch *watch, struct asked *asked)
{
    const char *command = asked->command_text;

    if (!watch->folder || !*watch->folder)
        options_bad("which view? give --view DIR, or set CALC_VIEW");
    if (command && asked->options.operand_count != 1)
        options_bad("--command needs one value id");
    if (command && (watch->from || watch->ends))
        options_bad("--command goes without --from and -e");
    if (asked->waits && !command)
        options_bad("--wait goes with --command: what is waited for");
    if (command && id_parse(command, strlen(command), &asked->command) < 0)
        options_bad("--command takes a UUID, not '%s'", command);
    if (!watch->from)
        watch->from = "now";
}

static int take_ids(struct watch *watch, const struct options *options, struct error *error)
{
    struct id id;
    bool created;

    table_init(&watch->ids, sizeof id, sizeof id);
    for (int i = 0; i < options->operand_count; i++) {
        if (id_parse(options->operands[i], strlen(options->operands[i]), &id) < 0)
            options_bad("a value id is a UUID, not '%s'", options->operands[i]);
        if (!table_insert(&watch->ids, &id, &created))
            return error_memory(error);
    }
    return 0;
}

/* Who waits for a command follows nothing: a signal is no outcome, and kills. */
static int wait_for_command(struct watch *watch, const struct asked *asked, int *status,
                            struct error *error)
{
    int64_t deadline_ms = asked->waits ? clock_ms() + asked->wait_ms : INT64_MAX;
    const struct id *value_id = table_at(&watch->ids, 0);
    enum reason reason;
    int result =
        watch_outcome(watch, value_id, &asked->command, deadline_ms, &reason, error);

    if (result == 0)
        return error_set(error, EX_UNAVAILABLE, "the outcome of command %s is not visible yet",
                         asked->command_text);
    if (result > 0)
        *status = reason == REASON_NONE ? EXIT_OK : EXIT_NO;
    return result < 0 ? -1 : 0;
}

static int run(struct watch *watch, const struct asked *asked, int *status, struct error *error)
{
    if (take_ids(watch, &asked->options, error) < 0 || watch_open(watch, error) < 0)
        return -1;
    if (asked->command_text)
        return wait_for_command(watch, asked, status, error);
    return watch_follow(watch, error);
}

int main(int argc, char **argv)
{
    struct watch watch = {.waiter.fd = -1};
    struct asked asked = {0};
    struct error error;
    int status = EXIT_OK, result;

    stats_install();
    parse_options(&watch, &asked, argc, argv);
    check_options(&watch, &asked);
    if (!asked.command_text)
        stop_install();
    stats_open(watch.stats, watch_write_stats, &watch);
    result = run(&watch, &asked, &status, &error);
    stats_close();
    if (result < 0) {
        diag_error("%s", error.text);
        status = error.status;
    }
    watch_close(&watch);
    return status;
}
