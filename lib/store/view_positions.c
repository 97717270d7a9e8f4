/* How far a view has read its logs, and how much it has, in its table of what there is one of. */
#include <stdio.h>

#include "base/bytes.h"
#include "store/view_records.h"

static const char *const log_name[VIEW_LOGS] = {"events", "rejections"};

enum { KEY_TEXT = 64 };

static size_t position_key(enum view_log log, int32_t partition, char key[KEY_TEXT])
{
    return (size_t)snprintf(key, KEY_TEXT, "position/%s/%d", log_name[log], partition);
}

int view_get_position(struct view_txn *txn, enum view_log log, int32_t partition,
                      struct view_position *position, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    char key[KEY_TEXT];
    int result =
        db_get(txn->db, VIEW_META, key, position_key(log, partition, key), &found, error);

    *position = (struct view_position){.begun = result > 0};
    if (result <= 0)
        return result;
    if (found.len != 48)
        return view_damaged("meta", error);
    at = get_u64(found.data, &position->last);
    at = get_u64(at, &position->next);
    at = get_bytes(at, position->first_digest.bytes, 16);
    get_bytes(at, position->last_digest.bytes, 16);
    return 0;
}

int view_set_position(struct view_txn *txn, enum view_log log, int32_t partition,
                      const struct view_position *position, struct error *error)
{
    unsigned char bytes[48], *at = bytes;
    char key[KEY_TEXT];

    at = put_u64(at, position->last);
    at = put_u64(at, position->next);
    at = put_bytes(at, position->first_digest.bytes, 16);
    put_bytes(at, position->last_digest.bytes, 16);
    return db_put(txn->db, VIEW_META, key, position_key(log, partition, key), bytes, sizeof bytes,
                  error);
}

static size_t partitions_key(enum view_log log, char key[KEY_TEXT])
{
    return (size_t)snprintf(key, KEY_TEXT, "partitions/%s", log_name[log]);
}

int view_get_partitions(struct view_txn *txn, enum view_log log, int32_t *count,
                        struct error *error)
{
    struct db_bytes found;
    uint64_t number = 0;
    char key[KEY_TEXT];
    int result = db_get(txn->db, VIEW_META, key, partitions_key(log, key), &found, error);

    if (result < 0)
        return -1;
    if (result > 0 && found.len != 8)
        return view_damaged("meta", error);
    if (result > 0)
        get_u64(found.data, &number);
    *count = (int32_t)number;
    return 0;
}

int view_set_partitions(struct view_txn *txn, enum view_log log, int32_t count,
                        struct error *error)
{
    unsigned char bytes[8];
    char key[KEY_TEXT];

    put_u64(bytes, (uint64_t)count);
    return db_put(txn->db, VIEW_META, key, partitions_key(log, key), bytes, sizeof bytes, error);
}

/* --- totals --- */

enum { TOTALS = VIEW_ACTIONS + VIEW_REASONS };

int view_write_totals(struct view_txn *txn, struct error *error)
{
    unsigned char bytes[TOTALS * 8], *at = bytes;

    for (int i = 0; i < VIEW_ACTIONS; i++)
        at = put_u64(at, txn->totals.events[i]);
    for (int i = 0; i < VIEW_REASONS; i++)
        at = put_u64(at, txn->totals.rejections[i]);
    return db_put(txn->db, VIEW_META, "totals", 6, bytes, sizeof bytes, error);
}

int view_get_totals(struct view_txn *txn, struct view_totals *totals, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    int result = db_get(txn->db, VIEW_META, "totals", 6, &found, error);

    *totals = (struct view_totals){0};
    if (result <= 0)
        return result;
    if (found.len != TOTALS * 8)
        return view_damaged("meta", error);
    at = found.data;
    for (int i = 0; i < VIEW_ACTIONS; i++)
        at = get_u64(at, &totals->events[i]);
    for (int i = 0; i < VIEW_REASONS; i++)
        at = get_u64(at, &totals->rejections[i]);
    return 0;
}
