/* What readers ask of a view. */
#include <string.h>

#include "store/view_records.h"

int view_get_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                   struct error *error)
{
    bool any_next;

    return view_read_value(txn, id, value, &any_next, error);
}

int view_next_value(struct view_txn *txn, const struct id *after, struct view_value *value,
                    struct error *error)
{
    unsigned char from[17] = {0};
    struct db_bytes key = {from, 16}, found;
    struct id id;
    int result;

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
        result = view_get_value(txn, &id, value, error);
        if (result != 0)
            return result;
        memcpy(from, id.bytes, 16); /* only skips are known of it */
        key = (struct db_bytes){from, 17};
    }
}
