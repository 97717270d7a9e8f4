/* calc-project: events and rejections to a view. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "fold.h"
#include "source.h"
#include "stream/kafka.h"
#include "tool/inputs.h"
#include "tool/kafka_check.h"
#include "tool/kafka_options.h"
#include "tool/options.h"
#include "tool/stop.h"

static const char help[] =
    "usage: calc-project [-f | -e] [-i EVENTS] [-r REJECTIONS] [--view DIR]\n"
    "                    [--skip LOG:POSITION]...\n"
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
    "      --from PLACE         without a view: begin at a topic's 'beginning' or 'end', at an\n"
    "                           OFFSET in each partition, or at @TIME\n" KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "A stream is '-', or a file: PATH or file:PATH, or a topic: kafka:TOPIC, or kafka: for the\n"
    "default one. A position is an offset, in a topic PARTITION:OFFSET.\n"
    "See calc-project(1), calc-formats(5), calc-kafka(7).\n";

/* A batch is what there is, up to so many records: while catching up, that each page of the view is
 * written for many of them. db.c has room for these. */
enum { BATCH_RECORDS = 1 << 20, SKIPS = 64, OPTION_VIEW = OPTION_FIRST, OPTION_SKIP, OPTION_FROM };

static const char *const log_names[VIEW_LOGS] = {"events", "rejections"};
static const enum kafka_role log_roles[VIEW_LOGS] = {KAFKA_EVENTS, KAFKA_REJECTIONS};

struct projector {
    const char *names[VIEW_LOGS];
    char topics[VIEW_LOGS][KAFKA_STREAM_TEXT]; /* room for names */
    const char *folder;
    const char *from;
    bool follow, end;
    struct {
        enum view_log log;
        int32_t partition; /* -1: the only one */
        uint64_t position;
    } skips[SKIPS];
    int skip_count;
    struct source sources[VIEW_LOGS];
    struct view *view; /* NULL: fold in memory */
    struct view_txn *txn;
    struct fold fold;
};

