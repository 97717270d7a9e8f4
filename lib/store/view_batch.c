#include "store/view_batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/table.h"
#include "store/sort.h"

struct outcome_entry {
    unsigned char key[OUTCOME_KEY];
    uint64_t sequence;
};

enum {
    KEPT_VALUES = 1 << 20, /* in memory, of 64 bytes each */
    MOST_CHANGED = 1 << 20, /* of them, with room for a batch's more, */
    MOST_OUTCOMES = 1 << 21, /* and these, of 40 bytes: before they are put into the tables */
};

struct view_batch {
    struct table values;   /* id -> struct value_entry; also those of earlier batches */
    struct buffer changed; /* indices in values */
    struct buffer outcomes; /* struct outcome_entry each, as they came */
    struct table indexed;   /* as many of them as it counted when one was last looked for: most batches */
    uint32_t index_end;     /* never look; command id, value id -> struct outcome_entry */
    uint64_t last;          /* sequence number in the order */
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
    table_init(&batch->indexed, OUTCOME_KEY, sizeof(struct outcome_entry));
    return view_read_last_sequence(txn, &batch->last, error);
}

void view_batch_close(struct view_batch *batch)
{
    if (!batch)
        return;
    table_release(&batch->values);
    buffer_release(&batch->changed);
    buffer_release(&batch->outcomes);
    table_release(&batch->indexed);
    for (int i = 0; i < VIEW_LOGS; i++)
        free(batch->marked[i].stretch);
    free(batch);
}

/* --- putting --- */

/* What is put next but so many is fetched from memory already: the order of keys is not that in which
 * they came. */
enum { AHEAD = 16 };

static int by_id(const void *a, const void *b, void *context)
{
    const struct sort_item *one = a, *other = b;
    const struct table *values = context;

    return memcmp(table_at(values, one->index), table_at(values, other->index),
                  sizeof(struct id));
}

static int write_value(struct db_cursor *cursor, const struct value_entry *entry,
                       struct error *error)
{
    struct view_stored stored = {.value = {entry->id, entry->value, entry->timestamp},
                                 .any_next = entry->any_next,
                                 .rejected = entry->rejected,
                                 .latest = entry->latest};

    return view_write_value(cursor, &stored, error);
}

static int put_values(struct db_cursor *cursor, struct view_batch *batch, struct error *error)
{
    const uint32_t *changed = (const uint32_t *)(const void *)batch->changed.data;
    size_t count = batch->changed.len / sizeof *changed;
    struct sort_item *items = sort_new(count), *sorted;
    int result = 0;

    if (!items)
        return error_memory(error);
    for (size_t i = 0; i < count; i++) {
        struct value_entry *entry = table_at(&batch->values, changed[i]);
        items[i] = (struct sort_item){sort_word(entry->id.bytes), changed[i]};
        entry->changed = false;
    }
    sorted = sort_items(items, count, by_id, &batch->values);
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(table_at(&batch->values, sorted[i + AHEAD].index));
        result = write_value(cursor, table_at(&batch->values, sorted[i].index), error);
    }
    free(items);
    batch->changed.len = 0;
    if (batch->values.count > KEPT_VALUES)
        table_release(&batch->values);
    return result;
}

static struct outcome_entry *outcome_at(const struct view_batch *batch, uint32_t index)
{
    return (struct outcome_entry *)(void *)batch->outcomes.data + index;
}

static uint32_t outcome_count(const struct view_batch *batch)
{
    return (uint32_t)(batch->outcomes.len / sizeof(struct outcome_entry));
}

/* Those of one command as they came: the first one stands. */
static int by_outcome_key(const void *a, const void *b, void *context)
{
    const struct sort_item *one = a, *other = b;
    int order = memcmp(outcome_at(context, one->index), outcome_at(context, other->index), OUTCOME_KEY);

    return order ? order : (one->index > other->index) - (one->index < other->index);
}

