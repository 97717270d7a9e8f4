/* What a view holds besides what was derived: nothing. Each derived outcome was found by then, so that
 * counts tell; only where they don't agree is it looked for which entry is wrong. */
#include "base/bytes.h"
#include "store/state_check.h"
#include "store/view_check_parts.h"

enum { TICK_RECORDS = 4096 };

int view_wrong_value(const struct id *id, const char *what, struct error *error)
{
    char text[ID_TEXT];

    id_write(id, text);
    return error_set(error, EX_DATAERR, "value %.36s in table values: %s", text, what);
}

/* --- the order --- */

/* Whether a record of the order is the one that its outcome's key leads to. 1, 0, -1. */
static int is_found(struct view_check *check, const struct view_record *record,
                    struct error *error)
{
    unsigned char key[OUTCOME_KEY];
    uint64_t sequence;
    int result = view_read_sequence(check->snapshot, VIEW_OUTCOMES, key,
                                    view_check_key(&record->outcome, key), &sequence, error);

    return result <= 0 ? result : sequence == record->sequence;
}

/* Whether a record that its key leads to was derived. */
static bool is_derived(const struct view_record *record,
                       const struct state *(*state_of)(void *, const struct id *), void *context)
{
    const struct outcome *outcome = &record->outcome;
    unsigned char key[OUTCOME_KEY];

    if (view_check_key(outcome, key) < OUTCOME_KEY)
        return true; /* that isn't known any more */
    return state_has_command(state_of(context, &outcome->value_id), &outcome->value_id,
                             &outcome->parent);
}

static int find_stray_record(struct view_check *check, uint64_t last,
                             const struct state *(*state_of)(void *, const struct id *),
                             void *context, struct error *error)
{
    struct view_record record;
    uint64_t previous;

    for (uint64_t sequence = 1; sequence <= last; sequence++) {
        int result = view_read_record(check->snapshot, sequence, &record, &previous, error);
        if (result == 0)
            return view_wrong_record(sequence, "it is missing", error);
        if (result < 0 || (result = is_found(check, &record, error)) < 0)
            return -1;
        if (result == 0 || !is_derived(&record, state_of, context))
            return view_wrong_record(sequence, "there was no such outcome", error);
    }
    return error_set(error, EX_DATAERR, "table order has %llu records, and %llu were derived",
                     (unsigned long long)last,
                     (unsigned long long)(check->counts.events + check->counts.rejections));
}

static int check_order(struct view_check *check,
                       const struct state *(*state_of)(void *, const struct id *), void *context,
                       struct error *error)
{
    uint64_t last, count;

    if (view_read_last_sequence(check->snapshot, &last, error) < 0 ||
        db_count(check->snapshot->db, VIEW_ORDER, &count, error) < 0)
        return -1;
    if (last == count && last == check->counts.events + check->counts.rejections)
        return 0;
    return find_stray_record(check, last, state_of, context, error);
}

/* --- tables that point there --- */

typedef int entry_check(struct view_check *check, const struct db_bytes *key,
                        const struct view_record *record, struct error *error);

static int check_outcome_entry(struct view_check *check, const struct db_bytes *key,
                               const struct view_record *record, struct error *error)
{
    unsigned char own[OUTCOME_KEY];
    size_t len = view_check_key(&record->outcome, own);

    (void)check;
    if (key->len == len && memcmp(key->data, own, len) == 0)
        return 0;
    return view_wrong_record(record->sequence, "an entry of table outcomes points to it that has "
                                               "not its ids", error);
}

static int check_history_entry(struct view_check *check, const struct db_bytes *key,
                               const struct view_record *record, struct error *error)
{
    unsigned char own[HISTORY_KEY];

    (void)check;
    view_history_key(&record->outcome.value_id, record->outcome.version, own);
    if (record->log == VIEW_EVENTS && key->len == sizeof own &&
        memcmp(key->data, own, sizeof own) == 0 &&
        record->outcome.version % VIEW_HISTORY_PAGE == 0)
        return 0;
    return view_wrong_record(record->sequence, "an entry of table history points to it that is "
                                               "not for it", error);
}

static int check_mark_entry(struct view_check *check, const struct db_bytes *key,
                            const struct view_record *record, struct error *error)
{
    (void)check;
    (void)key;
    return view_wrong_record(record->sequence, "table marks has more entries than it should, and "
                                               "one points to it", error);
}

/* Looks for the entry that is too much in a table that has another count than it should. */
static int check_entries(struct view_check *check, int table, const char *name, uint64_t expected,
                         entry_check *check_entry, struct error *error)
{
    struct db_cursor *cursor;
    struct db_bytes key, found;
    struct view_record record;
    uint64_t count, sequence, previous;
    int result;

    if (db_count(check->snapshot->db, table, &count, error) < 0)
        return -1;
    if (count == expected)
        return 0;
    if (db_cursor_open(check->snapshot->db, table, &cursor, error) < 0)
        return -1;
    while ((result = db_cursor_next(cursor, &key, &found, error)) > 0) {
        if (found.len != 8) {
            result = view_damaged(name, error);
            break;
        }
        get_u64(found.data, &sequence);
        result = view_read_record(check->snapshot, sequence, &record, &previous, error);
        if (result == 0)
            result = view_wrong_record(sequence, "it is missing", error);
        if (result < 0 || (result = check_entry(check, &key, &record, error)) < 0)
            break;
    }
    db_cursor_close(cursor);
    return result < 0 ? -1
                      : error_set(error, EX_DATAERR, "table %s has %llu entries, and not %llu", name,
                                  (unsigned long long)count, (unsigned long long)expected);
}

