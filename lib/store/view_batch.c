#include "store/view_batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/table.h"

struct outcome_entry {
    unsigned char key[OUTCOME_KEY];
    uint64_t sequence;
};

enum { KEPT_VALUES = 1 << 19 }; /* of 64 bytes each */

struct view_batch {
    struct table values;   /* id -> struct value_entry; also those of earlier batches */
    struct buffer changed; /* indices in values */
    struct table outcomes; /* command id, value id -> struct outcome_entry */
    uint64_t last;         /* sequence number in the order */
    struct {
        uint64_t *stretch; /* of each partition's last mark, counted from 1; 0: not known yet */
        int32_t count;
    } marked[VIEW_LOGS];
};

int view_batch_open(struct view_txn *txn, struct view_batch *earlier, struct error *error)
{
    struct view_batch *batch = earlier;

    if (!batch)
        batch = calloc(1, sizeof *batch);
    if (!batch)
        return error_memory(error);
    txn->batch = batch;
    if (earlier)
        return 0;
    table_init(&batch->values, sizeof(struct id), sizeof(struct value_entry));
    table_init(&batch->outcomes, OUTCOME_KEY, sizeof(struct outcome_entry));
    return view_read_last_sequence(txn, &batch->last, error);
}

void view_batch_close(struct view_batch *batch)
{
    if (!batch)
        return;
    table_release(&batch->values);
    buffer_release(&batch->changed);
    table_release(&batch->outcomes);
    for (int i = 0; i < VIEW_LOGS; i++)
        free(batch->marked[i].stretch);
    free(batch);
}

/* --- putting --- */

/* An entry of a table with the first bytes of its key, which nearly always tell. */
struct sorted {
    uint64_t prefix;
    const unsigned char *entry;
};

static int by_key(const struct sorted *a, const struct sorted *b, size_t len)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return memcmp(a->entry, b->entry, len);
}

static int by_id(const void *a, const void *b)
{
    return by_key(a, b, sizeof(struct id));
}

static int by_outcome_key(const void *a, const void *b)
{
    return by_key(a, b, OUTCOME_KEY);
}

/* The entries of a table, sorted; `indices` are those of which (NULL: of all). NULL when memory ran out.
 * The caller frees it. */
static struct sorted *sort(const struct table *table, const uint32_t *indices, size_t count,
                           int (*order)(const void *, const void *))
{
    struct sorted *sorted = malloc((count + 1) * sizeof *sorted);

    if (!sorted)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        sorted[i].entry = table_at(table, indices ? indices[i] : (uint32_t)i);
        get_u64(sorted[i].entry, &sorted[i].prefix);
    }
    qsort(sorted, count, sizeof *sorted, order);
    return sorted;
}

static int put_values(struct view_txn *txn, struct error *error)
{
    struct view_batch *batch = txn->batch;
    const uint32_t *changed = (const uint32_t *)(const void *)batch->changed.data;
    size_t count = batch->changed.len / sizeof *changed;
    struct sorted *sorted = sort(&batch->values, changed, count, by_id);
    int result = sorted ? 0 : error_memory(error);

    for (size_t i = 0; result == 0 && i < count; i++) {
        const struct value_entry *entry = (const void *)sorted[i].entry;
        struct view_stored stored = {.value = {entry->id, entry->value, entry->timestamp},
                                     .any_next = entry->any_next,
                                     .rejected = entry->rejected,
                                     .latest = entry->latest};
        result = view_write_value(txn, &stored, error);
    }
    for (size_t i = 0; i < count; i++)
        ((struct value_entry *)table_at(&batch->values, changed[i]))->changed = false;
    free(sorted);
    batch->changed.len = 0;
    if (batch->values.count > KEPT_VALUES)
        table_release(&batch->values);
    return result;
}

static int put_outcomes(struct view_txn *txn, struct error *error)
{
    struct table *outcomes = &txn->batch->outcomes;
    struct sorted *sorted = sort(outcomes, NULL, outcomes->count, by_outcome_key);
    int result = sorted ? 0 : error_memory(error);
    unsigned char bytes[8];

    for (uint32_t i = 0; result >= 0 && i < outcomes->count; i++) {
        const struct outcome_entry *entry = (const void *)sorted[i].entry;
        put_u64(bytes, entry->sequence);
        result = db_insert(txn->db, VIEW_OUTCOMES, entry->key, sizeof entry->key, bytes,
                           sizeof bytes, error);
    }
    free(sorted);
    table_release(outcomes);
    return result < 0 ? -1 : 0;
}

int view_batch_flush(struct view_txn *txn, struct error *error)
{
    return put_values(txn, error) < 0 || put_outcomes(txn, error) < 0 ? -1 : 0;
}

/* --- values --- */

