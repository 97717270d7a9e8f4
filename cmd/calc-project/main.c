/* calc-project: events and rejections to a view. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "rebuild.h"
#include "tool/kafka_options.h"
#include "tool/options.h"
#include "tool/service.h"
#include "tool/stats.h"
#include "tool/stop.h"

static const char help[] =
    "usage: calc-project [-f | -e] [-i EVENTS] [-r REJECTIONS] [--view DIR]\n"
    "                    [--rebuild] [--skip LOG:POSITION]...\n"
    "       calc-project [-f | -e] -i kafka:[TOPIC] [--from PLACE]\n"
    "\n"
    "Folds events and rejections into a view, and goes on where it stopped. Without a view\n"
    "it prints each value's last state, ordered by id, when the events end.\n"
    "\n"
    "  -i, --input STREAM       events; '-' (stdin) by default\n"
    "  -r, --rejections STREAM  rejections; none by default\n"
    "  -f, --follow             go on when the logs end, until SIGTERM or SIGINT; a topic is\n"
    "                           followed anyhow\n"
    "  -e, --exit               end when the logs end, of topics too\n"
    "      --view DIR           the view's folder; $CALC_VIEW by default\n"
    "      --skip LOG:POSITION  leave out the record of the log (events or rejections) that\n"
    "                           stands at the position; its value's next event sets its version\n"
    "      --rebuild            fold the view anew from the beginning of its logs, beside the one in\n"
    "                           use, and switch when it has caught up; a projector may run meanwhile\n"
    "      --from PLACE         without a view: begin at a topic's 'beginning' or 'end', at an\n"
    "                           OFFSET in each partition, or at @TIME\n"
    STATS_OPTION_HELP KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "A stream is '-', or a file: PATH or file:PATH, or a topic: kafka:TOPIC, or kafka: for the\n"
    "default one. A position is an offset, in a topic PARTITION:OFFSET.\n"
    "See calc-project(1), calc-formats(5), calc-kafka(7).\n";

enum { OPTION_VIEW = OPTION_FIRST, OPTION_SKIP, OPTION_FROM, OPTION_REBUILD, OPTION_STATS };

static const char *const log_names[VIEW_LOGS] = {"events", "rejections"};
static const enum kafka_role log_roles[VIEW_LOGS] = {KAFKA_EVENTS, KAFKA_REJECTIONS};

static void parse_skip(struct projector *projector, const char *text)
{
    struct projector_skip *skip = &projector->skips[projector->skip_count];
    const char *colon = strchr(text, ':'), *second;
    char partition[16];

    if (projector->skip_count == PROJECTOR_SKIPS)
        options_bad("more than %d times --skip", PROJECTOR_SKIPS);
    for (int log = 0; log < VIEW_LOGS; log++) {
        if (!colon || strlen(log_names[log]) != (size_t)(colon - text) ||
            strncmp(text, log_names[log], (size_t)(colon - text)) != 0)
            continue;
        skip->log = (enum view_log)log;
        skip->partition = -1;
        second = strchr(++colon, ':');
        if (second) {
            snprintf(partition, sizeof partition, "%.*s", (int)(second - colon), colon);
            skip->partition = (int32_t)options_count("--skip's partition", partition);
            colon = second + 1;
        }
        skip->position = options_count("--skip's position", colon);
        projector->skip_count++;
        return;
    }
    options_bad("--skip takes events:POSITION or rejections:POSITION, not '%s'", text);
}

static void parse_options(struct projector *projector, int argc, char **argv)
{
    static const struct option longer[] = {{"input", required_argument, NULL, 'i'},
                                           {"rejections", required_argument, NULL, 'r'},
                                           {"follow", no_argument, NULL, 'f'},
                                           {"exit", no_argument, NULL, 'e'},
                                           {"from", required_argument, NULL, OPTION_FROM},
                                           {"view", required_argument, NULL, OPTION_VIEW},
                                           {"skip", required_argument, NULL, OPTION_SKIP},
                                           {"rebuild", no_argument, NULL, OPTION_REBUILD},
                                           {"stats", required_argument, NULL, OPTION_STATS},
                                           OPTIONS_COMMON};
    struct options options;
    int option;

    projector->names[VIEW_EVENTS] = "-";
    projector->folder = getenv("CALC_VIEW");
    options_open(&options, argc, argv, "+:i:r:fe" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option == 'i')
            projector->names[VIEW_EVENTS] = optarg;
        else if (option == 'r')
            projector->names[VIEW_REJECTIONS] = optarg;
        else if (option == 'f')
            projector->follow = true;
        else if (option == 'e')
            projector->end = true;
        else if (option == OPTION_FROM)
            projector->from = optarg;
        else if (option == OPTION_VIEW)
            projector->folder = optarg;
        else if (option == OPTION_SKIP)
            parse_skip(projector, optarg);
        else if (option == OPTION_REBUILD)
            projector->rebuild = true;
        else if (option == OPTION_STATS)
            projector->stats = optarg;
        else
            kafka_option(option, optarg);
    }
    if (options.operand_count)
        options_bad("unexpected argument '%s'", options.operands[0]);
    if (projector->follow && projector->end)
        options_bad("-f goes on when the logs end, -e doesn't: only one of them");
    for (int i = 0; i < VIEW_LOGS; i++)
        if (projector->names[i])
            projector->names[i] =
                kafka_stream(projector->names[i], log_roles[i], projector->topics[i]);
    if (projector->names[VIEW_REJECTIONS] &&
        (strcmp(projector->names[0], projector->names[1]) == 0 ||
         stream_is_same(projector->names[1], projector->names[0])))
        options_bad("events and rejections can't both come from %s", projector->names[0]);
    if (projector->folder && !*projector->folder)
        projector->folder = NULL;
    if (projector->rebuild && !projector->folder)
        options_bad("--rebuild: which view? give --view DIR, or set CALC_VIEW");
    if (projector->folder && projector->from)
        options_bad("--from: a view has positions of its own");
    projector->fold.midway = projector->from && strcmp(projector->from, "beginning") != 0;
}

/* Opens the view; with --rebuild, or if it is of an older format, a new one in its place. 0 if there is
 * nothing to do any more. */
