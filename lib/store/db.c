#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/db_env.h"

/* Address space is what a larger map costs, not disk. It always reaches this far beyond what is
 * used: more than a batch of 1,048,576 records takes, each of which may copy three leaf pages; of a lazy
 * one, which puts several batches at once, more than MOST_OUTCOMES and MOST_CHANGED (view_batch.c) and
 * a batch of each. It is made larger in steps, since everybody has to map it anew then. */
static const size_t headroom = (size_t)13 << 30, lazy_headroom = (size_t)26 << 30,
                    step = (size_t)1 << 30;

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    MDB_cursor *cursors[DB_TABLES]; /* opened when first needed: neighbours are found from there */
};

/* The map, made larger if a writing transaction could outgrow it. */
static int make_room(struct db *db)
{
    MDB_envinfo info;
    MDB_stat stat;
    size_t used, room = db->lazy ? lazy_headroom : headroom;

    mdb_env_info(db->env, &info);
    mdb_env_stat(db->env, &stat);
    used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (info.me_mapsize >= used + room)
        return 0;
    return mdb_env_set_mapsize(db->env, room + (used + used / 2) / step * step + step);
}

/* Takes over the map's new size, which another process chose. */
static int adopt_size(struct db *db)
{
    int code;

    pthread_rwlock_unlock(&db->remap);
    pthread_rwlock_wrlock(&db->remap);
    code = mdb_env_set_mapsize(db->env, 0);
    pthread_rwlock_unlock(&db->remap);
    pthread_rwlock_rdlock(&db->remap);
    return code;
}

int db_begin(struct db *db, bool write, struct db_txn **out, struct error *error)
{
    struct db_txn *txn = malloc(sizeof *txn);
    int code = 0;

    if (!txn)
        return error_memory(error);
    *txn = (struct db_txn){.db = db};
    if (write) {
        pthread_rwlock_wrlock(&db->remap);
        code = make_room(db);
        pthread_rwlock_unlock(&db->remap);
    }
    pthread_rwlock_rdlock(&db->remap);
    if (!code)
        code = mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn);
    while (code == MDB_MAP_RESIZED) {
        code = adopt_size(db);
        if (!code)
            code = mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn);
    }
    if (code) {
        pthread_rwlock_unlock(&db->remap);
        free(txn);
        return db_failed(code, "can't begin a transaction", error);
    }
    *out = txn;
    return 0;
}

static void end(struct db_txn *txn)
{
    pthread_rwlock_unlock(&txn->db->remap);
    free(txn);
}

static void close_cursors(struct db_txn *txn)
{
    for (int i = 0; i < DB_TABLES; i++)
        if (txn->cursors[i])
            mdb_cursor_close(txn->cursors[i]);
}

/* What was committed just now, if it isn't the first one; and all that comes. */
static int defer(struct db *db)
{
    unsigned flags;

    mdb_env_get_flags(db->env, &flags);
    if (!(flags & MDB_NOMETASYNC))
        return mdb_env_set_flags(db->env, MDB_NOMETASYNC, 1);
    db->behind = !db->lazy; /* a lazy one is synced when it no longer is */
    return 0;
}

int db_commit(struct db_txn *txn, struct error *error)
{
    int code;

    close_cursors(txn);
    code = mdb_txn_commit(txn->txn);
    if (!code && txn->db->defers)
        code = defer(txn->db);
    end(txn);
    return code ? db_failed(code, "can't commit", error) : 0;
}

void db_abort(struct db_txn *txn)
{
    if (!txn)
        return;
    close_cursors(txn);
    mdb_txn_abort(txn->txn);
    end(txn);
}

int db_get(struct db_txn *txn, int table, const void *key, size_t key_len, struct db_bytes *value,
           struct error *error)
{
    MDB_val wanted = {key_len, (void *)(uintptr_t)key}, found;
    int code = mdb_get(txn->txn, txn->db->table[table], &wanted, &found);

    if (code == MDB_NOTFOUND)
        return 0;
    if (code)
        return db_failed(code, "can't read", error);
    *value = (struct db_bytes){found.mv_data, found.mv_size};
    return 1;
}

