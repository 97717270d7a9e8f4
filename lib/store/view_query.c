/* What readers ask of a view. */
#include <string.h>

#include "base/bytes.h"
#include "store/view_batch.h"

/* --- values --- */

/* A value, as a batch may have changed it. */
static int find_value(struct view_txn *txn, const struct id *id, struct view_stored *stored,
                      struct error *error)
{
    const struct value_entry *entry;

    if (!txn->batch)
        return view_read_value(txn, id, stored, error);
    entry = view_batch_value(txn, id, error);
    if (!entry)
        return -1;
    *stored = (struct view_stored){.value = {*id, entry->value, entry->timestamp},
                                   .any_next = entry->any_next,
                                   .rejected = entry->rejected,
                                   .latest = entry->latest};
    return 1;
}

int view_get_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                   struct error *error)
{
    struct view_stored stored;
    int result = find_value(txn, id, &stored, error);

    *value = stored.value;
    return result <= 0 ? result : value->value.version > 0;
}

int view_next_value(struct view_txn *txn, const struct id *after, struct view_value *value,
                    struct error *error)
{
    unsigned char from[17] = {0};
    struct db_bytes key = {from, 16}, found;
    struct view_stored stored;
    struct id id;
    int result;

    if (txn->batch && view_batch_flush(txn, error) < 0)
        return -1;
    if (after) {
        memcpy(from, after->bytes, 16); /* with a zero byte behind it, the next key there can be */
        key.len = 17;
    }
    for (;;) {
        result = db_seek(txn->db, VIEW_VALUES, &key, &found, error);
        if (result <= 0)
            return result;
        if (key.len != 16)
            return view_damaged("values", error);
        memcpy(id.bytes, key.data, 16);
        if (view_decode_value(&id, &found, &stored, error) < 0)
            return -1;
        *value = stored.value;
        if (value->value.version)
            return 1;
        memcpy(from, id.bytes, 16); /* only skips and rejections are known of it */
        key = (struct db_bytes){from, 17};
    }
}

/* --- outcomes --- */

int view_get_outcome(struct view_txn *txn, const struct id *value_id, const struct id *command_id,
                     struct outcome *outcome, struct error *error)
{
    struct view_record record;
    uint64_t sequence, previous;
    int result = view_batch_get_outcome(txn, command_id, value_id, &sequence, error);

    if (result <= 0)
        return result;
    result = view_read_record(txn, sequence, &record, &previous, error);
    if (result > 0 && (!id_equal(&record.outcome.value_id, value_id) ||
                       !id_equal(&record.outcome.parent, command_id)))
        result = 0;
    if (result == 0)
        return view_damaged("outcomes", error);
    *outcome = record.outcome;
    return result;
}

int view_get_outcome_sequence(struct view_txn *txn, const struct id *value_id,
                              const struct id *command_id, uint64_t *sequence,
                              struct error *error)
{
    return view_batch_get_outcome(txn, command_id, value_id, sequence, error);
}

/* --- history --- */

/* The event at a sequence, which must be this value's. 1, or -1. */
static int read_event(struct view_txn *txn, const struct id *id, uint64_t sequence,
                      struct view_record *record, uint64_t *previous, struct error *error)
{
    int result = view_read_record(txn, sequence, record, previous, error);

    if (result == 0 || (result > 0 && (record->log != VIEW_EVENTS ||
                                       !id_equal(&record->outcome.value_id, id))))
        return view_damaged("history", error);
    return result;
}

/* Where to go back from for a version, and those of its page: *sequence is that of the first event
 * behind the page, or if there is none, that of the last event. *behind tells which. */
static int find_page(struct view_txn *txn, const struct id *id, uint64_t version,
                     uint64_t *sequence, bool *behind, struct error *error)
{
    uint64_t page = version / VIEW_HISTORY_PAGE;
    unsigned char key[HISTORY_KEY];
    struct view_stored stored;
    int result = 0;

    if (page < UINT64_MAX / VIEW_HISTORY_PAGE) {
        view_history_key(id, (page + 1) * VIEW_HISTORY_PAGE, key);
        result =
            view_seek_sequence(txn, VIEW_HISTORY, key, sizeof key, sizeof *id, sequence, error);
    }
    *behind = result > 0;
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (find_value(txn, id, &stored, error) < 0)
        return -1;
    *sequence = stored.latest;
    return 0;
}

int view_get_event(struct view_txn *txn, const struct id *id, uint64_t version,
                   struct outcome *event, struct error *error)
{
    struct view_record record;
    uint64_t sequence;
    bool behind;

    if (find_page(txn, id, version, &sequence, &behind, error) < 0)
        return -1;
    while (sequence) {
        if (read_event(txn, id, sequence, &record, &sequence, error) < 0)
            return -1;
        if (record.outcome.version < version)
            break;
        if (record.outcome.version == version) {
            *event = record.outcome;
            return 1;
        }
    }
    return 0;
}

int view_get_history(struct view_txn *txn, const struct id *id, uint64_t after,
                     struct outcome events[VIEW_HISTORY_PAGE], int *count, struct error *error)
{
    struct view_record record;
    int at = VIEW_HISTORY_PAGE;
    uint64_t sequence;
    bool behind;

    *count = 0;
    while (after < UINT64_MAX) {
        if (find_page(txn, id, after + 1, &sequence, &behind, error) < 0)
            return -1;
        if (behind && read_event(txn, id, sequence, &record, &sequence, error) < 0)
            return -1;
        uint64_t next = behind ? record.outcome.version : 0;
        while (sequence) {
            if (read_event(txn, id, sequence, &record, &sequence, error) < 0)
                return -1;
            if (record.outcome.version <= after)
                break;
            if (at == 0)
                return view_damaged("history", error);
            events[--at] = record.outcome;
        }
        if (at < VIEW_HISTORY_PAGE || !behind)
            break;
        after = next - 1; /* skipped records left a page out */
    }
    *count = VIEW_HISTORY_PAGE - at;
    memmove(events, events + at, (size_t)*count * sizeof *events);
    return 0;
}

int view_get_as_of(struct view_txn *txn, const struct id *id, int64_t time, struct outcome *event,
                   struct error *error)
{
    struct view_record record;
    struct view_stored stored;
    uint64_t sequence;
    bool held = false; /* *event has the time of an event that is still to be met */

    if (find_value(txn, id, &stored, error) < 0)
        return -1;
    for (sequence = stored.latest; sequence;) {
        if (read_event(txn, id, sequence, &record, &sequence, error) < 0)
            return -1;
        if (!held)
            *event = record.outcome;
        held = true;
        if (record.outcome.timestamp == TIMESTAMP_NONE)
            continue;
        if (record.outcome.timestamp <= time)
            return 1;
        held = false;
    }
    return held; /* none has a time from here on back: they are before all time */
}

int view_get_last(struct view_txn *txn, uint64_t *sequence, struct error *error)
{
    return view_read_last_sequence(txn, sequence, error);
}

int view_get_record(struct view_txn *txn, uint64_t sequence, struct view_record *record,
                    struct error *error)
{
    uint64_t previous;

    return view_read_record(txn, sequence, record, &previous, error);
}
