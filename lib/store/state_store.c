/* The state's store: an LMDB environment, whose tables are drawn in state_records.c. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/folder.h"
#include "calc/message.h"
#include "store/state_records.h"
#include "store/state_sort.h"

struct state_store {
    struct db *db;
    struct db_txn *snapshot; /* for looking up; NULL between a checkpoint and the next look */
    uint32_t saved_commands; /* entries of commands that the store has */
    struct buffer dirty;     /* indices of values that it hasn't, as they are now */
    bool empty;              /* it holds nothing: no need to look */
    size_t pages;            /* of its tables, which a checkpoint may change; at the last one */
    struct state_position position; /* as the last checkpoint wrote it */
};

void state_digest(const void *record, size_t len, struct id *digest)
{
    id_derive(&calc_namespace, record, len, digest);
}

/* --- looking up --- */

static int look(struct state_store *store, int table, const void *key, size_t len,
                struct db_bytes *found, struct error *error)
{
    if (store->empty)
        return 0;
    if (!store->snapshot && db_begin(store->db, false, &store->snapshot, error) < 0)
        return -1;
    return db_get(store->snapshot, table, key, len, found, error);
}

int state_store_find_value(struct state *state, struct value_entry *entry, struct error *error)
{
    struct db_bytes found;
    struct actor owner;
    int result =
        look(state->store, STATE_VALUES, entry->id.bytes, sizeof entry->id.bytes, &found, error);

    if (result <= 0)
        return result;
    if (state_value_decode(&found, &entry->value, &owner, error) < 0)
        return -1;
    entry->stored = true;
    if (owner.len && !(entry->owner = state_intern(state, &owner)))
        return error_memory(error);
    return 0;
}

static void command_key(const struct value_entry *value, const struct id *command_id,
                        unsigned char key[32])
{
    memcpy(key, value->id.bytes, 16);
    memcpy(key + 16, command_id->bytes, 16);
}

int state_store_find_command(const struct state *state, const struct value_entry *value,
                             const struct id *command_id, struct body *body, struct error *error)
{
    unsigned char key[32];
    struct db_bytes found;
    int result;

    command_key(value, command_id, key);
    result = look(state->store, STATE_COMMANDS, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    return state_body_decode(&found, body, error) < 0 ? -1 : 1;
}

/* --- what changed --- */

int state_store_changed(struct state *state, struct value_entry *value)
{
    uint32_t index = table_index(&state->values, value);

    if (value->dirty)
        return 0;
    value->dirty = true;
    buffer_append(&state->store->dirty, &index, sizeof index);
    return state->store->dirty.failed ? -1 : 0;
}

void state_store_truncated(struct state *state)
{
    struct buffer *dirty = &state->store->dirty;
    uint32_t *index = (uint32_t *)dirty->data;
    size_t kept = 0;

    for (size_t i = 0; i < dirty->len / sizeof *index; i++)
        if (index[i] < state->values.count)
            index[kept++] = index[i];
    dirty->len = kept * sizeof *index;
}

size_t state_unsaved(const struct state *state)
{
    return state->commands.count - state->store->saved_commands +
           state->store->dirty.len / sizeof(uint32_t);
}

size_t state_memory(const struct state *state)
{
    const struct table *tables[] = {&state->values, &state->commands, &state->actors};
    size_t bytes = 0;

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        bytes += tables[i]->cap * tables[i]->entry_size +
                 (tables[i]->slots ? (tables[i]->mask + 1) * sizeof *tables[i]->slots : 0);
    return bytes;
}

bool state_is_due(const struct state *state, size_t memory, size_t pages, uint64_t ahead)
{
    enum {
        MOST = 2000000,
        PAGE_BYTES = 4096,
        ENTRIES_A_PAGE = 30,
        MOST_PAGES = 131072, /* more than that LMDB doesn't keep in memory */
        A_COMMAND = 2 /* changes: the value's, and its own */
    };
    size_t unsaved = state_unsaved(state), touched = unsaved;

    if (unsaved >= MOST || state_memory(state) > memory ||
        db_is_scattered(unsaved, ahead * A_COMMAND, state->store->pages))
        return true;
    if (touched > state->store->pages)
        touched = state->store->pages;
    touched += unsaved / ENTRIES_A_PAGE;
    if (touched > MOST_PAGES)
        touched = MOST_PAGES;
    return touched * PAGE_BYTES > pages;
}

/* --- checkpoints --- */

enum { AHEAD = 8 }; /* entries: what is read in no order of memory is asked for so much before */

static int write_values(struct db_cursor *cursor, const struct state *state,
                        const struct value_order *order, struct error *error)
{
    unsigned char bytes[STATE_VALUE_BYTES];
    int result = 0;

    for (size_t i = 0; result == 0 && i < order->count; i++) {
        const struct value_entry *value = table_at(&state->values, order->sorted[i].index);
        const struct actor *owner = NULL;
        if (i + AHEAD < order->count)
            __builtin_prefetch(table_at(&state->values, order->sorted[i + AHEAD].index));
        if (value->owner)
            owner = &((struct actor_entry *)table_at(&state->actors, value->owner - 1))->actor;
        result = db_cursor_put(cursor, value->id.bytes, sizeof value->id.bytes, bytes,
                               state_value_encode(&value->value, owner, bytes), error);
    }
    return result;
}

static int write_commands(struct db_cursor *cursor, const struct state *state,
                          const struct value_order *order, struct error *error)
{
    uint32_t from = state->store->saved_commands, count = state->commands.count - from;
    struct sort_item *items = sort_new(count), *sorted;
    int result = items ? 0 : error_memory(error);

    for (uint32_t i = 0; result == 0 && i < count; i++) {
        items[i] = (struct sort_item){
            value_order_word(order, table_at(&state->commands, from + i)), from + i};
        if (!items[i].word)
            result = error_set(error, EX_SOFTWARE, "the value of a command hasn't changed");
    }
    sorted = result == 0 ? sort_commands(items, count, &state->commands, &state->values) : NULL;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        const struct command_entry *entry = table_at(&state->commands, sorted[i].index);
        unsigned char key[32];
        if (i + AHEAD < count)
            __builtin_prefetch(table_at(&state->commands, sorted[i + AHEAD].index));
        command_key(table_at(&state->values, entry->key.value), &entry->key.id, key);
        result = db_cursor_put(cursor, key, sizeof key, entry->body.bytes, BODY_BYTES, error);
    }
    free(items);
    return result;
}