/* --- values --- */

/* What the values add up to. */
struct sums {
    uint64_t created, events, rejected;
};

static int check_value(struct view_check *check, const struct view_stored *stored,
                       struct sums *sums, struct error *error)
{
    const struct view_value *value = &stored->value;
    const double nothing = 0;
    bool rejected = table_find(&check->rejected, &value->id) != NULL;
    struct view_record last;
    uint64_t previous;
    int result;

    sums->created += value->value.version > 0;
    sums->events += value->value.version;
    sums->rejected += rejected;
    if (stored->any_next || (!value->value.version && !stored->rejected))
        return view_wrong_value(&value->id, "an event of it was left out, as --skip said", error);
    if (stored->rejected != rejected)
        return view_wrong_value(&value->id, "whether commands on it were rejected is wrong", error);
    if (!value->value.version)
        return stored->latest || memcmp(&value->value.number, &nothing, sizeof nothing) != 0 ||
                       value->timestamp != TIMESTAMP_NONE
                   ? view_wrong_value(&value->id, "it doesn't exist, and is not as such a one",
                                      error)
                   : 0;
    result = view_read_record(check->snapshot, stored->latest, &last, &previous, error);
    if (result < 0)
        return -1;
    if (result == 0 || last.log != VIEW_EVENTS || !id_equal(&last.outcome.value_id, &value->id) ||
        last.outcome.version != value->value.version)
        return view_wrong_value(&value->id, "its version is not that of its last event", error);
    if (memcmp(&last.outcome.result, &value->value.number, sizeof last.outcome.result) != 0 ||
        last.outcome.timestamp != value->timestamp)
        return view_wrong_value(&value->id, "it is not what its last event says", error);
    return 0;
}

/* An event that its value doesn't have, or a rejection. */
static int find_missing_value(struct view_check *check, struct error *error)
{
    struct view_stored stored;
    struct view_record record;
    uint64_t last, previous;
    unsigned char key[OUTCOME_KEY];

    if (view_read_last_sequence(check->snapshot, &last, error) < 0)
        return -1;
    for (uint64_t sequence = 1; sequence <= last; sequence++) {
        int result = view_read_record(check->snapshot, sequence, &record, &previous, error);
        if (result > 0 && view_check_key(&record.outcome, key) < OUTCOME_KEY)
            continue;
        if (result > 0)
            result = view_read_value(check->snapshot, &record.outcome.value_id, &stored, error);
        if (result < 0)
            return -1;
        if (result == 0)
            return view_wrong_value(&record.outcome.value_id, "it is missing", error);
        if (record.log == VIEW_EVENTS && record.outcome.version > stored.value.value.version)
            return view_wrong_value(&record.outcome.value_id, "it has later events", error);
    }
    return error_set(error, EX_DATAERR, "table values doesn't add up to the events");
}

static int check_values(struct view_check *check, void (*tick)(void), struct error *error)
{
    struct sums sums = {0};
    struct view_stored stored;
    struct db_bytes key, found;
    struct db_cursor *cursor;
    uint64_t count = 0;
    struct id id;
    int result;

    if (db_cursor_open(check->snapshot->db, VIEW_VALUES, &cursor, error) < 0)
        return -1;
    while ((result = db_cursor_next(cursor, &key, &found, error)) > 0) {
        result = key.len == sizeof id.bytes ? 0 : view_damaged("values", error);
        if (result == 0) {
            memcpy(id.bytes, key.data, sizeof id.bytes);
            result = view_decode_value(&id, &found, &stored, error);
        }
        if (result < 0 || (result = check_value(check, &stored, &sums, error)) < 0)
            break;
        if (++count % TICK_RECORDS == 0)
            tick();
    }
    db_cursor_close(cursor);
    if (result < 0)
        return -1;
    return sums.created == check->counts.values && sums.events == check->counts.events &&
                   sums.rejected == check->rejected.count
               ? 0
               : find_missing_value(check, error);
}

static int check_totals(const struct view_check *check, struct error *error)
{
    struct view_totals totals;

    if (view_get_totals(check->snapshot, &totals, error) < 0)
        return -1;
    return memcmp(&totals, &check->totals, sizeof totals) == 0
               ? 0
               : error_set(error, EX_DATAERR, "table meta: the totals aren't what is in table order");
}

int view_check_tables(struct view_check *check,
                      const struct state *(*state_of)(void *context, const struct id *value_id),
                      void *context, void (*tick)(void), struct error *error)
{
    uint64_t outcomes = check->counts.events + check->counts.rejections, values;

    if (db_count(check->snapshot->db, VIEW_VALUES, &values, error) < 0 ||
        check_order(check, state_of, context, error) < 0 || check_totals(check, error) < 0 ||
        check_entries(check, VIEW_OUTCOMES, "outcomes", outcomes, check_outcome_entry, error) < 0 ||
        check_entries(check, VIEW_HISTORY, "history", check->pages, check_history_entry, error) < 0 ||
        check_entries(check, VIEW_MARKS, "marks", check->marks, check_mark_entry, error) < 0)
        return -1;
    return check_values(check, tick, error);
}
