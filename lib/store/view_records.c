#include "store/view_records.h"

#include <math.h>

#include "base/bytes.h"

enum {
    VALUE_BYTES = 25,
    HISTORY_BYTES = 57, /* without the actor */
    APPLIED_BYTES = 9,
    REJECTED_BYTES = 42, /* without the actor */
};

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

/* --- values and history --- */

int view_read_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                     bool *any_next, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    int result = db_get(txn->db, VIEW_VALUES, id->bytes, sizeof id->bytes, &found, error);

    *value = (struct view_value){.id = *id, .timestamp = TIMESTAMP_NONE};
    *any_next = false;
    if (result <= 0)
        return result;
    if (found.len != VALUE_BYTES)
        return view_damaged("values", error);
    at = get_u64(found.data, &value->value.version);
    at = get_double(at, &value->value.number);
    at = get_i64(at, &value->timestamp);
    *any_next = *at;
    if (!fits(value->value.number, value->timestamp))
        return view_damaged("values", error);
    return value->value.version > 0;
}

int view_write_value(struct view_txn *txn, const struct view_value *value, bool any_next,
                     struct error *error)
{
    unsigned char bytes[VALUE_BYTES], *at = bytes;

    at = put_u64(at, value->value.version);
    at = put_double(at, value->value.number);
    at = put_u64(at, (uint64_t)value->timestamp);
    *at = any_next;
    return db_put(txn->db, VIEW_VALUES, value->id.bytes, sizeof value->id.bytes, bytes, sizeof bytes,
                  error);
}

static void history_key(const struct id *id, uint64_t version, unsigned char key[24])
{
    put_u64(put_bytes(key, id->bytes, 16), version);
}

int view_write_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    unsigned char key[24], bytes[HISTORY_BYTES + ACTOR_MAX_BYTES], *at = bytes;

    history_key(&event->value_id, event->version, key);
    at = put_bytes(at, event->id.bytes, 16);
    at = put_bytes(at, event->parent.bytes, 16);
    *at++ = (unsigned char)event->action;
    at = put_double(at, event->value);
    at = put_double(at, event->result);
    at = put_u64(at, (uint64_t)event->timestamp);
    at = put_bytes(at, event->actor.text, event->actor.len);
    return db_put(txn->db, VIEW_HISTORY, key, sizeof key, bytes, (size_t)(at - bytes), error);
}

int view_read_event(struct view_txn *txn, const struct id *id, uint64_t version,
                       struct outcome *event, struct error *error)
{
    const unsigned char *at;
    struct db_bytes found;
    unsigned char key[24];
    int result;

    history_key(id, version, key);
    result = db_get(txn->db, VIEW_HISTORY, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    if (found.len < HISTORY_BYTES || found.len > HISTORY_BYTES + ACTOR_MAX_BYTES)
        return view_damaged("history", error);
    event->reason = REASON_NONE;
    event->value_id = *id;
    event->version = version;
    at = get_bytes(found.data, event->id.bytes, 16);
    at = get_bytes(at, event->parent.bytes, 16);
    event->action = *at++;
    at = get_double(at, &event->value);
    at = get_double(at, &event->result);
    at = get_i64(at, &event->timestamp);
    if (event->action > ACTION_MULTIPLY || !fits(event->value, event->timestamp) ||
        !isfinite(event->result) ||
        actor_set(&event->actor, (const char *)at, found.len - HISTORY_BYTES) < 0)
        return view_damaged("history", error);
    return 1;
}

/* --- outcomes --- */

static void outcome_key(const struct id *value_id, const struct id *command_id,
                        unsigned char key[32])
{
    put_bytes(put_bytes(key, value_id->bytes, 16), command_id->bytes, 16);
}

int view_read_reason(struct view_txn *txn, const struct id *value_id, const struct id *command_id,
                     enum reason *reason, struct error *error)
{
    unsigned char key[32];
    struct db_bytes found;
    int result;

    outcome_key(value_id, command_id, key);
    result = db_get(txn->db, VIEW_OUTCOMES, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    if (found.len < APPLIED_BYTES)
        return view_damaged("outcomes", error);
    *reason = *(const unsigned char *)found.data;
    return 1;
}

int view_write_applied(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    unsigned char key[32], bytes[APPLIED_BYTES];

    outcome_key(&event->value_id, &event->parent, key);
    bytes[0] = REASON_NONE;
    put_u64(bytes + 1, event->version);
    return db_put(txn->db, VIEW_OUTCOMES, key, sizeof key, bytes, sizeof bytes, error);
}

int view_write_rejected(struct view_txn *txn, const struct outcome *rejection,
                        struct error *error)
{
    unsigned char key[32], bytes[REJECTED_BYTES + ACTOR_MAX_BYTES], *at = bytes;

    outcome_key(&rejection->value_id, &rejection->parent, key);
    *at++ = (unsigned char)rejection->reason;
    at = put_u64(at, rejection->version);
    at = put_bytes(at, rejection->id.bytes, 16);
    *at++ = (unsigned char)rejection->action;
    at = put_double(at, rejection->value);
    at = put_u64(at, (uint64_t)rejection->timestamp);
    at = put_bytes(at, rejection->actor.text, rejection->actor.len);
    return db_put(txn->db, VIEW_OUTCOMES, key, sizeof key, bytes, (size_t)(at - bytes), error);
}

static int read_rejected(const struct db_bytes *found, struct outcome *outcome,
                         struct error *error)
{
    const unsigned char *at = found->data;

    if (found->len < REJECTED_BYTES || found->len > REJECTED_BYTES + ACTOR_MAX_BYTES)
        return view_damaged("outcomes", error);
    outcome->reason = *at++;
    at = get_u64(at, &outcome->version);
    at = get_bytes(at, outcome->id.bytes, 16);
    outcome->action = *at++;
    at = get_double(at, &outcome->value);
    at = get_i64(at, &outcome->timestamp);
    if (outcome->reason > REASON_OUT_OF_RANGE || outcome->action > ACTION_MULTIPLY ||
        !fits(outcome->value, outcome->timestamp) ||
        actor_set(&outcome->actor, (const char *)at, found->len - REJECTED_BYTES) < 0)
        return view_damaged("outcomes", error);
    return 1;
}

int view_get_outcome(struct view_txn *txn, const struct id *value_id, const struct id *command_id,
                     struct outcome *outcome, struct error *error)
{
    unsigned char key[32];
    struct db_bytes found;
    uint64_t version;
    int result;

    outcome_key(value_id, command_id, key);
    result = db_get(txn->db, VIEW_OUTCOMES, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    outcome->value_id = *value_id;
    outcome->parent = *command_id;
    if (found.len < APPLIED_BYTES || *(const unsigned char *)found.data != REASON_NONE)
        return read_rejected(&found, outcome, error);
    get_u64((const unsigned char *)found.data + 1, &version);
    result = view_read_event(txn, value_id, version, outcome, error);
    return result == 0 ? view_damaged("outcomes", error) : result;
}
