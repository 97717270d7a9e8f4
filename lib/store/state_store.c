/* The state's store: an LMDB environment. Its tables, all numbers big-endian, doubles as their bits:
 *
 *   meta      "format"            -> format:8
 *             "position"          -> begun:1 partitions:8 first:8 last:8 next:8 first_digest:16
 *                                    last_digest:16 events_end:8 rejections_end:8
 *   values    id:16               -> version:8 number:8 owner:rest
 *                                    (version 0: only rejected commands are known of it)
 *   commands  value_id:16 id:16   -> body:20
 *
 * When any of it changes, STATE_FORMAT goes up, and a store of another format is refused: its folder
 * has to be removed, and the state is derived again from the commands. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "calc/message.h"
#include "store/db.h"
#include "store/state_records.h"

enum { STATE_FORMAT = 1, VALUE_BYTES = 16, POSITION_BYTES = 81 };
enum { STATE_META, STATE_VALUES, STATE_COMMANDS };

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

static int damaged(const char *table, struct error *error)
{
    return error_set(error, EX_DATAERR, "the state is damaged: a record in %s isn't as it has to be",
                     table);
}

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
    const unsigned char *at;
    int result =
        look(state->store, STATE_VALUES, entry->id.bytes, sizeof entry->id.bytes, &found, error);

    if (result <= 0)
        return result;
    if (found.len < VALUE_BYTES ||
        actor_set(&owner, (const char *)found.data + VALUE_BYTES, found.len - VALUE_BYTES) < 0)
        return damaged("values", error);
    at = get_u64(found.data, &entry->value.version);
    get_double(at, &entry->value.number);
    if (!isfinite(entry->value.number))
        return damaged("values", error);
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
    if (found.len != BODY_BYTES)
        return damaged("commands", error);
    memcpy(body->bytes, found.data, BODY_BYTES);
    return 1;
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

static int write_position(struct db_txn *txn, const struct state_position *position,
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
    put_u64(at, position->ends[1]);
    return db_put(txn, STATE_META, "position", 8, bytes, sizeof bytes, error);
}

static int read_position(struct db_txn *txn, struct state_position *position, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    uint64_t partitions;
    int result = db_get(txn, STATE_META, "position", 8, &found, error);

    *position = (struct state_position){0};
    if (result <= 0)
        return result;
    if (found.len != POSITION_BYTES)
        return damaged("meta", error);
    at = found.data;
    position->begun = *at++;
    at = get_u64(at, &partitions);
    position->partitions = (int32_t)partitions;
    at = get_u64(at, &position->first);
    at = get_u64(at, &position->last);
    at = get_u64(at, &position->next);
    at = get_bytes(at, position->first_digest.bytes, 16);
    at = get_bytes(at, position->last_digest.bytes, 16);
    at = get_u64(at, &position->ends[0]);
    get_u64(at, &position->ends[1]);
    return 0;
}

static int write_value(struct db_txn *txn, const struct state *state,
                       const struct value_entry *value, struct error *error)
{
    unsigned char bytes[VALUE_BYTES + ACTOR_MAX_BYTES], *at = bytes;

    at = put_u64(at, value->value.version);
    at = put_double(at, value->value.number);
    if (value->owner) {
        const struct actor_entry *owner = table_at(&state->actors, value->owner - 1);
        at = put_bytes(at, owner->actor.text, owner->actor.len);
    }
    return db_put(txn, STATE_VALUES, value->id.bytes, 16, bytes, (size_t)(at - bytes), error);
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
        write_position(txn, position, error) < 0) {
        db_abort(txn);
        return -1;
    }
    if (db_commit(txn, error) < 0)
        return -1;
    saved(state, memory);
    return 0;
}

/* --- opening --- */

static int check_format(struct db_txn *txn, struct error *error)
{
    unsigned char bytes[8];
    struct db_bytes found;
    uint64_t format = 0;
    int result = db_get(txn, STATE_META, "format", 6, &found, error);

    put_u64(bytes, STATE_FORMAT);
    if (result == 0) /* new */
        return db_put(txn, STATE_META, "format", 6, bytes, sizeof bytes, error);
    if (result > 0 && found.len == 8)
        get_u64(found.data, &format);
    if (result > 0 && format != STATE_FORMAT)
        return error_set(error, EX_DATAERR, "the state has format %llu, this version knows %d",
                         (unsigned long long)format, STATE_FORMAT);
    return result < 0 ? -1 : 0;
}

/* Whether anything was ever written, and the position. */
static int look_around(struct state_store *store, struct db_txn *txn,
                       struct state_position *position, struct error *error)
{
    struct db_bytes key = {"", 1}, found;
    int result = db_seek(txn, STATE_VALUES, &key, &found, error);

    store->empty = result == 0;
    return result < 0 ? -1 : read_position(txn, position, error);
}

int state_open(struct state *state, const char *folder, struct state_position *position,
               struct error *error)
{
    static const char *const tables[] = {"meta", "values", "commands", NULL};
    struct state_store *store = calloc(1, sizeof *store);
    struct db_txn *txn;

    if (!store)
        return error_memory(error);
    state->store = store;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return error_errno(error, EX_IOERR, "can't make the folder %s", folder);
    if (db_open(folder, tables, true, &store->db, error) < 0 ||
        db_begin(store->db, true, &txn, error) < 0)
        return -1;
    if (check_format(txn, error) < 0 || look_around(store, txn, position, error) < 0) {
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
        write_position(txn, &nothing, error) < 0) {
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
