/* What the state's store holds. Its tables, all numbers big-endian, doubles as their bits:
 *
 *   meta      "format"            -> format:8
 *             "position"          -> begun:1 partitions:8 first:8 last:8 next:8 first_digest:16
 *                                    last_digest:16 events_end:8 rejections_end:8
 *                                    events_last:8 events_digest:16
 *                                    rejections_last:8 rejections_digest:16
 *                                    events_durable:8 rejections_durable:8
 *   values    id:16               -> version:8 number:8 owner:rest
 *                                    (version 0: only rejected commands are known of it)
 *   commands  value_id:16 id:16   -> body:20
 *
 * When any of it changes, STATE_FORMAT goes up. What was written in an older format is taken over where
 * that loses nothing; else, and in a newer one, a store is refused: its folder has to be removed, and
 * the state is derived again from the commands. Format 1 ended behind
 * rejections_end: the ends were durable. */
#include "store/state_records.h"

#include <math.h>

#include "base/bytes.h"

enum { STATE_FORMAT = 2, VALUE_FIXED = 16, POSITION_BYTES = 145, POSITION_BYTES_1 = 81 };

const char *const state_tables[] = {"meta", "values", "commands", NULL};

static int damaged(const char *table, struct error *error)
{
    return error_set(error, EX_DATAERR, "the state is damaged: a record in %s isn't as it has to be",
                     table);
}

/* --- values, commands --- */

size_t state_value_encode(const struct value *value, const struct actor *owner,
                          unsigned char bytes[STATE_VALUE_BYTES])
{
    unsigned char *at = put_u64(bytes, value->version);

    at = put_double(at, value->number);
    if (owner)
        at = put_bytes(at, owner->text, owner->len);
    return (size_t)(at - bytes);
}

int state_value_decode(const struct db_bytes *found, struct value *value, struct actor *owner,
                       struct error *error)
{
    const unsigned char *at;

    if (found->len < VALUE_FIXED || actor_set(owner, (const char *)found->data + VALUE_FIXED,
                                              found->len - VALUE_FIXED) < 0)
        return damaged("values", error);
    at = get_u64(found->data, &value->version);
    get_double(at, &value->number);
    return isfinite(value->number) ? 0 : damaged("values", error);
}

int state_body_decode(const struct db_bytes *found, struct body *body, struct error *error)
{
    if (found->len != BODY_BYTES)
        return damaged("commands", error);
    memcpy(body->bytes, found->data, BODY_BYTES);
    return 0;
}

int state_keys_decode(const struct db_bytes *key, struct id *ids, size_t count, struct error *error)
{
    if (key->len != count * sizeof ids->bytes)
        return damaged(count == 1 ? "values" : "commands", error);
    for (size_t i = 0; i < count; i++)
        memcpy(ids[i].bytes, (const unsigned char *)key->data + i * sizeof ids->bytes,
               sizeof ids->bytes);
    return 0;
}

/* --- position, format --- */

int state_position_write(struct db_txn *txn, const struct state_position *position,
                         struct error *error)
{
    unsigned char bytes[POSITION_BYTES], *at = bytes;

    *at++ = position->begun;
    at = put_u64(at, (uint64_t)position->partitions);
    at = put_u64(at, position->first);
    at = put_u64(at, position->last);
    at = put_u64(at, position->next);
    at = put_bytes(at, position->first_digest.bytes, 16);
    at = put_bytes(at, position->last_digest.bytes, 16);
    at = put_u64(at, position->ends[0]);
    at = put_u64(at, position->ends[1]);
    for (int i = 0; i < 2; i++) {
        at = put_u64(at, position->last_outcomes[i]);
        at = put_bytes(at, position->outcome_digests[i].bytes, 16);
    }
    at = put_u64(at, position->durable[0]);
    put_u64(at, position->durable[1]);
    return db_put(txn, STATE_META, "position", 8, bytes, sizeof bytes, error);
}

int state_position_read(struct db_txn *txn, struct state_position *position, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    uint64_t partitions;
    int result = db_get(txn, STATE_META, "position", 8, &found, error);

    *position = (struct state_position){0};
    if (result <= 0)
        return result;
    if (found.len != POSITION_BYTES && found.len != POSITION_BYTES_1)
        return damaged("meta", error);
    at = found.data;
    position->kept = true;
    position->begun = *at++;
    at = get_u64(at, &partitions);
    position->partitions = (int32_t)partitions;
    at = get_u64(at, &position->first);
    at = get_u64(at, &position->last);
    at = get_u64(at, &position->next);
    at = get_bytes(at, position->first_digest.bytes, 16);
    at = get_bytes(at, position->last_digest.bytes, 16);
    at = get_u64(at, &position->ends[0]);
    at = get_u64(at, &position->ends[1]);
    memcpy(position->durable, position->ends, sizeof position->durable);
    if (found.len == POSITION_BYTES_1)
        return 0;
    for (int i = 0; i < 2; i++) {
        at = get_u64(at, &position->last_outcomes[i]);
        at = get_bytes(at, position->outcome_digests[i].bytes, 16);
    }
    get_u64(get_u64(at, &position->durable[0]), &position->durable[1]);
    return 0;
}

int state_format_check(struct db_txn *txn, struct error *error)
{
    struct db_bytes found;
    uint64_t format = 0;
    int result = db_get(txn, STATE_META, "format", 6, &found, error);

    if (result <= 0)
        return result;
    if (found.len == 8)
        get_u64(found.data, &format);
    if (format < 1 || format > STATE_FORMAT)
        return error_set(error, EX_DATAERR, "the state has format %llu, this version knows %d",
                         (unsigned long long)format, STATE_FORMAT);
    return (int)format;
}

int state_format_take(struct db_txn *txn, struct error *error)
{
    struct state_position position;
    unsigned char bytes[8];
    int format = state_format_check(txn, error);

    if (format < 0 || format == STATE_FORMAT)
        return format < 0 ? -1 : 0;
    if (state_position_read(txn, &position, error) < 0 ||
        (position.kept && state_position_write(txn, &position, error) < 0))
        return -1;
    put_u64(bytes, STATE_FORMAT);
    return db_put(txn, STATE_META, "format", 6, bytes, sizeof bytes, error);
}