static int cursor_of(struct db_txn *txn, int table, MDB_cursor **cursor, struct error *error)
{
    int code = 0;

    if (!txn->cursors[table])
        code = mdb_cursor_open(txn->txn, txn->db->table[table], &txn->cursors[table]);
    *cursor = txn->cursors[table];
    return code ? db_failed(code, "can't open a cursor", error) : 0;
}

/* 1, 0 if MDB_NOOVERWRITE found the key there, -1. */
static int put(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
               size_t len, unsigned flags, struct error *error)
{
    MDB_val where = {key_len, (void *)(uintptr_t)key}, what = {len, (void *)(uintptr_t)value};
    MDB_cursor *cursor;
    int code;

    if (cursor_of(txn, table, &cursor, error) < 0)
        return -1;
    code = mdb_cursor_put(cursor, &where, &what, flags);
    if (code == MDB_KEYEXIST && flags == MDB_NOOVERWRITE)
        return 0;
    return code ? db_failed(code, "can't write", error) : 1;
}

int db_put(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
           size_t len, struct error *error)
{
    return put(txn, table, key, key_len, value, len, 0, error) < 0 ? -1 : 0;
}

int db_append(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
              size_t len, struct error *error)
{
    return put(txn, table, key, key_len, value, len, MDB_APPEND, error) < 0 ? -1 : 0;
}

int db_insert(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
              size_t len, struct error *error)
{
    return put(txn, table, key, key_len, value, len, MDB_NOOVERWRITE, error);
}

int db_clear(struct db_txn *txn, int table, struct error *error)
{
    int code = mdb_drop(txn->txn, txn->db->table[table], 0);

    return code ? db_failed(code, "can't clear", error) : 0;
}

int db_seek_last(struct db_txn *txn, int table, struct db_bytes *key, struct db_bytes *value,
                 struct error *error)
{
    MDB_val where = {key->len, (void *)(uintptr_t)key->data}, found;
    MDB_cursor *cursor;
    int code;

    if (cursor_of(txn, table, &cursor, error) < 0)
        return -1;
    code = mdb_cursor_get(cursor, &where, &found, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND ||
        (code == 0 && (where.mv_size != key->len || memcmp(where.mv_data, key->data, key->len))))
        code = mdb_cursor_get(cursor, &where, &found, code == 0 ? MDB_PREV : MDB_LAST);
    if (code == MDB_NOTFOUND)
        return 0;
    if (code)
        return db_failed(code, "can't read", error);
    *key = (struct db_bytes){where.mv_data, where.mv_size};
    *value = (struct db_bytes){found.mv_data, found.mv_size};
    return 1;
}

int db_seek(struct db_txn *txn, int table, struct db_bytes *key, struct db_bytes *value,
            struct error *error)
{
    MDB_val where = {key->len, (void *)(uintptr_t)key->data}, found;
    MDB_cursor *cursor;
    int code;

    if (cursor_of(txn, table, &cursor, error) < 0)
        return -1;
    code = mdb_cursor_get(cursor, &where, &found, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND)
        return 0;
    if (code)
        return db_failed(code, "can't read", error);
    *key = (struct db_bytes){where.mv_data, where.mv_size};
    *value = (struct db_bytes){found.mv_data, found.mv_size};
    return 1;
}

int db_pages(struct db_txn *txn, int table, size_t *pages, struct error *error)
{
    MDB_stat stat;
    int code = mdb_stat(txn->txn, txn->db->table[table], &stat);

    if (code)
        return db_failed(code, "can't read", error);
    *pages = stat.ms_leaf_pages;
    return 0;
}

bool db_is_scattered(uint64_t changes, uint64_t ahead, uint64_t pages)
{
    enum { MANY = 16384, A_PAGE = 2 };

    return changes > MANY && (changes + ahead) / A_PAGE < pages;
}

/* --- walks --- */

enum { KEY_BYTES = 511 };

struct db_cursor {
    MDB_cursor *cursor;
    bool looked; /* for the last key, before the first put */
    bool beyond; /* what is put now stands behind it */
    size_t last_len;
    unsigned char last[KEY_BYTES];
};