static int put_outcomes(struct db_cursor *cursor, struct view_batch *batch, struct error *error)
{
    uint32_t count = outcome_count(batch);
    struct sort_item *items = sort_new(count), *sorted;
    unsigned char bytes[8];
    int result = 0;

    if (!items)
        return error_memory(error);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct sort_item){sort_word(outcome_at(batch, i)->key), i};
    sorted = sort_items(items, count, by_outcome_key, batch);
    for (uint32_t i = 0; result >= 0 && i < count; i++) {
        const struct outcome_entry *entry = outcome_at(batch, sorted[i].index);
        if (i + AHEAD < count)
            __builtin_prefetch(outcome_at(batch, sorted[i + AHEAD].index));
        put_u64(bytes, entry->sequence);
        result = db_cursor_insert(cursor, entry->key, sizeof entry->key, bytes, sizeof bytes, error);
    }
    free(items);
    buffer_release(&batch->outcomes);
    table_release(&batch->indexed);
    batch->index_end = 0;
    return result < 0 ? -1 : 0;
}

static int put_table(struct view_txn *txn, int table,
                     int (*put)(struct db_cursor *, struct view_batch *, struct error *),
                     struct error *error)
{
    struct db_cursor *cursor;
    int result;

    if (db_cursor_open(txn->db, table, &cursor, error) < 0)
        return -1;
    result = put(cursor, txn->batch, error);
    db_cursor_close(cursor);
    return result;
}

int view_batch_flush(struct view_txn *txn, struct error *error)
{
    if (txn->batch->changed.len && put_table(txn, VIEW_VALUES, put_values, error) < 0)
        return -1;
    return txn->batch->outcomes.len ? put_table(txn, VIEW_OUTCOMES, put_outcomes, error) : 0;
}

bool view_batch_has_room(const struct view_batch *batch)
{
    return batch->changed.len / sizeof(uint32_t) < MOST_CHANGED &&
           outcome_count(batch) < MOST_OUTCOMES;
}

size_t view_batch_changes(const struct view_batch *batch)
{
    return batch->changed.len / sizeof(uint32_t) + outcome_count(batch);
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
    if (outcome->reason == REASON_NONE)
        txn->totals.events[outcome->action]++;
    else
        txn->totals.rejections[outcome->reason]++;
    txn->totals_changed = true;
    return 0;
}

/* --- outcomes --- */

int view_batch_set_outcome(struct view_txn *txn, const struct id *command_id,
                           const struct id *value_id, uint64_t sequence, struct error *error)
{
    struct outcome_entry entry = {.sequence = sequence};

    view_outcome_key(command_id, value_id, entry.key);
    buffer_append(&txn->batch->outcomes, &entry, sizeof entry);
    return txn->batch->outcomes.failed ? error_memory(error) : 0;
}

/* The entry of a command that the batch has, or NULL if it has none: *found. */
static int find_in_batch(struct view_batch *batch, const unsigned char key[OUTCOME_KEY],
                         const struct outcome_entry **found, struct error *error)
{
    uint32_t count = outcome_count(batch);

    for (; batch->index_end < count; batch->index_end++) {
        const struct outcome_entry *entry = outcome_at(batch, batch->index_end);
        bool created;
        struct outcome_entry *there = table_insert(&batch->indexed, entry->key, &created);
        if (!there)
            return error_memory(error);
        if (created)
            there->sequence = entry->sequence;
    }
    *found = table_find(&batch->indexed, key);
    return 0;
}

int view_batch_get_outcome(struct view_txn *txn, const struct id *command_id,
                           const struct id *value_id, uint64_t *sequence, struct error *error)
{
    const struct outcome_entry *entry = NULL;
    unsigned char key[OUTCOME_KEY];
    int result;

    view_outcome_key(command_id, value_id, key);
    result = view_read_sequence(txn, VIEW_OUTCOMES, key, sizeof key, sequence, error);
    if (result != 0 || !txn->batch)
        return result;
    if (find_in_batch(txn->batch, key, &entry, error) < 0)
        return -1;
    if (entry)
        *sequence = entry->sequence;
    return entry != NULL;
}
