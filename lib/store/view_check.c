#include "store/view_check.h"

#include <stdlib.h>

#include "calc/message.h"
#include "store/view_check_parts.h"

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
    table_init(&check->rejected, sizeof(struct id), sizeof(struct id));
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
    table_release(&check->rejected);
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
    if (!first && derived->start != position->last)
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
                return wrong_position((enum view_log)log, "no record begins where its last one does",
                                      place->position.last, error);
        }
    return 0;
}

/* --- what the order holds of an outcome --- */

static bool is_bound(const struct outcome *outcome)
{
    return outcome->reason != REASON_MALFORMED && outcome->reason != REASON_MISPLACED &&
           outcome->reason != REASON_ID_REUSED;
}

size_t view_check_key(const struct outcome *outcome, unsigned char key[OUTCOME_KEY])
{
    if (is_bound(outcome)) {
        view_outcome_key(&outcome->parent, &outcome->value_id, key);
        return OUTCOME_KEY;
    }
    memcpy(key, outcome->id.bytes, sizeof outcome->id.bytes);
    return sizeof outcome->id.bytes;
}

static bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
    if (a->reason != b->reason || !id_equal(&a->id, &b->id))
        return false;
    if (a->reason == REASON_MALFORMED)
        return strcmp(a->position, b->position) == 0;
    return id_equal(&a->parent, &b->parent) && id_equal(&a->value_id, &b->value_id) &&
           a->action == b->action && memcmp(&a->value, &b->value, sizeof a->value) == 0 &&
           a->version == b->version && a->timestamp == b->timestamp &&
           actor_equal(&a->actor, &b->actor) &&
           (a->reason != REASON_NONE || memcmp(&a->result, &b->result, sizeof a->result) == 0);
}

/* Names the outcome that the error is about, by its id. */
static int wrong_outcome(const struct outcome *outcome, const char *what, struct error *error)
{
    char id[ID_TEXT];

    id_write(&outcome->id, id);
    return error_set(error, EX_DATAERR, "%s %.36s %s",
                     outcome->reason == REASON_NONE ? "event" : "rejection", id, what);
}

int view_wrong_record(uint64_t sequence, const char *what, struct error *error)
{
    return error_set(error, EX_DATAERR, "record %llu in table order: %s",
                     (unsigned long long)sequence, what);
}

static int record_differs(const struct view_derived *derived, const struct view_record *record,
                          struct error *error)
{
    struct buffer found = {0};

    outcome_write(&record->outcome, &found);
    if (found.failed)
        error_memory(error);
    else
        error_set(error, EX_DATAERR,
                  "record %llu in table order is not what the commands derive\n"
                  "  derived: %.*s\n  found:   %.*s",
                  (unsigned long long)record->sequence,
                  (int)(derived->len > 200 ? 200 : derived->len), derived->line,
                  (int)(found.len > 200 ? 200 : found.len - 1), found.data);
    buffer_release(&found);
    return -1;
}

/* --- what else follows from it --- */

static int check_history(struct view_check *check, const struct outcome *event, uint64_t sequence,
                         uint64_t previous, struct error *error)
{
    unsigned char key[HISTORY_KEY];
    struct view_record before;
    uint64_t found, unused;
    int result;

    if (!previous != (event->version == 1))
        return view_wrong_record(sequence, "it points to a wrong record before it", error);
    if (previous) {
        result = view_read_record(check->snapshot, previous, &before, &unused, error);
        if (result < 0)
            return -1;
        if (result == 0 || before.log != VIEW_EVENTS ||
            before.outcome.version != event->version - 1 ||
            !id_equal(&before.outcome.value_id, &event->value_id))
            return view_wrong_record(sequence, "it points to a wrong record before it", error);
    }
    if (event->version % VIEW_HISTORY_PAGE)
        return 0;
    check->pages++;
    view_history_key(&event->value_id, event->version, key);
    result = view_read_sequence(check->snapshot, VIEW_HISTORY, key, sizeof key, &found, error);
    if (result < 0)
        return -1;
    return result > 0 && found == sequence
               ? 0
               : wrong_outcome(event, "is not where table history says", error);
}