static int write_table(struct db_txn *txn, int table, const struct state *state,
                       const struct value_order *order, struct error *error)
{
    struct db_cursor *cursor;
    size_t pages;
    int result;

    if (db_cursor_open(txn, table, &cursor, error) < 0)
        return -1;
    result = (table == STATE_VALUES ? write_values : write_commands)(cursor, state, order, error);
    db_cursor_close(cursor);
    if (result == 0)
        result = db_pages(txn, table, &pages, error);
    if (result == 0)
        state->store->pages += pages;
    return result;
}

/* Makes room in memory: of what is dropped the store has to be asked again. The commands go first,
 * since there are more of them, and few come twice. */
static void drop(struct state *state, size_t memory)
{
    if (state_memory(state) <= memory)
        return;
    table_release(&state->commands);
    for (uint32_t i = 0; i < state->values.count; i++)
        ((struct value_entry *)table_at(&state->values, i))->stored = true;
    if (state_memory(state) <= memory / 2)
        return;
    table_release(&state->values);
    table_release(&state->actors);
}

/* What a checkpoint wrote is the store's. */
static void saved(struct state *state, size_t memory)
{
    struct state_store *store = state->store;
    const uint32_t *index = (const uint32_t *)store->dirty.data;

    for (size_t i = 0; i < store->dirty.len / sizeof *index; i++)
        ((struct value_entry *)table_at(&state->values, index[i]))->dirty = false;
    store->dirty.len = 0;
    store->empty = store->empty && state->values.count == 0;
    drop(state, memory);
    store->saved_commands = state->commands.count;
}

static int write_tables(struct db_txn *txn, const struct state *state, struct error *error)
{
    const struct buffer *dirty = &state->store->dirty;
    struct value_order order;
    int result = value_order_init(&order, (const uint32_t *)dirty->data,
                                  dirty->len / sizeof(uint32_t), &state->values);

    if (result < 0)
        error_memory(error);
    if (result == 0)
        result = write_table(txn, STATE_VALUES, state, &order, error);
    if (result == 0)
        result = write_table(txn, STATE_COMMANDS, state, &order, error);
    value_order_release(&order);
    return result;
}

int state_checkpoint(struct state *state, const struct state_position *position, size_t memory,
                     struct error *error)
{
    struct state_store *store = state->store;
    struct db_txn *txn;

