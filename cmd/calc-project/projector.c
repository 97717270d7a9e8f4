#include "projector.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "tool/inputs.h"
#include "tool/kafka_check.h"
#include "tool/service.h"
#include "tool/stats.h"
#include "tool/stop.h"

/* A batch is what there is, up to so many records: while catching up, that each page of the view is
 * written for many of them. db.c has room for these. */
enum { BATCH_RECORDS = 1 << 20, ALIVE_RECORDS = 4096, LONG_RECORDS = 16384 };

static const enum kafka_role log_roles[VIEW_LOGS] = {KAFKA_EVENTS, KAFKA_REJECTIONS};

static const char *const log_names[VIEW_LOGS] = {"events", "rejections"};

/* --- the logs --- */

bool projector_is_topic(const char *name)
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
        if (projector_is_topic(projector->names[i]))
            needed |= 1u << log_roles[i];
    }
    return kafka_check(streams, needed, KAFKA_CHECK_MS, error);
}

int projector_open_logs(struct projector *projector, struct error *error)
{
    for (int i = 0; i < VIEW_LOGS; i++) {
        struct source *source = &projector->sources[i];
        const char *name = projector->names[i];
        bool follow = projector_is_topic(name) ? !projector->end : projector->follow;
        *source = (struct source){.log = (enum view_log)i, .timestamp = TIMESTAMP_NONE};
        if (name && source_open(source, name, follow, projector->view, error) < 0)
            return -1;
        if (name && projector->from &&
            reader_start_from(source->reader, projector->from, error) < 0)
            return -1;
    }
    return check_topics(projector, error);
}

void projector_close_logs(struct projector *projector)
{
    for (int i = 0; i < VIEW_LOGS; i++) {
        source_close(&projector->sources[i]);
        projector->sources[i] = (struct source){0};
    }
}

/* --- records --- */

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

static void count(struct projector *projector, struct source *source,
                  const struct outcome *outcome, bool duplicate)
{
    projector->duplicates += duplicate;
    if (source->log == VIEW_REJECTIONS)
        projector->rejections[outcome->reason]++;
    if (outcome->timestamp != TIMESTAMP_NONE)
        source->timestamp = outcome->timestamp;
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
        if (result >= 0)
            count(projector, source, &outcome, result == 0 && projector->view);
    }
    if (result < 0) {
        reader_position(source->reader, record, position);
        return error_set(error, reason.status, "%s at %s: %s", reader_name(source->reader),
                         position, reason.text);
    }
    source_taken(source, record);
    projector->taken[source->log]++;
    progress_add(&projector->progress,
                 reader_is_file(source->reader) ? record->end - record->start : 1, 1);
    return 0;
}

static int commit(struct projector *projector, struct error *error)
{
    struct view_txn *txn = projector->txn;
    int64_t begun_us = clock_us();

    if (!txn) /* nothing came: now there is time for it */
        return projector->view ? view_sync(projector->view, error) : 0;
    for (int i = 0; i < VIEW_LOGS; i++)
        if (projector->sources[i].reader && source_keep(&projector->sources[i], txn, error) < 0)
            return -1;
    projector->txn = NULL;
    if (view_commit(projector->view, txn, error) < 0)
        return -1;
    histogram_add(&projector->commits, clock_us() - begun_us);
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
        if (++projector->records % ALIVE_RECORDS == 0) {
            service_alive();
            stats_tick();
            if (projector->txn &&
                view_is_due(projector->view, projector->txn, source_ahead(source, &record)))
                break;
        }
    }
    source->ended = result == READ_END;
    return result < 0 ? -1 : result == READ_RECORD;
}

/* What came before a bad record is good. */
static int keep_the_rest(struct projector *projector, struct error *error)
{
    struct error second;

    if (error->status == EX_DATAERR && commit(projector, &second) < 0)
        *error = second;
    return -1;
}

/* --- telling --- */

