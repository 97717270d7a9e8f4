#include "query.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "tool/wait.h"

enum { WRITE_BYTES = 1 << 16 };

void query_note(struct query *query, int status)
{
    if (status > query->status)
        query->status = status;
    if (status == EX_DATAERR)
        query->status = EX_DATAERR;
}

/* A snapshot of the view that is there now. Nothing is written while it is held: output may stall, and
 * until a snapshot ends, the space of what it sees isn't used again. */
static int look(struct query *query, struct view_txn **txn, struct error *error)
{
    if (view_refresh(query->folder, &query->view, error) < 0)
        return -1;
    return view_snapshot(query->view, txn, error);
}

/* Writes what is in the batch, if that is worth it. */
static int write_some(struct query *query, struct error *error)
{
    if (writer_batch(query->out)->len < WRITE_BYTES)
        return 0;
    return writer_commit(query->out, NULL, NULL, error);
}

static void unknown(struct query *query, const struct id *id)
{
    char text[ID_TEXT];

    id_write(id, text);
    if (query->ask == ASK_VERSION)
        diag_error("no version %llu of value %.36s", (unsigned long long)query->version, text);
    else if (query->ask == ASK_TIME)
        diag_error("no value %.36s at %s", text, query->time_text);
    else
        diag_error("no value %.36s", text);
    query_note(query, EXIT_NO);
}

/* --- commands --- */

static void write_command(struct query *query, const struct id *value_id,
                          const struct outcome *outcome)
{
    struct buffer *out = writer_batch(query->out);
    char command[ID_TEXT], value[ID_TEXT];

    id_write(&query->command, command);
    id_write(value_id, value);
    buffer_printf(out, "{\"id\":\"%.36s\",\"value_id\":\"%.36s\",", command, value);
    outcome_write_status(outcome, out);
    buffer_append_text(out, "}\n");
}

static int get_command(struct query *query, const struct id *value_id, struct error *error)
{
    struct outcome outcome;
    int result = wait_for_outcome(query->folder, &query->view, value_id, &query->command,
                                  clock_ms() + query->wait_ms, &outcome, error);

    if (result < 0 || !query->view)
        return -1;
    write_command(query, value_id, result ? &outcome : NULL);
    if (result == 0)
        query_note(query, EX_UNAVAILABLE);
    else if (outcome.reason != REASON_NONE)
        query_note(query, EXIT_NO);
    return 0;
}

/* 1 if the command's outcome is visible, 0 if not, which is said, -1. */
static int wait_until_seen(struct query *query, const struct id *id, struct error *error)
{
    struct outcome outcome;
    char text[ID_TEXT];
    int result = wait_for_outcome(query->folder, &query->view, id, &query->seen,
                                  clock_ms() + query->wait_ms, &outcome, error);

    if (result < 0 || !query->view)
        return -1;
    if (result > 0)
        return 1;
    id_write(id, text);
    diag_error("value %.36s: the outcome of command %s is not visible yet", text,
               query->seen_text);
    query_note(query, EX_UNAVAILABLE);
    return 0;
}

/* --- values --- */

/* The value as it is, or as an event left it. 1, 0, -1. */
static int find_value(const struct query *query, struct view_txn *txn, const struct id *id,
                      struct view_value *value, struct error *error)
{
    struct outcome event;
    int result;

    if (query->ask == ASK_VALUE)
        return view_get_value(txn, id, value, error);
    result = query->ask == ASK_VERSION ? view_get_event(txn, id, query->version, &event, error)
                                       : view_get_as_of(txn, id, query->time, &event, error);
    if (result > 0) {
        calculator_evolve(&value->value, &event);
        value->timestamp = event.timestamp;
    }
    return result;
}

static int get_value(struct query *query, const struct id *id, struct error *error)
{
    struct view_value value;
    struct view_txn *txn;
    int result;

    if (look(query, &txn, error) < 0)
        return -1;
    result = find_value(query, txn, id, &value, error);
    view_abort(txn);
    if (result > 0)
        value_write(id, &value.value, value.timestamp, writer_batch(query->out));
    else if (result == 0)
        unknown(query, id);
    return result < 0 ? -1 : 0;
}

static void begin_progress(struct query *query, const char *units, uint64_t total)
{
    if (isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO))
        progress_begin(&query->progress, "getting", units, total);
}

/* The history only grows at its end: its pages fit together, whichever snapshot they come from. */
static int get_history(struct query *query, const struct id *id, struct error *error)
{
    struct outcome events[VIEW_HISTORY_PAGE];
    struct view_value value;
    struct view_txn *txn;
    uint64_t after = 0;
    int count, result;

    for (;;) {
        if (look(query, &txn, error) < 0)
            return -1;
        if (!after && view_get_value(txn, id, &value, error) > 0)
            begin_progress(query, "events", value.value.version);
        result = view_get_history(txn, id, after, events, &count, error);
        view_abort(txn);
        if (result < 0)
            return -1;
        if (!count)
            break;
        for (int i = 0; i < count; i++)
            outcome_write(&events[i], writer_batch(query->out));
        after = events[count - 1].version;
        progress_add(&query->progress, (uint64_t)count, (uint64_t)count);
        if (write_some(query, error) < 0)
            return -1;
    }
    if (!after)
        unknown(query, id);
    return 0;
}

int query_value(struct query *query, const struct id *id, struct error *error)
{
    int seen;

    if (query->ask == ASK_COMMAND)
        return get_command(query, id, error);
    if (query->seen_text) {
        seen = wait_until_seen(query, id, error);
        if (seen <= 0)
            return seen;
    }
    return query->ask == ASK_HISTORY ? get_history(query, id, error)
                                     : get_value(query, id, error);
}

/* --- all values --- */

/* Where a page begins in the middle, nobody knows how many values are behind it. */
static void begin_all(struct query *query, struct view_txn *txn)
{
    struct view_totals totals;
    struct error error;
    uint64_t total = 0;

    if (!query->after_text && view_get_totals(txn, &totals, &error) == 0)
        total = totals.events[ACTION_CREATE];
    if (query->limited && query->limit < total)
        total = query->limit;
    begin_progress(query, "values", total);
}

/* A page of values behind *after (NULL: from the first on), which becomes its last one. 1 if there may be
 * more. */
static int put_page(struct query *query, const struct id **after, struct error *error)
{
    struct view_value value;
    struct view_txn *txn;
    int result = 1;

    if (look(query, &txn, error) < 0)
        return -1;
    if (!query->progress.what)
        begin_all(query, txn);
    while (result > 0 && writer_batch(query->out)->len < WRITE_BYTES) {
        result = query->limited && query->limit-- == 0
                     ? 0
                     : view_next_value(txn, *after, &value, error);
        if (result <= 0)
            break;
        value_write(&value.id, &value.value, value.timestamp, writer_batch(query->out));
        progress_add(&query->progress, 1, 1);
        query->after = value.id;
        *after = &query->after;
    }
    view_abort(txn);
    return result;
}

int query_all(struct query *query, struct error *error)
{
    const struct id *after = query->after_text ? &query->after : NULL;
    int result;

    while ((result = put_page(query, &after, error)) > 0)
        if (write_some(query, error) < 0)
            return -1;
    return result;
}
