/* The state's store: an LMDB environment, whose tables are drawn in state_records.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "calc/message.h"
#include "store/state_records.h"

struct state_store {
    struct db *db;
    struct db_txn *snapshot; /* for looking up; NULL between a checkpoint and the next look */
    uint32_t saved_commands; /* entries of commands that the store has */
    struct buffer dirty;     /* indices of values that it hasn't, as they are now */
    bool empty;              /* it holds nothing: no need to look */
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
    put_bytes(put_bytes(key, value->id.bytes, 16), command_id->bytes, 16);
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

/* --- checkpoints --- */

static int write_value(struct db_txn *txn, const struct state *state,
                       const struct value_entry *value, struct error *error)
{
    const struct actor *owner = NULL;
    unsigned char bytes[STATE_VALUE_BYTES];
    size_t len;

    if (value->owner)
        owner = &((struct actor_entry *)table_at(&state->actors, value->owner - 1))->actor;
    len = state_value_encode(&value->value, owner, bytes);
    return db_put(txn, STATE_VALUES, value->id.bytes, 16, bytes, len, error);
}

static int write_values(struct db_txn *txn, const struct state *state, struct error *error)
{
    const struct buffer *dirty = &state->store->dirty;
    const uint32_t *index = (const uint32_t *)dirty->data;

    for (size_t i = 0; i < dirty->len / sizeof *index; i++)
        if (write_value(txn, state, table_at(&state->values, index[i]), error) < 0)
            return -1;
    return 0;
}

struct command_record {
    unsigned char key[32];
    struct body body;
};

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof((struct command_record *)0)->key);
}

/* In the order of their keys: neighbours go to the same pages. */
static int write_commands(struct db_txn *txn, const struct state *state, struct error *error)
{
    uint32_t from = state->store->saved_commands, count = state->commands.count - from;
    struct command_record *records = malloc((count + 1) * sizeof *records);
    int result = 0;

    if (!records)
        return error_memory(error);
    for (uint32_t i = 0; i < count; i++) {
        const struct command_entry *entry = table_at(&state->commands, from + i);
        command_key(table_at(&state->values, entry->key.value), &entry->key.id, records[i].key);
        records[i].body = entry->body;
    }
    qsort(records, count, sizeof *records, by_key);
    for (uint32_t i = 0; result == 0 && i < count; i++)
        result = db_put(txn, STATE_COMMANDS, records[i].key, sizeof records[i].key,
                        records[i].body.bytes, BODY_BYTES, error);
    free(records);
    return result;
}

/* What a checkpoint wrote is the store's. */
static void saved(struct state *state, size_t memory)
{
    struct state_store *store = state->store;
    const uint32_t *index = (const uint32_t *)store->dirty.data;
    size_t used = (size_t)state->values.cap * sizeof(struct value_entry) +
                  (size_t)state->commands.cap * sizeof(struct command_entry) +
                  (size_t)state->actors.cap * sizeof(struct actor_entry);

    for (size_t i = 0; i < store->dirty.len / sizeof *index; i++) {
        struct value_entry *value = table_at(&state->values, index[i]);
        value->dirty = false;
        value->stored = true;
    }
    store->dirty.len = 0;
    store->empty = store->empty && state->values.count == 0;
    if (used > memory) {
        table_release(&state->values);
        table_release(&state->commands);
        table_release(&state->actors);
    }
    store->saved_commands = state->commands.count;
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
    if (write_values(txn, state, error) < 0 || write_commands(txn, state, error) < 0 ||
        state_position_write(txn, position, error) < 0) {
        db_abort(txn);
        return -1;
    }
    if (db_commit(txn, error) < 0)
        return -1;
    saved(state, memory);
    return 0;
}

/* --- opening --- */

/* Whether anything was ever written, and the position. */
static int look_around(struct state_store *store, struct db_txn *txn,
                       struct state_position *position, struct error *error)
{
    struct db_bytes key = {"", 1}, found;
    int result = db_seek(txn, STATE_VALUES, &key, &found, error);

    store->empty = result == 0;
    return result < 0 ? -1 : state_position_read(txn, position, error);
}

int state_open(struct state *state, const char *folder, struct state_position *position,
               struct error *error)
{
    struct state_store *store = calloc(1, sizeof *store);
    struct db_txn *txn;

    if (!store)
        return error_memory(error);
    state->store = store;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return error_errno(error, EX_IOERR, "can't make the folder %s", folder);
    if (db_open(folder, state_tables, true, &store->db, error) < 0 ||
        db_begin(store->db, true, &txn, error) < 0)
        return -1;
    if (state_format_take(txn, error) < 0 || look_around(store, txn, position, error) < 0) {
        db_abort(txn);
        return -1;
    }
    return db_commit(txn, error);
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
    table_release(&state->values);
    table_release(&state->commands);
    table_release(&state->actors);
    store->dirty.len = 0;
    store->saved_commands = 0;
    store->empty = true;
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