    db_abort(store->snapshot);
    store->snapshot = NULL;
    if (db_begin(store->db, true, &txn, error) < 0)
        return -1;
    store->pages = 0;
    if (write_tables(txn, state, error) < 0 ||
        state_position_write(txn, position, error) < 0) {
        db_abort(txn);
        return -1;
    }
    if (db_commit(txn, error) < 0)
        return -1;
    store->position = *position;
    saved(state, memory);
    return 0;
}

int state_mark_durable(struct state *state, const uint64_t durable[2], struct error *error)
{
    struct state_position position = state->store->position;
    struct db_txn *txn;

    memcpy(position.durable, durable, sizeof position.durable);
    db_abort(state->store->snapshot);
    state->store->snapshot = NULL;
    if (db_begin(state->store->db, true, &txn, error) < 0)
        return -1;
    if (state_position_write(txn, &position, error) < 0) {
        db_abort(txn);
        return -1;
    }
    if (db_commit(txn, error) < 0)
        return -1;
    state->store->position = position;
    return 0;
}

void state_forget(struct state *state)
{
    table_release(&state->values);
    table_release(&state->commands);
    table_release(&state->actors);
    state->undo.len = 0;
    state->open = 0;
    if (!state->store)
        return;
    state->store->dirty.len = 0;
    state->store->saved_commands = 0;
}

/* --- opening --- */

/* Whether anything was ever written, and the position. */
static int look_around(struct state_store *store, struct db_txn *txn,
                       struct state_position *position, struct error *error)
{
    struct db_bytes key = {"", 1}, found;
    int result = db_seek(txn, STATE_VALUES, &key, &found, error);
    size_t values, commands;

    if (result < 0 || db_pages(txn, STATE_VALUES, &values, error) < 0 ||
        db_pages(txn, STATE_COMMANDS, &commands, error) < 0 ||
        state_position_read(txn, position, error) < 0)
        return -1;
    store->empty = result == 0;
    store->pages = values + commands;
    store->position = *position;
    return 0;
}

/* One that a newer version wrote is refused as it is: it may have other tables, and opened for writing
 * it would get ours. */
static int refuse_newer(const char *folder, struct error *error)
{
    static const char *const meta[] = {"meta", NULL};
    struct db_txn *txn;
    struct db *db;
    char path[4096];
    int result;

    folder_path(path, sizeof path, folder, "data.mdb");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (db_open(folder, meta, false, &db, error) < 0)
        return -1;
    result = db_begin(db, false, &txn, error);
    if (result == 0) {
        result = state_format_check(txn, error);
        db_abort(txn);
    }
    db_close(db);
    return result < 0 ? -1 : 0;
}

int state_open(struct state *state, const char *folder, struct state_position *position,
               struct error *error)
{
    struct state_store *store = calloc(1, sizeof *store);
    struct db_txn *txn;

    if (!store)
        return error_memory(error);
    state->store = store;
    if (folder_make(folder, error) < 0 || refuse_newer(folder, error) < 0)
        return -1;
    if (db_open(folder, state_tables, true, &store->db, error) < 0 ||
        db_begin(store->db, true, &txn, error) < 0)
        return -1;
    if (state_format_take(txn, error) < 0 || look_around(store, txn, position, error) < 0) {
        db_abort(txn);
        return -1;
    }
    if (db_commit(txn, error) < 0)
        return -1;
    if (!position->kept && folder_sync(folder) < 0)
        return error_errno(error, EX_IOERR, "can't make the state in %s durable", folder);
    return 0;
}

int state_clear(struct state *state, struct error *error)
{
    struct state_position nothing = {0};
    struct state_store *store = state->store;
    struct db_txn *txn;

    db_abort(store->snapshot);
    store->snapshot = NULL;
    if (db_begin(store->db, true, &txn, error) < 0)
        return -1;
    if (db_clear(txn, STATE_VALUES, error) < 0 || db_clear(txn, STATE_COMMANDS, error) < 0 ||
        state_position_write(txn, &nothing, error) < 0) {
        db_abort(txn);
        return -1;
    }
    state_forget(state);
    store->empty = true;
    store->position = nothing;
    return db_commit(txn, error);
}

void state_store_close(struct state_store *store)
{
    if (!store)
        return;
    db_abort(store->snapshot);
    db_close(store->db);
    buffer_release(&store->dirty);
    free(store);
}
