#include "store/view_check.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "calc/message.h"
#include "store/state_check.h"
#include "store/view_records.h"

enum { TICK_RECORDS = 4096 };

/* A partition of a log: where the view is in it, and what of that was met. */
struct view_place {
    struct view_position position;
    bool any, last; /* its first record, the last one consumed */
};

struct view_check {
    struct view *view;
    struct view_txn *snapshot;
    int32_t partitions;
    struct view_place *places[VIEW_LOGS];
    struct view_counts counts; /* of values: those that were created */
};

static const char *const log_names[VIEW_LOGS] = {"events", "rejections"};

/* --- opening --- */

static int read_unplaced(struct view_check *check, struct error *error)
{
    static const unsigned char none[8];
    struct db_bytes found;
    int result = db_get(check->snapshot->db, VIEW_META, "unplaced", 8, &found, error);

    if (result > 0 && (found.len != sizeof none || memcmp(found.data, none, sizeof none) != 0))
        return error_set(error, EX_DATAERR,
                         "records that could not be read were left out of it, as --skip said");
    return result < 0 ? -1 : 0;
}

static int read_places(struct view_check *check, enum view_log log, struct error *error)
{
    int32_t count;

    check->places[log] = calloc((size_t)check->partitions, sizeof *check->places[log]);
    if (!check->places[log])
        return error_memory(error);
    if (view_get_partitions(check->snapshot, log, &count, error) < 0)
        return -1;
    if (count && count != check->partitions)
        return error_set(error, EX_DATAERR, "it was folded from %s with %d partitions, not %d",
                         log_names[log], (int)count, (int)check->partitions);
    for (int32_t i = 0; i < check->partitions; i++)
        if (view_get_position(check->snapshot, log, i, &check->places[log][i].position, error) < 0)
            return -1;
    return 0;
}

int view_check_open(const char *folder, int32_t partitions, struct view_check **out,
                    struct error *error)
{
    struct view_check *check = calloc(1, sizeof *check);

    if (!check)
        return error_memory(error);
    check->partitions = partitions;
    if (view_open_quietly(folder, &check->view, error) < 0 ||
        view_snapshot(check->view, &check->snapshot, error) < 0 ||
        read_unplaced(check, error) < 0 || read_places(check, VIEW_EVENTS, error) < 0 ||
        read_places(check, VIEW_REJECTIONS, error) < 0) {
        view_check_close(check);
        return -1;
    }
    *out = check;
    return 0;
}

void view_check_close(struct view_check *check)
{
    if (!check)
        return;
    view_abort(check->snapshot);
    view_close(check->view);
    for (int i = 0; i < VIEW_LOGS; i++)
        free(check->places[i]);
    free(check);
}

uint64_t view_check_next(const struct view_check *check, enum view_log log, int32_t partition)
{
    const struct view_position *position = &check->places[log][partition].position;

    return position->begun ? position->next : 0;
}

const struct view_counts *view_check_counts(const struct view_check *check)
{
    return &check->counts;
}

bool view_check_disturbed(const struct view_check *check)
{
    return view_was_written(check->view);
}

/* --- positions --- */

static int wrong_position(enum view_log log, const char *what, uint64_t at, struct error *error)
{
    return error_set(error, EX_DATAERR, "table meta, position in %s: %s, at %llu", log_names[log],
                     what, (unsigned long long)at);
}

/* Whether the record is the one that the view knows as the first or the last one. */
static int check_place(struct view_place *place, enum view_log log,
                       const struct view_derived *derived, struct error *error)
{
    const struct view_position *position = &place->position;
    bool first = !place->any;
    struct id digest;

    place->any = true;
    if (!position->begun || (!first && derived->start != position->last))
        return 0;
    id_derive(&calc_namespace, derived->line, derived->len, &digest);
    if (first && !id_equal(&digest, &position->first_digest))
        return wrong_position(log, "the first record is another", derived->start, error);
    if (derived->start != position->last)
        return 0;
    place->last = true;
    if (!id_equal(&digest, &position->last_digest))
        return wrong_position(log, "the last record is another", derived->start, error);
    if (derived->end != position->next)
        return wrong_position(log, "the last record ends elsewhere", derived->end, error);
    return 0;
}

static int check_places(const struct view_check *check, struct error *error)
{
    for (int log = 0; log < VIEW_LOGS; log++)
        for (int32_t i = 0; i < check->partitions; i++) {
            const struct view_place *place = &check->places[log][i];
            if (place->position.begun && !place->last)
                return wrong_position((enum view_log)log, "there is no record that it names as the last",
                                      place->position.last, error);
        }
    return 0;
}