static void parse_skip(struct projector *projector, const char *text)
{
    const char *colon = strchr(text, ':'), *second;
    char partition[16];

    if (projector->skip_count == SKIPS)
        options_bad("more than %d times --skip", SKIPS);
    for (int log = 0; log < VIEW_LOGS; log++) {
        if (!colon || strlen(log_names[log]) != (size_t)(colon - text) ||
            strncmp(text, log_names[log], (size_t)(colon - text)) != 0)
            continue;
        projector->skips[projector->skip_count].log = (enum view_log)log;
        projector->skips[projector->skip_count].partition = -1;
        second = strchr(++colon, ':');
        if (second) {
            snprintf(partition, sizeof partition, "%.*s", (int)(second - colon), colon);
            projector->skips[projector->skip_count].partition =
                (int32_t)options_count("--skip's partition", partition);
            colon = second + 1;
        }
        projector->skips[projector->skip_count++].position =
            options_count("--skip's position", colon);
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
    if (projector->folder && projector->from)
        options_bad("--from: a view has positions of its own");
    projector->fold.midway = projector->from && strcmp(projector->from, "beginning") != 0;
}

static bool is_topic(const char *name)
{
    return name && strncmp(name, "kafka:", 6) == 0;
}

/* The readers have waited for the broker by now. */
static int check_topics(struct projector *projector, struct error *error)
{
    const char *streams[KAFKA_ROLES] = {0};
    unsigned needed = 0;

    for (int i = 0; i < VIEW_LOGS; i++) {
        streams[log_roles[i]] = projector->names[i];
        if (is_topic(projector->names[i]))
            needed |= 1u << log_roles[i];
    }
    return kafka_check(streams, needed, KAFKA_CHECK_MS, error);
}

static int open_all(struct projector *projector, struct error *error)
{
    if (projector->folder && view_create(projector->folder, &projector->view, error) < 0)
        return -1;
    for (int i = 0; i < VIEW_LOGS; i++) {
        struct source *source = &projector->sources[i];
        const char *name = projector->names[i];
        bool follow = is_topic(name) ? !projector->end : projector->follow;
        source->log = (enum view_log)i;
        if (name && source_open(source, name, follow, projector->view, error) < 0)
            return -1;
        if (name && projector->from &&
            reader_start_from(source->reader, projector->from, error) < 0)
            return -1;
    }
    return check_topics(projector, error);
}

static bool is_skipped(const struct projector *projector, const struct source *source,
                       const struct line *record)
{
    for (int i = 0; i < projector->skip_count; i++)
        if (projector->skips[i].log == source->log &&
            projector->skips[i].position == record->start &&
            (projector->skips[i].partition == record->partition ||
             (projector->skips[i].partition < 0 && source->count == 1)))
            return true;
    return false;
}

static int parse(const struct source *source, const struct line *record, struct outcome *outcome,
                 struct error *error)
{
    if (line_fault(record))
        return error_set(error, EX_DATAERR, "unreadable: %s", line_fault(record));
    return source->log == VIEW_EVENTS
               ? event_parse(record->data, record->len, outcome, error)
               : rejection_parse(record->data, record->len, outcome, error);
}

static int skip(struct projector *projector, const struct source *source,
                const struct outcome *outcome, struct error *error)
{
    if (source->log != VIEW_EVENTS)
        return 0;
    return projector->view ? view_skip_event(projector->txn, outcome, error)
                           : fold_skip(&projector->fold, outcome, error);
}

static int apply(struct projector *projector, const struct source *source,
                 const struct line *record, const struct outcome *outcome, struct error *error)
{
    if (!projector->view)
        return source->log == VIEW_EVENTS ? fold_apply(&projector->fold, outcome, error) : 0;
    return source->log == VIEW_EVENTS
               ? view_apply_event(projector->txn, outcome, record->partition, record->start, error)
               : view_apply_rejection(projector->txn, outcome, record->partition, record->start,
                                      error);
}

/* Takes one record. On an error that is the record's, nothing of it was applied. */
static int take(struct projector *projector, struct source *source, const struct line *record,
                struct error *error)
{
    char position[STREAM_POSITION_TEXT];
    struct error reason;
    struct outcome outcome;
    int result;

    if (projector->view && !projector->txn &&
        view_begin(projector->view, &projector->txn, error) < 0)
        return -1;
    result = parse(source, record, &outcome, &reason);
    if (is_skipped(projector, source, record)) {
        reader_position(source->reader, record, position);
        diag_warn("%s at %s: left out, as --skip says", reader_name(source->reader), position);
        result = skip(projector, source, result < 0 ? NULL : &outcome, &reason);
    } else if (result == 0) {
        result = apply(projector, source, record, &outcome, &reason);
    }
    if (result < 0) {
        reader_position(source->reader, record, position);
        return error_set(error, reason.status, "%s at %s: %s", reader_name(source->reader),
                         position, reason.text);
    }
    source_taken(source, record);
    return 0;
}

static int commit(struct projector *projector, struct error *error)
{
    struct view_txn *txn = projector->txn;

    if (!txn)
        return 0;
    for (int i = 0; i < VIEW_LOGS; i++)
        if (projector->sources[i].reader && source_keep(&projector->sources[i], txn, error) < 0)
            return -1;
    projector->txn = NULL;
    if (view_commit(projector->view, txn, error) < 0)
        return -1;
    for (int i = 0; i < VIEW_LOGS; i++)
        source_kept(&projector->sources[i]);
    return 0;
}

/* Takes what a source has, up to a batch. Returns whether it may have more at once, or -1. */
static int drain(struct projector *projector, struct source *source, struct error *error)
{
    struct line record;
    int result = READ_RECORD;

    if (!source->reader || source->ended)
        return 0;
    for (int taken = 0; taken < BATCH_RECORDS && !stop_asked(); taken++) {
        result = source_next(source, &record, error);
        if (result != READ_RECORD)
            break;
        if (take(projector, source, &record, error) < 0)
            return -1;
    }
    source->ended = result == READ_END;
    return result < 0 ? -1 : result == READ_RECORD;
}

static int run(struct projector *projector, struct error *error)
{
    for (;;) {
        struct reader *waiting[VIEW_LOGS] = {0};
        bool more = false, ended = true;
        for (int i = 0; i < VIEW_LOGS; i++) {
            struct source *source = &projector->sources[i];
            int result = drain(projector, source, error);
            if (result < 0) {
                struct error second;
                /* what came before it is good */
                if (error->status == EX_DATAERR && commit(projector, &second) < 0)
                    *error = second;
                return -1;
            }
            more |= result > 0;
            if (source->reader && !source->ended) {
                ended = false;
                waiting[i] = source->reader;
            }
        }
        if (commit(projector, error) < 0)
            return -1;
        if (ended || stop_asked())
            return 0;
        if (!more)
            inputs_wait(waiting, VIEW_LOGS);
    }
}

static int print_fold(struct projector *projector, struct error *error)
{
    struct writer *out = NULL;
    int result;

    if (projector->view)
        return 0;
    result = writer_open("-", &out, error);
    if (result == 0)
        result = fold_write(&projector->fold, writer_batch(out), error);
    if (result == 0)
        result = writer_commit(out, NULL, NULL, error);
    writer_close(out);
    return result;
}

int main(int argc, char **argv)
{
    struct projector projector = {0};
    struct error error = {0};
    int status = EXIT_OK;

    kafka_install();
    kafka_give_up = stop_asked;
    fold_init(&projector.fold);
    parse_options(&projector, argc, argv);
    stop_install();
    if (open_all(&projector, &error) < 0 || run(&projector, &error) < 0 ||
        print_fold(&projector, &error) < 0) {
        status = stop_asked() && error.status == EX_TEMPFAIL ? EXIT_OK : error.status;
        if (status != EXIT_OK)
            diag_error("%s", error.text);
    }
    view_abort(projector.txn);
    view_close(projector.view);
    for (int i = 0; i < VIEW_LOGS; i++) {
        struct source *source = &projector.sources[i];
        if (status == EXIT_OK && source->reader && reader_torn(source->reader))
            diag_warn("%s: %llu bytes behind its last newline, at %llu, are no record",
                      projector.names[i], (unsigned long long)reader_torn(source->reader),
                      (unsigned long long)reader_offset(source->reader));
        source_close(source);
    }
    fold_release(&projector.fold);
    return status;
}
