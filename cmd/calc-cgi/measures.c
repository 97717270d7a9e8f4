#include "measures.h"

#include <stdlib.h>

#include "base/diag.h"
#include "stream/stream.h"
#include "tally.h"

/* --- the view --- */

static int read_positions(struct view_txn *txn, enum view_log log, struct view_facts *facts,
                          struct error *error)
{
    if (view_get_partitions(txn, log, &facts->counts[log], error) < 0)
        return -1;
    facts->positions[log] = calloc((size_t)facts->counts[log] + 1, sizeof **facts->positions);
    if (!facts->positions[log])
        return error_memory(error);
    for (int32_t i = 0; i < facts->counts[log]; i++)
        if (view_get_position(txn, log, i, &facts->positions[log][i], error) < 0)
            return -1;
    return 0;
}

int view_facts_read(struct api *api, struct view_facts *facts, struct error *error)
{
    struct view_txn *txn;
    int result;

    *facts = (struct view_facts){0};
    if (viewer_begin(&api->viewer, &txn, error) < 0)
        return -1;
    result = view_get_totals(txn, &facts->totals, error);
    if (result == 0)
        result = last_in_view(txn, &facts->last, error);
    for (int i = 0; result == 0 && i < VIEW_LOGS; i++)
        result = read_positions(txn, (enum view_log)i, facts, error);
    viewer_end(&api->viewer, txn);
    return result;
}

void view_facts_release(struct view_facts *facts)
{
    for (int i = 0; i < VIEW_LOGS; i++)
        free(facts->positions[i]);
}

uint64_t view_facts_next(const struct view_facts *facts, enum view_log log, int32_t partition)
{
    return partition < facts->counts[log] && facts->positions[log][partition].begun
               ? facts->positions[log][partition].next
               : 0;
}

/* --- files --- */

/* The logs, while they are looked at. */
struct looks {
    struct log_look commands, outputs[VIEW_LOGS];
};

static int open_outputs(const struct api *api, struct looks *looks, bool *known,
                        struct error *error)
{
    enum stream_kind kind;
    const char *path;

    *known = api->outputs[VIEW_EVENTS] && api->outputs[VIEW_REJECTIONS];
    for (int i = 0; i < VIEW_LOGS && *known; i++) {
        if (stream_parse(api->outputs[i], &kind, &path, error) < 0)
            return -1;
        if (kind != STREAM_FILE)
            return error_set(error, EX_CONFIG, "%s is no file, while the commands are one",
                             api->outputs[i]);
        if (log_look_open(&looks->outputs[i], path, error) < 0)
            return -1;
    }
    return 0;
}

static int measure_outputs(struct looks *looks, const struct view_facts *facts,
                           struct measured *measured, struct error *error)
{
    for (int i = 0; i < VIEW_LOGS; i++) {
        measured->ends[i] = looks->outputs[i].end;
        if (lag_behind(&looks->outputs[i], view_facts_next(facts, (enum view_log)i, 0),
                       i == VIEW_EVENTS, &measured->projected[i], error) < 0)
            return -1;
    }
    return 0;
}

/* Of outputs that can't be read less is told. */
static bool knows_outputs(const struct api *api, struct looks *looks, struct last_outcomes *in_logs)
{
    struct error error;
    bool known;

    if (open_outputs(api, looks, &known, &error) == 0 &&
        (!known || last_in_logs(looks->outputs, in_logs, &error) == 0))
        return known;
    diag_error("/metrics has less: %s", error.text);
    return false;
}

/* The lags of commands: `in_logs` is NULL if the outputs aren't known. */
static int measure_commands(struct api *api, struct looks *looks, const struct last_outcomes *in_view,
                            const struct last_outcomes *in_logs, struct measured *measured,
                            struct error *error)
{
    struct view_txn *txn;
    int result;

    if (viewer_begin(&api->viewer, &txn, error) < 0)
        return -1;
    result = lag_of_commands(&looks->commands, in_view, txn, &measured->visible, error);
    if (result == 0 && in_logs)
        result = lag_of_commands(&looks->commands, in_logs, txn, &measured->handled, error);
    viewer_end(&api->viewer, txn);
    return result;
}

/* The commands are looked at last: so they have those of all outcomes. */
static int measure_looks(struct api *api, const char *path, struct looks *looks,
                         const struct view_facts *facts, struct measures *measures,
                         struct error *error)
{
    struct measured *measured = measures->partitions;
    struct last_outcomes in_logs;
    int counted;

    measures->outputs = knows_outputs(api, looks, &in_logs);
    if (log_look_open(&looks->commands, path, error) < 0)
        return -1;
    measured->end = looks->commands.end;
    if (measure_commands(api, looks, &facts->last, measures->outputs ? &in_logs : NULL, measured,
                         error) < 0 ||
        (measures->outputs && measure_outputs(looks, facts, measured, error) < 0))
        return -1;
    measures->visible = true;
    counted = tally(&looks->commands, api->viewer.folder, &measures->commands, error);
    measures->counted = counted > 0;
    return counted < 0 ? -1 : 0;
}

static int measure_files(struct api *api, const char *path, const struct view_facts *facts,
                         struct measures *measures, struct error *error)
{
    struct looks looks = {{.fd = -1}, {{.fd = -1}, {.fd = -1}}};
    int result;

    measures->partitions = calloc(1, sizeof *measures->partitions);
    if (!measures->partitions)
        return error_memory(error);
    measures->count = 1;
    result = measure_looks(api, path, &looks, facts, measures, error);
    log_look_close(&looks.commands);
    for (int i = 0; i < VIEW_LOGS; i++)
        log_look_close(&looks.outputs[i]);
    return result;
}

int measure(struct api *api, const struct view_facts *facts, struct measures *measures,
            struct error *error)
{
    enum stream_kind kind;
    const char *path;

    *measures = (struct measures){0};
    if (stream_parse(api->log, &kind, &path, error) < 0)
        return -1;
    return kind == STREAM_FILE ? measure_files(api, path, facts, measures, error)
                               : measure_topics(api, facts, measures, error);
}

void measures_release(struct measures *measures)
{
    free(measures->partitions);
}
