#include "store/view_records.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"

enum {
    VALUE_BYTES = 33,
    FLAG_ANY_NEXT = 1,
    FLAG_REJECTED = 2,
    EVENT_BYTES = 72,     /* behind the counts, without the actor */
    REJECTION_BYTES = 64, /* the same */
};

static const char *const names[] = {[VIEW_META] = "meta",         [VIEW_VALUES] = "values",
                                    [VIEW_ORDER] = "order",       [VIEW_OUTCOMES] = "outcomes",
                                    [VIEW_HISTORY] = "history",   [VIEW_MARKS] = "marks"};

int view_damaged(const char *table, struct error *error)
{
    return error_set(error, EX_DATAERR, "the view is damaged: a record in %s isn't as it has to be",
                     table);
}

/* Whether a number and a time are such as can be written. */
static bool fits(double number, int64_t timestamp)
{
    return isfinite(number) && (timestamp == TIMESTAMP_NONE || timestamp_valid(timestamp));
}

/* --- values --- */

int view_decode_value(const struct id *id, const struct db_bytes *found,
                      struct view_stored *stored, struct error *error)
{
    const unsigned char *at = found->data;

    if (found->len != VALUE_BYTES)
        return view_damaged("values", error);
    stored->value.id = *id;
    at = get_u64(at, &stored->value.value.version);
    at = get_double(at, &stored->value.value.number);
    at = get_i64(at, &stored->value.timestamp);
    stored->any_next = *at & FLAG_ANY_NEXT;
    stored->rejected = *at++ & FLAG_REJECTED;
    get_u64(at, &stored->latest);
    if (!fits(stored->value.value.number, stored->value.timestamp))
        return view_damaged("values", error);
    return 1;
}

int view_read_value(struct view_txn *txn, const struct id *id, struct view_stored *stored,
                    struct error *error)
{
    struct db_bytes found;
    int result = db_get(txn->db, VIEW_VALUES, id->bytes, sizeof id->bytes, &found, error);

    *stored = (struct view_stored){.value = {.id = *id, .timestamp = TIMESTAMP_NONE}};
    return result <= 0 ? result : view_decode_value(id, &found, stored, error);
}

int view_write_value(struct db_cursor *cursor, const struct view_stored *stored,
                     struct error *error)
{
    unsigned char bytes[VALUE_BYTES], *at = bytes;

    at = put_u64(at, stored->value.value.version);
    at = put_double(at, stored->value.value.number);
    at = put_u64(at, (uint64_t)stored->value.timestamp);
    *at++ = (unsigned char)((stored->any_next ? FLAG_ANY_NEXT : 0) |
                            (stored->rejected ? FLAG_REJECTED : 0));
    put_u64(at, stored->latest);
    return db_cursor_put(cursor, stored->value.id.bytes, sizeof stored->value.id.bytes, bytes,
                         sizeof bytes, error);
}

/* --- the order --- */

int view_write_record(struct view_txn *txn, const struct view_record *place, uint64_t previous,
                      const struct outcome *outcome, struct error *error)
{
    unsigned char key[8], bytes[ORDER_MAX_BYTES], *at = bytes;

    put_u64(key, place->sequence);
    if (outcome->reason == REASON_MALFORMED) {
        *at++ = REASON_MALFORMED;
        at = put_count(at, (uint64_t)place->partition);
        at = put_count(at, place->offset);
        at = put_bytes(at, outcome->id.bytes, 16);
        at = put_bytes(at, outcome->position, strlen(outcome->position));
    } else {
        *at++ = (unsigned char)(outcome->reason | outcome->action << 4);
        at = put_count(at, (uint64_t)place->partition);
        at = put_count(at, place->offset);
        at = put_count(at, outcome->version);
        if (outcome->reason == REASON_NONE)
            at = put_count(at, previous ? place->sequence - previous : 0);
        at = put_bytes(at, outcome->id.bytes, 16);
        at = put_bytes(at, outcome->parent.bytes, 16);
        at = put_bytes(at, outcome->value_id.bytes, 16);
        at = put_double(at, outcome->value);
        at = put_u64(at, (uint64_t)outcome->timestamp);
        if (outcome->reason == REASON_NONE)
            at = put_double(at, outcome->result);
        at = put_bytes(at, outcome->actor.text, outcome->actor.len);
    }
    return db_append(txn->db, VIEW_ORDER, key, sizeof key, bytes, (size_t)(at - bytes), error);
}

static bool decode_malformed(const unsigned char *at, const unsigned char *end,
                             struct outcome *outcome)
{
    size_t len = (size_t)(end - at);

    if (len < 16 || len - 16 >= sizeof outcome->position)
        return false;
    at = get_bytes(at, outcome->id.bytes, 16);
    memcpy(outcome->position, at, len - 16);
    outcome->position[len - 16] = '\0';
    outcome->timestamp = TIMESTAMP_NONE;
    outcome->actor.len = 0;
    return true;
}