/* --- outcomes --- */

static bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
    return a->reason == b->reason && id_equal(&a->id, &b->id) && id_equal(&a->parent, &b->parent) &&
           id_equal(&a->value_id, &b->value_id) && a->action == b->action &&
           memcmp(&a->value, &b->value, sizeof a->value) == 0 && a->version == b->version &&
           (a->reason != REASON_NONE || memcmp(&a->result, &b->result, sizeof a->result) == 0) &&
           a->timestamp == b->timestamp && actor_equal(&a->actor, &b->actor);
}

/* Names the record that the error is about. */
static int wrong_outcome(const struct outcome *outcome, const char *what, struct error *error)
{
    char value[ID_TEXT], command[ID_TEXT];

    id_write(&outcome->value_id, value);
    id_write(&outcome->parent, command);
    return error_set(error, EX_DATAERR,
                     "the outcome of command %.36s on value %.36s%s: %s", command, value,
                     outcome->reason == REASON_NONE ? " in tables outcomes and history"
                                                    : " in table outcomes",
                     what);
}

static int outcome_differs(const struct view_derived *derived, const struct outcome *there,
                           struct error *error)
{
    struct buffer found = {0};
    struct error what;

    outcome_write(there, &found);
    wrong_outcome(derived->outcome, "it is another", &what);
    if (found.failed)
        error_memory(error);
    else
        error_set(error, EX_DATAERR, "%s\n  derived: %.*s\n  found:   %.*s", what.text,
                  (int)(derived->len > 200 ? 200 : derived->len), derived->line,
                  (int)(found.len > 200 ? 200 : found.len - 1), found.data);
    buffer_release(&found);
    return -1;
}

/* What the projector doesn't keep. */
static bool is_kept(const struct outcome *outcome)
{
    return outcome->reason != REASON_MALFORMED && outcome->reason != REASON_MISPLACED &&
           outcome->reason != REASON_ID_REUSED;
}

static int check_present(struct view_check *check, const struct view_derived *derived,
                         struct error *error)
{
    const struct outcome *outcome = derived->outcome;
    struct outcome there;
    int result = view_get_outcome(check->snapshot, &outcome->value_id, &outcome->parent, &there,
                                  error);

    if (result < 0)
        return -1;
    if (result == 0)
        return wrong_outcome(outcome, "it is missing", error);
    if (!outcome_equal(outcome, &there))
        return outcome_differs(derived, &there, error);
    check->counts.outcomes++;
    check->counts.history += outcome->reason == REASON_NONE;
    check->counts.values += outcome->reason == REASON_NONE && outcome->version == 1;
    return 0;
}

/* It comes later than the view's position. */
static int check_absent(struct view_check *check, const struct outcome *outcome,
                        struct error *error)
{
    struct outcome there;
    int result;

    check->counts.behind++;
    if (!is_kept(outcome))
        return 0;
    result = view_get_outcome(check->snapshot, &outcome->value_id, &outcome->parent, &there, error);
    if (result == 0 && outcome->reason == REASON_NONE)
        result = view_read_event(check->snapshot, &outcome->value_id, outcome->version, &there,
                                 error);
    if (result > 0)
        return wrong_outcome(outcome, "it is there, and the view's position is before it", error);
    return result;
}

int view_check_outcome(struct view_check *check, const struct view_derived *derived,
                       struct error *error)
{
    enum view_log log = derived->outcome->reason == REASON_NONE ? VIEW_EVENTS : VIEW_REJECTIONS;
    struct view_place *place = &check->places[log][derived->partition];

    if (!place->position.begun || derived->start >= place->position.next)
        return check_absent(check, derived->outcome, error);
    if (check_place(place, log, derived, error) < 0)
        return -1;
    return is_kept(derived->outcome) ? check_present(check, derived, error) : 0;
}

/* --- what else is there --- */

static int wrong_value(const struct id *id, const char *what, struct error *error)
{
    char text[ID_TEXT];

    id_write(id, text);
    return error_set(error, EX_DATAERR, "value %.36s in table values: %s", text, what);
}

