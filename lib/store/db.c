#include "store/db.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Address space is what a larger map costs, not disk. It always reaches this far beyond what is
 * used: more than a batch of 1,048,576 records takes, each of which may copy three leaf pages. */
static const size_t headroom = (size_t)16 << 30;

struct db {
    MDB_env *env;
    MDB_dbi table[DB_TABLES];
    pthread_rwlock_t remap; /* held shared by transactions: the map moves only without any */
};

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    MDB_cursor *cursors[DB_TABLES]; /* opened when first needed: neighbours are found from there */
};

static int failed(int code, const char *what, struct error *error)
{
    return error_set(error, code == MDB_READERS_FULL ? EX_TEMPFAIL : EX_IOERR, "%s: %s", what,
                     mdb_strerror(code));
}

/* When it is opened, a file may turn out to be no database, or a damaged one. */
static int failed_open(int code, const char *what, struct error *error)
{
    failed(code, what, error);
    if (code == MDB_CORRUPTED || code == MDB_INVALID || code == MDB_VERSION_MISMATCH ||
        code == MDB_PAGE_NOTFOUND || code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE)
        error->status = EX_DATAERR;
    return -1;
}

static int open_tables(struct db *db, const char *const *tables, bool write, struct error *error)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, &txn);

    if (code)
        return failed(code, "can't begin a transaction", error);
    for (int i = 0; tables[i]; i++) {
        code = mdb_dbi_open(txn, tables[i], write ? MDB_CREATE : 0, &db->table[i]);
        if (code) {
            mdb_txn_abort(txn);
            return failed_open(code, tables[i], error);
        }
    }
    code = mdb_txn_commit(txn);
    return code ? failed(code, "can't commit", error) : 0;
}

int db_open(const char *folder, const char *const *tables, bool write, struct db **out,
            struct error *error)
{
    struct db *db = calloc(1, sizeof *db);
    int code, cleared;

    if (!db)
        return error_memory(error);
    pthread_rwlock_init(&db->remap, NULL);
    code = mdb_env_create(&db->env);
    if (!code)
        code = mdb_env_set_maxreaders(db->env, 4096);
    if (!code)
        code = mdb_env_set_maxdbs(db->env, DB_TABLES);
    if (!code)
        code = mdb_env_open(db->env, folder, (write ? 0 : MDB_RDONLY) | MDB_NOTLS, 0666);
    if (!code)
        code = mdb_reader_check(db->env, &cleared);
    if (code == EACCES && !write)
        error_set(error, EX_IOERR,
                  "%s: permission denied: who reads it must be able to write its lock.mdb, where "
                  "readers register", folder);
    else if (code)
        failed_open(code, folder, error);
    else if (open_tables(db, tables, write, error) == 0) {
        *out = db;
        return 0;
    }
    db_close(db);
    return -1;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    if (db->env)
        mdb_env_close(db->env);
    pthread_rwlock_destroy(&db->remap);
    free(db);
}

/* The map, made larger if a writing transaction could outgrow it. */
static int make_room(struct db *db)
{
    MDB_envinfo info;
    MDB_stat stat;
    size_t used;

    mdb_env_info(db->env, &info);
    mdb_env_stat(db->env, &stat);
    used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (info.me_mapsize >= used + headroom)
        return 0;
    return mdb_env_set_mapsize(db->env, (used / headroom + 2) * headroom + used / 2 / 4096 * 4096);
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
        return failed(code, "can't begin a transaction", error);
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

int db_commit(struct db_txn *txn, struct error *error)
{
    int code;

    close_cursors(txn);
    code = mdb_txn_commit(txn->txn);
    end(txn);
    return code ? failed(code, "can't commit", error) : 0;
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
        return failed(code, "can't read", error);
    *value = (struct db_bytes){found.mv_data, found.mv_size};
    return 1;
}

static int cursor_of(struct db_txn *txn, int table, MDB_cursor **cursor, struct error *error)
{
    int code = 0;

    if (!txn->cursors[table])
        code = mdb_cursor_open(txn->txn, txn->db->table[table], &txn->cursors[table]);
    *cursor = txn->cursors[table];
    return code ? failed(code, "can't open a cursor", error) : 0;
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
    return code ? failed(code, "can't write", error) : 1;
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

    return code ? failed(code, "can't clear", error) : 0;
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
        return failed(code, "can't read", error);
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
        return failed(code, "can't read", error);
    *key = (struct db_bytes){where.mv_data, where.mv_size};
    *value = (struct db_bytes){found.mv_data, found.mv_size};
    return 1;
}
