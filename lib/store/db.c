#include "store/db.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/folder.h"

/* Address space is what a larger map costs, not disk. It always reaches this far beyond what is
 * used: more than a batch of 1,048,576 records takes, each of which may copy three leaf pages. It is
 * made larger in steps, since everybody has to map it anew then. */
static const size_t headroom = (size_t)13 << 30, step = (size_t)1 << 30;

struct db {
    MDB_env *env;
    MDB_dbi table[DB_TABLES];
    pthread_rwlock_t remap; /* held shared by transactions: the map moves only without any */
    bool unregistered; /* its readers are */
    size_t opened_at;  /* the transaction that was the last one when it was opened */
};

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    MDB_cursor *cursors[DB_TABLES]; /* opened when first needed: neighbours are found from there */
};

static int failed(int code, const char *what, struct error *error)
{
    int status = EX_IOERR;

    if (code == MDB_READERS_FULL)
        status = EX_TEMPFAIL;
    else if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_BAD_TXN)
        status = EX_DATAERR;
    if (code == EIO) /* which it is for LMDB, too, when the disk took only a part */
        return error_set(error, status, "%s: no space left on device, or an input/output error", what);
    return error_set(error, status, "%s: %s", what, mdb_strerror(code));
}

/* LMDB found a page that contradicts itself, and would abort: from here nothing can be returned. */
static void assertion_failed(MDB_env *env, const char *what)
{
    const char *path = "a database";

    mdb_env_get_path(env, &path);
    diag_error("%s is damaged: %s", path, what);
    _exit(EX_DATAERR);
}

/* When it is opened, a file may turn out to be no database, or a damaged one. */
static int failed_open(int code, const char *what, struct error *error)
{
    failed(code, what, error);
    if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH || code == MDB_NOTFOUND ||
        code == MDB_INCOMPATIBLE)
        error->status = EX_DATAERR;
    return -1;
}

/* The same, found by the processor: what a page says leads behind the end of the file. No other files
 * than databases are mapped to be read here. */