static int open_view(struct projector *projector, struct error *error)
{
    int older = 0;

    if (projector->rebuild && view_is_there(projector->folder))
        return rebuild(projector, error);
    if (projector->folder)
        older = view_create(projector->folder, &projector->view, error);
    if (older < 0)
        return -1;
    if (older)
        return rebuild(projector, error);
    return projector_open_logs(projector, error) < 0 ? -1 : 1;
}

static int run(struct projector *projector, struct error *error)
{
    bool more, ended;

    for (;;) {
        int taken = 0;
        if (projector_step(projector, &more, &ended, error) < 0 ||
            projector_greet(projector, error) < 0)
            return -1;
        if (stop_asked())
            return 0;
        if (projector->view) {
            view_tidy(projector->view);
            taken = rebuild_take_over(projector, error);
        }
        if (taken < 0 || (ended && !taken))
            return taken;
        if (!more && !taken)
            projector_wait(projector);
    }
}

static int print_fold(struct projector *projector, struct error *error)
{
    struct writer *out = NULL;
    int result;

    result = writer_open("-", &out, error);
    if (result == 0)
        result = fold_write(&projector->fold, writer_batch(out), error);
    if (result == 0)
        result = writer_commit(out, NULL, NULL, error);
    writer_close(out);
    return result;
}

/* 0 if all was done that was asked for. */
static int work(struct projector *projector, struct error *error)
{
    int opened = open_view(projector, error);
    int result = opened > 0 ? run(projector, error) : opened;
    struct error later;

    if (!projector->view)
        return opened > 0 && result == 0 ? print_fold(projector, error) : result;
    if (view_sync(projector->view, &later) < 0 && result == 0) { /* what came before an error, too */
        *error = later;
        result = -1;
    }
    return result;
}

static void say_torn(const struct projector *projector)
{
    for (int i = 0; i < VIEW_LOGS; i++) {
        const struct reader *reader = projector->sources[i].reader;
        if (reader && reader_torn(reader))
            diag_warn("%s: %llu bytes behind its last newline, at %llu, are no record",
                      projector->names[i], (unsigned long long)reader_torn(reader),
                      (unsigned long long)reader_offset(reader));
    }
}

int main(int argc, char **argv)
{
    struct projector projector = {0};
    struct error error = {0};
    int status = EXIT_OK, result;

    stats_install();
    kafka_install();
    kafka_give_up = service_gives_up;
    fold_init(&projector.fold);
    parse_options(&projector, argc, argv);
    stop_install();
    service_open();
    stats_open(projector.stats, projector_write_stats, &projector);
    result = work(&projector, &error);
    progress_end(&projector.progress);
    stats_close();
    if (result < 0) {
        status = error.status;
        if (stop_asked() && status == EX_TEMPFAIL && !projector.rebuild)
            status = EXIT_OK; /* it waited for something */
        else
            diag_error("%s", error.text);
    }
    service_stopping();
    if (status == EXIT_OK)
        say_torn(&projector);
    view_abort(projector.txn);
    view_close(projector.view);
    projector_close_logs(&projector);
    fold_release(&projector.fold);
    return status;
}