int db_cursor_open(struct db_txn *txn, int table, struct db_cursor **out, struct error *error)
{
    struct db_cursor *cursor = calloc(1, sizeof *cursor);
    int code;

    if (!cursor)
        return error_memory(error);
    code = mdb_cursor_open(txn->txn, txn->db->table[table], &cursor->cursor);
    if (code) {
        free(cursor);
        return db_failed(code, "can't read", error);
    }
    *out = cursor;
    return 0;
}

void db_cursor_close(struct db_cursor *cursor)
{
    if (!cursor)
        return;
    mdb_cursor_close(cursor->cursor);
    free(cursor);
}

int db_cursor_next(struct db_cursor *cursor, struct db_bytes *key, struct db_bytes *value,
                   struct error *error)
{
    MDB_val where, what;
    int code = mdb_cursor_get(cursor->cursor, &where, &what, MDB_NEXT);

    if (code == MDB_NOTFOUND)
        return 0;
    if (code)
        return db_failed(code, "can't read", error);
    *key = (struct db_bytes){where.mv_data, where.mv_size};
    *value = (struct db_bytes){what.mv_data, what.mv_size};
    return 1;
}

/* The last key of the table, as it is before anything is put. */
static int look_for_last(struct db_cursor *cursor, struct error *error)
{
    MDB_val where, what;
    int code = mdb_cursor_get(cursor->cursor, &where, &what, MDB_LAST);

    cursor->looked = true;
    cursor->beyond = code == MDB_NOTFOUND;
    if (code && code != MDB_NOTFOUND)
        return db_failed(code, "can't read", error);
    if (code == 0 && where.mv_size <= KEY_BYTES) {
        cursor->last_len = where.mv_size;
        memcpy(cursor->last, where.mv_data, where.mv_size);
    }
    return 0;
}

static bool is_beyond(const struct db_cursor *cursor, const void *key, size_t len)
{
    size_t common = len < cursor->last_len ? len : cursor->last_len;
    int order = memcmp(key, cursor->last, common);

    return order > 0 || (order == 0 && len > cursor->last_len);
}

/* LMDB needs no search for what is appended, and fills its pages. */
static int cursor_put(struct db_cursor *cursor, const void *key, size_t key_len, const void *value,
                      size_t len, unsigned flags, struct error *error)
{
    MDB_val where = {key_len, (void *)(uintptr_t)key}, what = {len, (void *)(uintptr_t)value};
    int code;

    if (!cursor->looked && look_for_last(cursor, error) < 0)
        return -1;
    cursor->beyond = cursor->beyond || is_beyond(cursor, key, key_len);
    code = mdb_cursor_put(cursor->cursor, &where, &what, cursor->beyond ? MDB_APPEND : flags);
    if (code == MDB_KEYEXIST && flags == MDB_NOOVERWRITE)
        return 0;
    return code ? db_failed(code, "can't write", error) : 1;
}

int db_cursor_put(struct db_cursor *cursor, const void *key, size_t key_len, const void *value,
                  size_t len, struct error *error)
{
    return cursor_put(cursor, key, key_len, value, len, 0, error) < 0 ? -1 : 0;
}

int db_cursor_insert(struct db_cursor *cursor, const void *key, size_t key_len, const void *value,
                     size_t len, struct error *error)
{
    return cursor_put(cursor, key, key_len, value, len, MDB_NOOVERWRITE, error);
}

static bool ascends(const struct db_bytes *from, const struct db_bytes *to)
{
    size_t common = from->len < to->len ? from->len : to->len;
    int order = memcmp(from->data, to->data, common);

    return order < 0 || (order == 0 && from->len < to->len);
}

int db_count(struct db_txn *txn, int table, uint64_t *count, struct error *error)
{
    struct db_bytes key, value, last = {"", 0};
    struct db_cursor *cursor;
    int result;

    *count = 0;
    if (db_cursor_open(txn, table, &cursor, error) < 0)
        return -1;
    while ((result = db_cursor_next(cursor, &key, &value, error)) > 0) {
        if (!ascends(&last, &key)) {
            result = error_set(error, EX_DATAERR, "a page is damaged: its keys are not in order");
            break;
        }
        last = key;
        ++*count;
    }
    db_cursor_close(cursor);
    return result;
}