static void beyond_file(int signal)
{
    static const char text[] = ": a database is damaged: a page leads beyond its file\n";
    const char *name = program_invocation_short_name;

    (void)signal;
    if (write(STDERR_FILENO, name, strlen(name)) < 0 ||
        write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(EX_DATAERR); /* which it does anyway */
    _exit(EX_DATAERR);
}

static void watch_bus(void)
{
    struct sigaction action = {.sa_handler = beyond_file};

    sigaction(SIGBUS, &action, NULL);
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

static int open_env(struct db *db, const char *path, unsigned flags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int code = mdb_env_create(&db->env);

    pthread_once(&once, watch_bus);
    if (!code)
        code = mdb_env_set_assert(db->env, assertion_failed);
    if (!code)
        code = mdb_env_set_maxreaders(db->env, 4096);
    if (!code)
        code = mdb_env_set_maxdbs(db->env, DB_TABLES);
    if (!code)
        code = mdb_env_open(db->env, path, flags | MDB_NOTLS, 0666);
    return code;
}

/* A new file gets its name when it is durable: of one that a power loss left half written LMDB says
 * that it is no database. */
static int make_file(const char *folder, const char *const *tables, struct error *error)
{
    char name[4096], temporary[4096];
    struct db db = {0};
    int code, result;

    if ((size_t)snprintf(name, sizeof name, "%s/data.mdb", folder) >= sizeof name)
        return error_set(error, EX_IOERR, "%s: name too long", folder);
    if (access(name, F_OK) == 0)
        return 0;
    snprintf(temporary, sizeof temporary, "%s/new.mdb", folder);
    unlink(temporary);
    code = open_env(&db, temporary, MDB_NOSUBDIR | MDB_NOLOCK);
    result = code ? failed_open(code, temporary, error) : open_tables(&db, tables, true, error);
    if (db.env)
        mdb_env_close(db.env);
    if (result == 0 && (rename(temporary, name) < 0 || folder_sync(folder) < 0))
        return error_errno(error, EX_IOERR, "can't make %s", name);
    return result;
}

/* Who reads a page behind the file's end through the map dies of SIGBUS. LMDB writes every page up to
 * the last one that it took, but for some that a deletion freed again at once: we delete nothing. */
static int check_size(struct db *db, const char *folder, struct error *error)
{
    struct stat status;
    MDB_envinfo info;
    MDB_stat stat;
    int fd;

    mdb_env_info(db->env, &info);
    mdb_env_stat(db->env, &stat);
    mdb_env_get_fd(db->env, &fd);
    if (fstat(fd, &status) < 0)
        return error_errno(error, EX_IOERR, "%s", folder);
    if ((uint64_t)status.st_size >= ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize)
        return 0;
    return error_set(error, EX_DATAERR, "%s/data.mdb is damaged: it has %llu bytes, but %llu pages",
                     folder, (unsigned long long)status.st_size,
                     (unsigned long long)info.me_last_pgno + 1);
}

/* LMDB takes an empty file for a new database, which is made otherwise. */
static bool is_empty(const char *folder)
{
    struct stat status;
    char name[4096];

    return (size_t)snprintf(name, sizeof name, "%s/data.mdb", folder) < sizeof name &&
           stat(name, &status) == 0 && status.st_size == 0;
}

static int open_with(const char *folder, const char *const *tables, unsigned flags,
                     struct db **out, struct error *error)
{
    struct db *db = calloc(1, sizeof *db);
    bool write = !(flags & MDB_RDONLY);
    int code, cleared;

    if (is_empty(folder)) {
        free(db);
        return error_set(error, EX_DATAERR, "%s/data.mdb is damaged: it is empty", folder);
    }
    if (!db)
        return error_memory(error);
    pthread_rwlock_init(&db->remap, NULL);
    code = open_env(db, folder, flags);
    if (!code)
        code = mdb_reader_check(db->env, &cleared);
    if (code == EACCES && !write)
        error_set(error, EX_IOERR,
                  "%s: permission denied: who reads it must be able to write its lock.mdb, where "
                  "readers register", folder);
    else if (code)
        failed_open(code, folder, error);
    else if (check_size(db, folder, error) == 0 && open_tables(db, tables, write, error) == 0) {
        *out = db;
        return 0;
    }
    db_close(db);
    return -1;
}

int db_open(const char *folder, const char *const *tables, bool write, struct db **db,
            struct error *error)
{
    if (write && make_file(folder, tables, error) < 0)
        return -1;
    return open_with(folder, tables, write ? 0 : MDB_RDONLY, db, error);
}

static size_t last_transaction(const struct db *db)
{
    MDB_envinfo info;

    mdb_env_info(db->env, &info);
    return info.me_last_txnid;
}

int db_open_quietly(const char *folder, const char *const *tables, struct db **db,
                    struct error *error)
{
    char lock[4096];
    bool unregistered;

    snprintf(lock, sizeof lock, "%s/lock.mdb", folder);
    unregistered = access(lock, W_OK) < 0;
    if (open_with(folder, tables, MDB_RDONLY | (unregistered ? MDB_NOLOCK : 0), db, error) < 0)
        return -1;
    (*db)->unregistered = unregistered;
    (*db)->opened_at = last_transaction(*db);
    return 0;
}

bool db_was_written(const struct db *db)
{
    return db->unregistered && last_transaction(db) != db->opened_at;
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

int db_set_lazy(struct db *db, bool lazy, struct error *error)
{
    int code = mdb_env_set_flags(db->env, MDB_NOSYNC, lazy);

    if (!code && !lazy)
        code = mdb_env_sync(db->env, 1);
    return code ? failed(code, "can't sync", error) : 0;
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
    return mdb_env_set_mapsize(db->env, headroom + (used + used / 2) / step * step + step);
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

int db_pages(struct db_txn *txn, int table, size_t *pages, struct error *error)
{
    MDB_stat stat;
    int code = mdb_stat(txn->txn, txn->db->table[table], &stat);

    if (code)
        return failed(code, "can't read", error);
    *pages = stat.ms_leaf_pages;
    return 0;
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
        return failed(code, "can't read", error);
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
        return failed(code, "can't read", error);
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
        return failed(code, "can't read", error);
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
int db_cursor_put(struct db_cursor *cursor, const void *key, size_t key_len, const void *value,
                  size_t len, struct error *error)
{
    MDB_val where = {key_len, (void *)(uintptr_t)key}, what = {len, (void *)(uintptr_t)value};
    int code;

    if (!cursor->looked && look_for_last(cursor, error) < 0)
        return -1;
    cursor->beyond = cursor->beyond || is_beyond(cursor, key, key_len);
    code = mdb_cursor_put(cursor->cursor, &where, &what, cursor->beyond ? MDB_APPEND : 0);
    return code ? failed(code, "can't write", error) : 0;
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