struct value_entry *view_batch_value(struct view_txn *txn, const struct id *id,
                                     struct error *error)
{
    struct table *values = &txn->batch->values;
    struct view_stored stored;
    struct value_entry *entry;
    bool created;

    entry = table_insert(values, id, &created);
    if (!entry) {
        error_memory(error);
        return NULL;
    }
    if (!created)
        return entry;
    if (view_read_value(txn, id, &stored, error) < 0) {
        table_truncate(values, values->count - 1);
        return NULL;
    }
    entry->value = stored.value.value;
    entry->timestamp = stored.value.timestamp;
    entry->latest = stored.latest;
    entry->any_next = stored.any_next;
    entry->rejected = stored.rejected;
    return entry;
}

int view_batch_change(struct view_txn *txn, struct value_entry *entry, struct error *error)
{
    struct view_batch *batch = txn->batch;
    uint32_t index = table_index(&batch->values, entry);

    if (entry->changed)
        return 0;
    entry->changed = true;
    buffer_append(&batch->changed, &index, sizeof index);
    return batch->changed.failed ? error_memory(error) : 0;
}

/* --- the order --- */

/* In which stretch the partition's last mark is. NULL on error. */
static uint64_t *last_mark(struct view_txn *txn, enum view_log log, int32_t partition,
                           struct error *error)
{
    struct view_batch *batch = txn->batch;
    unsigned char key[MARK_KEY];
    uint64_t *stretch, sequence;
    int result;

    if (partition >= batch->marked[log].count) {
        int32_t count = partition / 64 * 64 + 64;
        stretch = realloc(batch->marked[log].stretch, (size_t)count * sizeof *stretch);
        if (!stretch) {
            error_memory(error);
            return NULL;
        }
        memset(stretch + batch->marked[log].count, 0,
               (size_t)(count - batch->marked[log].count) * sizeof *stretch);
        batch->marked[log].stretch = stretch;
        batch->marked[log].count = count;
    }
    stretch = &batch->marked[log].stretch[partition];
    if (*stretch)
        return stretch;
    view_mark_key(log, partition, UINT64_MAX, key);
    result = view_seek_last_sequence(txn, VIEW_MARKS, key, sizeof key, 5, &sequence, error);
    if (result > 0)
        *stretch = sequence / MARK_STRETCH + 1;
    return result < 0 ? NULL : stretch;
}

static int mark(struct view_txn *txn, const struct view_record *place, struct error *error)
{
    uint64_t *last = last_mark(txn, place->log, place->partition, error);
    unsigned char key[MARK_KEY], bytes[8];

    if (!last)
        return -1;
    if (*last == place->sequence / MARK_STRETCH + 1)
        return 0;
    *last = place->sequence / MARK_STRETCH + 1;
    view_mark_key(place->log, place->partition, place->offset, key);
    put_u64(bytes, place->sequence);
    return db_put(txn->db, VIEW_MARKS, key, sizeof key, bytes, sizeof bytes, error);
}

int view_batch_append(struct view_txn *txn, const struct outcome *outcome, int32_t partition,
                      uint64_t offset, uint64_t previous, uint64_t *sequence,
                      struct error *error)
{
    struct view_record place = {
        .sequence = txn->batch->last + 1,
        .log = outcome->reason == REASON_NONE ? VIEW_EVENTS : VIEW_REJECTIONS,
        .partition = partition,
        .offset = offset,
    };

    if (mark(txn, &place, error) < 0 ||
        view_write_record(txn, &place, previous, outcome, error) < 0)
        return -1;
    *sequence = ++txn->batch->last;
    return 0;
}

/* --- outcomes --- */

int view_batch_set_outcome(struct view_txn *txn, const struct id *command_id,
                           const struct id *value_id, uint64_t sequence, struct error *error)
{
    unsigned char key[OUTCOME_KEY];
    struct outcome_entry *entry;
    bool created;

    view_outcome_key(command_id, value_id, key);
    entry = table_insert(&txn->batch->outcomes, key, &created);
    if (!entry)
        return error_memory(error);
    if (created)
        entry->sequence = sequence;
    return 0;
}

int view_batch_get_outcome(struct view_txn *txn, const struct id *command_id,
                           const struct id *value_id, uint64_t *sequence, struct error *error)
{
    const struct outcome_entry *entry;
    unsigned char key[OUTCOME_KEY];
    int result;

    view_outcome_key(command_id, value_id, key);
    result = view_read_sequence(txn, VIEW_OUTCOMES, key, sizeof key, sequence, error);
    if (result != 0 || !txn->batch)
        return result;
    entry = table_find(&txn->batch->outcomes, key);
    if (entry)
        *sequence = entry->sequence;
    return entry != NULL;
}