static bool decode_decided(const unsigned char *at, const unsigned char *end, uint64_t sequence,
                           uint64_t *previous, struct outcome *outcome)
{
    bool event = outcome->reason == REASON_NONE;
    ptrdiff_t fixed = event ? EVENT_BYTES : REJECTION_BYTES;
    uint64_t back = 0;

    at = get_count(at, end, &outcome->version);
    if (event)
        at = get_count(at, end, &back);
    if (!at || back >= sequence || end - at < fixed || end - at > fixed + ACTOR_MAX_BYTES ||
        outcome->action > ACTION_MULTIPLY)
        return false;
    *previous = back ? sequence - back : 0;
    at = get_bytes(at, outcome->id.bytes, 16);
    at = get_bytes(at, outcome->parent.bytes, 16);
    at = get_bytes(at, outcome->value_id.bytes, 16);
    at = get_double(at, &outcome->value);
    at = get_i64(at, &outcome->timestamp);
    if (event)
        at = get_double(at, &outcome->result);
    return fits(outcome->value, outcome->timestamp) && (!event || isfinite(outcome->result)) &&
           actor_set(&outcome->actor, (const char *)at, (size_t)(end - at)) == 0;
}

int view_read_record(struct view_txn *txn, uint64_t sequence, struct view_record *record,
                     uint64_t *previous, struct error *error)
{
    struct outcome *outcome = &record->outcome;
    const unsigned char *at, *end;
    struct db_bytes found;
    unsigned char key[8];
    uint64_t partition;
    int result;

    put_u64(key, sequence);
    result = db_get(txn->db, VIEW_ORDER, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    at = found.data;
    end = at + found.len;
    if (at == end)
        return view_damaged("order", error);
    outcome->reason = *at & 15;
    outcome->action = *at++ >> 4;
    outcome->position[0] = '\0';
    at = get_count(at, end, &partition);
    at = get_count(at, end, &record->offset);
    *previous = 0;
    if (!at || partition > INT32_MAX || outcome->reason > REASON_OUT_OF_RANGE ||
        !(outcome->reason == REASON_MALFORMED
              ? decode_malformed(at, end, outcome)
              : decode_decided(at, end, sequence, previous, outcome)))
        return view_damaged("order", error);
    record->sequence = sequence;
    record->log = outcome->reason == REASON_NONE ? VIEW_EVENTS : VIEW_REJECTIONS;
    record->partition = (int32_t)partition;
    return 1;
}

int view_read_last_sequence(struct view_txn *txn, uint64_t *sequence, struct error *error)
{
    static const unsigned char last[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct db_bytes key = {last, sizeof last}, found;
    int result = db_seek_last(txn->db, VIEW_ORDER, &key, &found, error);

    *sequence = 0;
    if (result > 0 && key.len != sizeof last)
        return view_damaged("order", error);
    if (result > 0)
        get_u64(key.data, sequence);
    return result < 0 ? -1 : 0;
}

/* --- tables of sequences --- */

void view_outcome_key(const struct id *command_id, const struct id *value_id,
                      unsigned char key[OUTCOME_KEY])
{
    put_bytes(put_bytes(key, command_id->bytes, 16), value_id->bytes, 16);
}

void view_history_key(const struct id *value_id, uint64_t version, unsigned char key[HISTORY_KEY])
{
    put_u64(put_bytes(key, value_id->bytes, 16), version);
}

void view_mark_key(enum view_log log, int32_t partition, uint64_t offset,
                   unsigned char key[MARK_KEY])
{
    uint32_t number = htobe32((uint32_t)partition);

    *key++ = (unsigned char)log;
    put_u64(put_bytes(key, &number, 4), offset);
}

static int decode_sequence(int table, const struct db_bytes *found, uint64_t *sequence,
                           struct error *error)
{
    if (found->len != 8)
        return view_damaged(names[table], error);
    get_u64(found->data, sequence);
    return 1;
}

int view_read_sequence(struct view_txn *txn, int table, const unsigned char *key, size_t len,
                       uint64_t *sequence, struct error *error)
{
    struct db_bytes found;
    int result = db_get(txn->db, table, key, len, &found, error);

    return result <= 0 ? result : decode_sequence(table, &found, sequence, error);
}

/* What a seek came to, if it is of the same kind as what was sought. */
static int sought(int table, const struct db_bytes *there, const struct db_bytes *found,
                  unsigned char *key, size_t len, size_t prefix, uint64_t *sequence,
                  struct error *error)
{
    if (there->len != len || memcmp(there->data, key, prefix) != 0)
        return 0;
    memcpy(key, there->data, len);
    return decode_sequence(table, found, sequence, error);
}

int view_seek_sequence(struct view_txn *txn, int table, unsigned char *key, size_t len,
                       size_t prefix, uint64_t *sequence, struct error *error)
{
    struct db_bytes there = {key, len}, found;
    int result = db_seek(txn->db, table, &there, &found, error);

    return result <= 0 ? result : sought(table, &there, &found, key, len, prefix, sequence, error);
}

int view_seek_last_sequence(struct view_txn *txn, int table, unsigned char *key, size_t len,
                            size_t prefix, uint64_t *sequence, struct error *error)
{
    struct db_bytes there = {key, len}, found;
    int result = db_seek_last(txn->db, table, &there, &found, error);

    return result <= 0 ? result : sought(table, &there, &found, key, len, prefix, sequence, error);
}
