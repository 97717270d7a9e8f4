#include "measures.h"

#include <stdlib.h>

#include "stream/stream.h"
#include "tally.h"

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

static int measure_outputs(struct looks *looks, struct view_txn *txn, struct measured *measured,
                           struct error *error)
{
    struct view_position position;

    for (int i = 0; i < VIEW_LOGS; i++) {
        measured->ends[i] = looks->outputs[i].end;
        if (view_get_position(txn, (enum view_log)i, 0, &position, error) < 0 ||
            lag_behind(&looks->outputs[i], position.begun ? position.next : 0, i == VIEW_EVENTS,
                       &measured->projected[i], error) < 0)
            return -1;
    }
    return 0;
}

/* The commands are looked at last: so they have those of all outcomes. */
static int measure_looks(struct api *api, const char *path, struct looks *looks,
                         struct view_txn *txn, struct measures *measures, struct error *error)
{
    struct measured *measured = measures->partitions;
    struct last_outcomes in_view, in_logs;
    int counted;

    if (last_in_view(txn, &in_view, error) < 0 ||
        open_outputs(api, looks, &measures->outputs, error) < 0 ||
        (measures->outputs && last_in_logs(looks->outputs, &in_logs, error) < 0) ||
        log_look_open(&looks->commands, path, error) < 0)
        return -1;
    measured->end = looks->commands.end;
    if (lag_of_commands(&looks->commands, &in_view, txn, &measured->visible, error) < 0 ||
        (measures->outputs &&
         (lag_of_commands(&looks->commands, &in_logs, txn, &measured->handled, error) < 0 ||
          measure_outputs(looks, txn, measured, error) < 0)))
        return -1;
    measures->visible = true;
    counted = tally(&looks->commands, api->viewer.folder, &measures->commands, error);
    measures->counted = counted > 0;
    return counted < 0 ? -1 : 0;
}

static int measure_files(struct api *api, const char *path, struct view_txn *txn,
                         struct measures *measures, struct error *error)
{
    struct looks looks = {{.fd = -1}, {{.fd = -1}, {.fd = -1}}};
    int result;

    measures->partitions = calloc(1, sizeof *measures->partitions);
    if (!measures->partitions)
        return error_memory(error);
    measures->count = 1;
    result = measure_looks(api, path, &looks, txn, measures, error);
    log_look_close(&looks.commands);
    for (int i = 0; i < VIEW_LOGS; i++)
        log_look_close(&looks.outputs[i]);
    return result;
}

int measure(struct api *api, struct view_txn *txn, struct measures *measures, struct error *error)
{
    enum stream_kind kind;
    const char *path;

    *measures = (struct measures){0};
    if (stream_parse(api->log, &kind, &path, error) < 0)
        return -1;
    return kind == STREAM_FILE ? measure_files(api, path, txn, measures, error)
                               : measure_topics(api, txn, measures, error);
}

void measures_release(struct measures *measures)
{
    free(measures->partitions);
}