/* A value is as the last event of its history leaves it. */
static int check_value(struct view_check *check, const struct db_bytes *key, struct error *error)
{
    struct view_value value;
    struct outcome last;
    bool any_next;
    struct id id;
    int result;

    if (key->len != sizeof id.bytes)
        return view_damaged("values", error);
    memcpy(id.bytes, key->data, sizeof id.bytes);
    if (view_read_value(check->snapshot, &id, &value, &any_next, error) < 0)
        return -1;
    if (any_next || !value.value.version)
        return wrong_value(&id, "an event of it was left out, as --skip said", error);
    result = view_read_event(check->snapshot, &id, value.value.version, &last, error);
    if (result < 0)
        return -1;
    if (result == 0)
        return wrong_value(&id, "history doesn't have its version", error);
    if (memcmp(&last.result, &value.value.number, sizeof last.result) != 0 ||
        last.timestamp != value.timestamp)
        return wrong_value(&id, "it is not what its last event in history says", error);
    result = view_read_event(check->snapshot, &id, value.value.version + 1, &last, error);
    return result > 0 ? wrong_value(&id, "history goes beyond its version", error) : result;
}

static int check_values(struct view_check *check, void (*tick)(void), struct error *error)
{
    struct db_bytes key, found;
    struct db_cursor *cursor;
    uint64_t count = 0;
    int result;

    if (db_cursor_open(check->snapshot->db, VIEW_VALUES, &cursor, error) < 0)
        return -1;
    while ((result = db_cursor_next(cursor, &key, &found, error)) > 0) {
        result = check_value(check, &key, error);
        if (result < 0)
            break;
        if (++count % TICK_RECORDS == 0)
            tick();
    }
    db_cursor_close(cursor);
    if (result == 0 && count != check->counts.values)
        return error_set(error, EX_DATAERR, "table values has %llu entries, and %llu were created",
                         (unsigned long long)count, (unsigned long long)check->counts.values);
    return result;
}

/* Whether a record of history or outcomes was derived at all: all that were are known to be right. */
static int check_derived(int table, const struct db_bytes *key,
                         const struct state *(*state_of)(void *context, const struct id *value_id),
                         void *context, struct error *error)
{
    const unsigned char *bytes = key->data;
    struct outcome outcome = {0};
    const struct state *state;
    char text[ID_TEXT];
    uint64_t version;

    if (key->len != (table == VIEW_HISTORY ? 24 : 32))
        return view_damaged(table == VIEW_HISTORY ? "history" : "outcomes", error);
    memcpy(outcome.value_id.bytes, bytes, 16);
    state = state_of(context, &outcome.value_id);
    if (table == VIEW_OUTCOMES) {
        memcpy(outcome.parent.bytes, bytes + 16, 16);
        outcome.reason = REASON_MALFORMED;
        return state_has_command(state, &outcome.value_id, &outcome.parent)
                   ? 0
                   : wrong_outcome(&outcome, "there was no such command", error);
    }
    get_u64(bytes + 16, &version);
    if (version && version <= state_version(state, &outcome.value_id))
        return 0;
    id_write(&outcome.value_id, text);
    return error_set(error, EX_DATAERR,
                     "version %llu of value %.36s in table history: there was no such event",
                     (unsigned long long)version, text);
}

/* Finds the record of a table that was not derived, if it has more than it should. */
static int check_count(struct view_check *check, int table, uint64_t expected,
                       const struct state *(*state_of)(void *context, const struct id *value_id),
                       void *context, struct error *error)
{
    struct db_bytes key, found;
    struct db_cursor *cursor;
    uint64_t count;
    int result;

    if (db_count(check->snapshot->db, table, &count, error) < 0)
        return -1;
    if (count == expected)
        return 0;
    if (db_cursor_open(check->snapshot->db, table, &cursor, error) < 0)
        return -1;
    while ((result = db_cursor_next(cursor, &key, &found, error)) > 0) {
        result = check_derived(table, &key, state_of, context, error);
        if (result < 0)
            break;
    }
    db_cursor_close(cursor);
    return result < 0 ? -1
                      : error_set(error, EX_DATAERR, "table %s has %llu entries, and %llu were derived",
                                  table == VIEW_HISTORY ? "history" : "outcomes",
                                  (unsigned long long)count, (unsigned long long)expected);
}

int view_check_finish(struct view_check *check,
                      const struct state *(*state_of)(void *context, const struct id *value_id),
                      void *context, void (*tick)(void), struct error *error)
{
    if (check_places(check, error) < 0 || check_values(check, tick, error) < 0 ||
        check_count(check, VIEW_HISTORY, check->counts.history, state_of, context, error) < 0)
        return -1;
    return check_count(check, VIEW_OUTCOMES, check->counts.outcomes, state_of, context, error);
}
