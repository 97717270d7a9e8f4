/* calc-handle: commands to events and rejections. */
#include <mimalloc.h>
#include <string.h>

#include "base/diag.h"
#include "handle.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tool/kafka_options.h"
#include "tool/service.h"
#include "tool/stats.h"
#include "tool/stop.h"

#pragma weak mi_option_set_default

static const char help[] =
    "usage: calc-handle [-f] [-i COMMANDS] [-r REJECTIONS]\n"
    "       calc-handle [-f] [-i COMMANDS] -o EVENTS -r REJECTIONS [--state DIR] [--cache MIB]\n"
    "       calc-handle [-e] -i kafka:TOPIC -o kafka:TOPIC -r kafka:TOPIC [--state DIR]\n"
    "                   [--cache MIB] [--instance NAME] [-X NAME=VALUE]... [-F FILE]...\n"
    "\n"
    "Decides each command and writes its outcome: an event, or a rejection.\n"
    "\n"
    "  -i, --input STREAM       commands; '-' (stdin) by default\n"
    "  -o, --output STREAM      events; '-' (stdout) by default\n"
    "  -r, --rejections STREAM  rejections; stderr by default, needed if -o is a log\n"
    "  -f, --follow             go on when the commands end, until SIGTERM or SIGINT; a topic is\n"
    "                           followed anyhow\n"
    "  -e, --exit               end when the commands end, of a topic too\n"
    "      --state DIR          logs: where the state is kept; EVENTS.state by default\n"
    "      --cache MIB          logs: how much memory the state may take; 1024 by default\n"
    "      --instance NAME      topics: this handler's name, which no other one has at the same\n"
    "                           time; made of the host's name and the state's folder by default\n"
    STATS_OPTION_HELP KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "A stream is '-', or a file: PATH or file:PATH, or a topic: kafka:TOPIC, or kafka: for the\n"
    "default one. Output logs that hold outcomes from earlier go on where they end.\n"
    "See calc-handle(1), calc-formats(5), calc-kafka(7).\n";

enum { OPTION_STATE = OPTION_FIRST, OPTION_CACHE, OPTION_INSTANCE, OPTION_STATS };

static const size_t default_cache = (size_t)1 << 30;

/* Mebibytes, as bytes. */
static size_t read_cache(const char *text)
{
    uint64_t count = options_count("--cache", text);

    if (count == 0 || count > SIZE_MAX >> 20)
        options_bad("--cache is a number of MiB, at least 1, not '%s'", text);
    return (size_t)count << 20;
}

static void parse_options(struct handle_options *handle, int argc, char **argv)
{
    static const struct option longer[] = {{"input", required_argument, NULL, 'i'},
                                           {"output", required_argument, NULL, 'o'},
                                           {"rejections", required_argument, NULL, 'r'},
                                           {"follow", no_argument, NULL, 'f'},
                                           {"exit", no_argument, NULL, 'e'},
                                           {"state", required_argument, NULL, OPTION_STATE},
                                           {"cache", required_argument, NULL, OPTION_CACHE},
                                           {"instance", required_argument, NULL, OPTION_INSTANCE},
                                           {"stats", required_argument, NULL, OPTION_STATS},
                                           OPTIONS_COMMON};
    struct options options;
    bool follow = false, until_end = false;
    int option;

    options_open(&options, argc, argv, "+:i:o:r:fe" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option == 'i')
            handle->commands = optarg;
        else if (option == 'o')
            handle->events = optarg;
        else if (option == 'r')
            handle->rejections = optarg;
        else if (option == 'f')
            follow = true;
        else if (option == 'e')
            until_end = true;
        else if (option == OPTION_STATE)
            handle->state = optarg;
        else if (option == OPTION_CACHE)
            handle->cache = read_cache(optarg);
        else if (option == OPTION_INSTANCE)
            handle->instance = optarg;
        else if (option == OPTION_STATS)
            handle->stats = optarg;
        else
            kafka_option(option, optarg);
    }
    if (options.operand_count)
        options_bad("unexpected argument '%s'", options.operands[0]);
    if (follow && until_end)
        options_bad("-f goes on when the commands end, -e doesn't: only one of them");
    handle->follow = follow || (!until_end && strncmp(handle->commands, "kafka:", 6) == 0);
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

/* What may be written where, so that no history is mixed with another. */
static void check_streams(const struct handle_options *handle)
{
    enum stream_kind input = kind_of(handle->commands), events = kind_of(handle->events),
                     rejections = handle->rejections ? kind_of(handle->rejections) : STREAM_STDIO;

    if (events != STREAM_STDIO && rejections != events)
        options_bad("with -o %s a log, rejections need a log of their own: -r %s", handle->events,
                    events == STREAM_KAFKA ? "kafka:TOPIC" : "FILE");
    if (events == STREAM_STDIO && handle->rejections && rejections == STREAM_STDIO)
        options_bad("events and rejections can't both go to stdout");
    if (events == STREAM_STDIO && rejections == STREAM_KAFKA)
        options_bad("rejections go to a topic only if events do");
    if (events == STREAM_KAFKA && input != STREAM_KAFKA)
        options_bad("outcomes go to topics only if the commands come from one: -i kafka:TOPIC");
    if (events == STREAM_FILE && input == STREAM_KAFKA)
        options_bad("the outcomes of a topic's commands go to topics, or to stdout");
    if (handle->instance && events != STREAM_KAFKA)
        options_bad("--instance goes with topics: -o kafka:TOPIC");
    if ((handle->state || handle->cache) && events == STREAM_STDIO)
        options_bad("--state and --cache go with logs: -o FILE or -o kafka:TOPIC");
}

/* What was freed is given back to the kernel after 25 ms, from where it would come again, cleared, for the next batch;
 * that is there within a second. With sanitizers there is no mimalloc. */
static void keep_freed_memory(void)
{
#if MI_MALLOC_VERSION < 210
    const mi_option_t delay = mi_option_decommit_delay;
#else
    const mi_option_t delay = mi_option_purge_delay;
#endif

    if (mi_option_set_default)
        mi_option_set_default(delay, 1000);
}

int main(int argc, char **argv)
{
    struct handle_options options = {.commands = "-", .events = "-"};
    char commands[KAFKA_STREAM_TEXT], events[KAFKA_STREAM_TEXT], rejections[KAFKA_STREAM_TEXT];
    struct error error = {0};
    int result;

    stats_install();
    kafka_install();
    parse_options(&options, argc, argv);
    options.commands = kafka_stream(options.commands, KAFKA_COMMANDS, commands);
    options.events = kafka_stream(options.events, KAFKA_EVENTS, events);
    if (options.rejections)
        options.rejections = kafka_stream(options.rejections, KAFKA_REJECTIONS, rejections);
    check_streams(&options);
    if (!options.cache)
        options.cache = default_cache;
    stop_install();
    service_open();
    if (kind_of(options.events) == STREAM_KAFKA) {
        keep_freed_memory();
        result = handle_topics(&options, &error);
    } else {
        result = handle_streams(&options, &error);
    }
    if (result == 0)
        return EXIT_OK;
    diag_error("%s", error.text);
    return error.status;
}