static int check_mark(struct view_check *check, struct view_place *place, enum view_log log,
                      const struct view_derived *derived, uint64_t sequence, struct error *error)
{
    unsigned char key[MARK_KEY];
    uint64_t found;
    int result;

    if (place->sequence && place->sequence / MARK_STRETCH == sequence / MARK_STRETCH)
        return 0;
    check->marks++;
    view_mark_key(log, derived->partition, derived->start, key);
    result = view_read_sequence(check->snapshot, VIEW_MARKS, key, sizeof key, &found, error);
    if (result < 0)
        return -1;
    return result > 0 && found == sequence
               ? 0
               : wrong_outcome(derived->outcome, "is not where table marks says", error);
}

static int note_rejected(struct view_check *check, const struct outcome *rejection,
                         struct error *error)
{
    bool created;

    if (!is_bound(rejection) || table_insert(&check->rejected, &rejection->value_id, &created))
        return 0;
    return error_memory(error);
}

/* --- outcomes --- */

static int find_sequence(struct view_check *check, const struct outcome *outcome,
                         uint64_t *sequence, struct error *error)
{
    unsigned char key[OUTCOME_KEY];
    size_t len = view_check_key(outcome, key);

    return view_read_sequence(check->snapshot, VIEW_OUTCOMES, key, len, sequence, error);
}

static int check_present(struct view_check *check, enum view_log log,
                         const struct view_derived *derived, struct error *error)
{
    struct view_place *place = &check->places[log][derived->partition];
    const struct outcome *outcome = derived->outcome;
    struct view_record record;
    uint64_t sequence, previous;
    int result = find_sequence(check, outcome, &sequence, error);

    if (result == 0)
        return wrong_outcome(outcome, "is missing in table outcomes", error);
    if (result > 0)
        result = view_read_record(check->snapshot, sequence, &record, &previous, error);
    if (result < 0)
        return -1;
    if (result == 0)
        return wrong_outcome(outcome, "is missing in table order", error);
    if (!outcome_equal(outcome, &record.outcome))
        return record_differs(derived, &record, error);
    if (record.partition != derived->partition || record.offset != derived->start)
        return view_wrong_record(sequence, "its place in the log is another", error);
    if (sequence <= place->sequence)
        return view_wrong_record(sequence, "it comes before one that it follows in its log", error);
    if (check_mark(check, place, log, derived, sequence, error) < 0)
        return -1;
    place->sequence = sequence;
    if (log == VIEW_REJECTIONS) {
        check->counts.rejections++;
        check->totals.rejections[outcome->reason]++;
        return note_rejected(check, outcome, error);
    }
    check->counts.events++;
    check->totals.events[outcome->action]++;
    check->counts.values += outcome->version == 1;
    return check_history(check, outcome, sequence, previous, error);
}

int view_check_outcome(struct view_check *check, const struct view_derived *derived,
                       struct error *error)
{
    enum view_log log = derived->outcome->reason == REASON_NONE ? VIEW_EVENTS : VIEW_REJECTIONS;
    struct view_place *place = &check->places[log][derived->partition];
    uint64_t sequence;
    int result;

    if (place->position.begun && derived->start < place->position.next) {
        if (check_place(place, log, derived, error) < 0)
            return -1;
        return check_present(check, log, derived, error);
    }
    check->counts.behind++;
    result = find_sequence(check, derived->outcome, &sequence, error);
    return result > 0 ? wrong_outcome(derived->outcome,
                                      "is there, and the view's position is before it", error)
                      : result;
}

int view_check_finish(struct view_check *check,
                      const struct state *(*state_of)(void *context, const struct id *value_id),
                      void *context, void (*tick)(void), struct error *error)
{
    if (check_places(check, error) < 0)
        return -1;
    return view_check_tables(check, state_of, context, tick, error);
}