static void tell(const struct projector *projector)
{
    struct service_progress progress = {
        .units = "of them", .count = projector->records, .counted = "records"};
    char place[400] = "";
    size_t len = 0;

    service_alive();
    stats_tick();
    if (!service_is_due())
        return;
    for (int i = 0; i < VIEW_LOGS && len < sizeof place - 1; i++) {
        const struct source *source = &projector->sources[i];
        if (!source->reader)
            continue;
        len += (size_t)snprintf(place + len, sizeof place - len, "%s%s at", len ? ", " : "",
                                i == VIEW_EVENTS ? "events" : "rejections");
        if (len < sizeof place)
            len += source_place(source, place + len, sizeof place - len, &progress.behind);
        if (reader_is_file(source->reader))
            progress.units = "bytes";
    }
    progress.place = place;
    service_progress(&progress);
}

/* ,"NAME":{"events":...,"rejections":...}, of the logs that are read. */
static void write_each(const struct projector *projector, const char *name,
                       void (*write)(const struct source *source, struct buffer *out),
                       struct buffer *out)
{
    const char *before = "";

    buffer_printf(out, ",\"%s\":{", name);
    for (int i = 0; i < VIEW_LOGS; i++) {
        if (!projector->sources[i].reader)
            continue;
        buffer_printf(out, "%s\"%s\":", before, log_names[i]);
        write(&projector->sources[i], out);
        before = ",";
    }
    buffer_append_text(out, "}");
}

void projector_write_stats(void *context, struct buffer *out)
{
    const struct projector *projector = context;
    const uint64_t *taken = projector->taken;

    buffer_printf(out, ",\"records_in\":{\"events\":%llu,\"rejections\":%llu}",
                  (unsigned long long)taken[VIEW_EVENTS],
                  (unsigned long long)taken[VIEW_REJECTIONS]);
    stats_number(out, "duplicates", projector->duplicates);
    stats_reasons(out, projector->rejections);
    stats_histogram(out, "commit_duration_seconds", &projector->commits);
    write_each(projector, "positions", source_write_positions, out);
    write_each(projector, "lag", source_write_lags, out);
}

/* On a terminal: how long it will take until everything is there that the logs have now. */
static void begin_progress(struct projector *projector)
{
    uint64_t total = 0;

    if (projector->caught_up || projector->progress.what || !isatty(STDERR_FILENO) ||
        (!projector->view && isatty(STDOUT_FILENO)))
        return;
    for (int i = 0; i < VIEW_LOGS; i++)
        if (projector->sources[i].reader)
            total += source_left(&projector->sources[i]);
    progress_begin(&projector->progress, projector->rebuild ? "rebuilding" : "catching up",
                   "records", total);
}

int projector_greet(struct projector *projector, struct error *error)
{
    int reached = 1;

    if (!service_is_on() || projector->greeted)
        return 0;
    for (int i = 0; i < VIEW_LOGS && !projector->marked; i++)
        if (projector->sources[i].reader &&
            source_mark(&projector->sources[i], NULL, error) < 0)
            return -1;
    for (int i = 0; i < VIEW_LOGS && reached > 0; i++)
        if (projector->sources[i].reader)
            reached = source_reached(&projector->sources[i], error);
    projector->marked = true;
    projector->greeted = reached > 0;
    if (reached > 0)
        service_ready();
    return reached < 0 ? -1 : 0;
}

int projector_step(struct projector *projector, bool *more, bool *ended, struct error *error)
{
    uint64_t before = projector->records;

    begin_progress(projector);
    *more = false;
    *ended = true;
    for (int i = 0; i < VIEW_LOGS; i++) {
        struct source *source = &projector->sources[i];
        int result = drain(projector, source, error);
        if (result < 0)
            return keep_the_rest(projector, error);
        *more |= result > 0;
        *ended &= !source->reader || source->ended;
    }
    if (projector->records - before > LONG_RECORDS)
        service_takes_long();
    if (commit(projector, error) < 0)
        return -1;
    if (!*more) {
        progress_end(&projector->progress);
        projector->caught_up = true;
    }
    tell(projector);
    return 0;
}

void projector_wait(const struct projector *projector)
{
    struct reader *waiting[VIEW_LOGS] = {0};

    for (int i = 0; i < VIEW_LOGS; i++)
        if (!projector->sources[i].ended)
            waiting[i] = projector->sources[i].reader;
    inputs_wait(waiting, VIEW_LOGS);
}
