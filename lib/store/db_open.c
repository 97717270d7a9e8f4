/* Opening a database: what is made durable before it has its name, and what of damage is seen early. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/folder.h"
#include "store/db_env.h"

int db_failed(int code, const char *what, struct error *error)
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
    db_failed(code, what, error);
    if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH || code == MDB_NOTFOUND ||
        code == MDB_INCOMPATIBLE)
        error->status = EX_DATAERR;
    return -1;
}

/* While a damaged file is expected: where to go on if it is one. */
static _Thread_local sigjmp_buf *expected;

/* The same, found by the processor: what a page says leads behind the end of the file. No other files
 * than databases are mapped to be read here. */
static void beyond_file(int signal)
{
    static const char text[] = ": a database is damaged: a page leads beyond its file\n";
    const char *name = program_invocation_short_name;

    (void)signal;
    if (expected)
        siglongjmp(*expected, 1);
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
        return db_failed(code, "can't begin a transaction", error);
    for (int i = 0; tables[i]; i++) {
        code = mdb_dbi_open(txn, tables[i], write ? MDB_CREATE : 0, &db->table[i]);
        if (code) {
            mdb_txn_abort(txn);
            return failed_open(code, tables[i], error);
        }
    }
    code = mdb_txn_commit(txn);
    return code ? db_failed(code, "can't commit", error) : 0;
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

    if (folder_path(name, sizeof name, folder, "data.mdb") < 0)
        return error_set(error, EX_IOERR, "%s: name too long", folder);
    if (access(name, F_OK) == 0)
        return 0;
    if (errno != ENOENT) /* it may be there, and must not be replaced by an empty one */
        return error_errno(error, EX_IOERR, "can't look for %s", name);
    folder_path(temporary, sizeof temporary, folder, "new.mdb");
    unlink(temporary);
    code = open_env(&db, temporary, MDB_NOSUBDIR | MDB_NOLOCK);
    result = code ? failed_open(code, temporary, error) : open_tables(&db, tables, true, error);
    if (db.env)
        mdb_env_close(db.env);
    if (result == 0 && (rename(temporary, name) < 0 || folder_sync(folder) < 0))
        return error_errno(error, EX_IOERR, "can't make %s", name);
    return result;
}

/* How many of the pages from `first` to `last` are free. LMDB's list of them is its table 0: a record for
 * each transaction, of their count and their numbers, as mdb_stat -f reads it. */
static int count_free(MDB_cursor *cursor, size_t first, size_t last, size_t *count)
{
    MDB_val key, record;
    int code;

    *count = 0;
    while (!(code = mdb_cursor_get(cursor, &key, &record, MDB_NEXT))) {
        size_t room = record.mv_size / sizeof(size_t), listed, page;
        memcpy(&listed, record.mv_data, room ? sizeof listed : 0);
        if (!room || listed >= room)
            return MDB_CORRUPTED;
        for (size_t i = 1; i <= listed; i++) {
            memcpy(&page, (const char *)record.mv_data + i * sizeof page, sizeof page);
            *count += page >= first && page <= last;
        }
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Whether they all are. The list may itself stand behind the file's end, or be damaged. */
static bool are_free(MDB_txn *txn, size_t first, size_t last)
{
    sigjmp_buf out;
    volatile bool result = false;
    MDB_cursor *cursor;
    size_t count;

    if (mdb_cursor_open(txn, 0, &cursor))
        return false;
    if (sigsetjmp(out, 1) == 0) {
        expected = &out;
        result = count_free(cursor, first, last, &count) == 0 && count == last + 1 - first;
    }
    expected = NULL;
    mdb_cursor_close(cursor);
    return result;
}

/* Whether those of this commit's pages are free that the file doesn't reach: 1, 0, -1. If a snapshot is of
 * another commit, that can't be told: somebody commits just now, or was killed while he did, and others have
 * it open ever since. Then who reads a page that is missing finds out. */
static int lacks_nothing(struct db *db, const MDB_envinfo *info, size_t pages, struct error *error)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn), result;

    if (code)
        return db_failed(code, "can't begin a transaction", error);
    result = info->me_last_txnid != mdb_txn_id(txn) || are_free(txn, pages, info->me_last_pgno);
    mdb_txn_abort(txn);
    return result;
}

/* Who reads a page behind the file's end through the map dies of SIGBUS. LMDB writes every page up to
 * the last one that it took, but for those that were freed again at once, as happens to its own list of
 * free pages. */
static int check_size(struct db *db, const char *folder, struct error *error)
{
    struct stat status;
    MDB_envinfo info;
    MDB_stat stat;
    size_t pages;
    int fd, whole;

    mdb_env_info(db->env, &info); /* first: what is committed by now is in the file */
    mdb_env_stat(db->env, &stat);
    mdb_env_get_fd(db->env, &fd);
    if (fstat(fd, &status) < 0)
        return error_errno(error, EX_IOERR, "%s", folder);
    pages = (size_t)status.st_size / stat.ms_psize;
    whole = pages > info.me_last_pgno ? 1 : lacks_nothing(db, &info, pages, error);
    if (whole)
        return whole < 0 ? -1 : 0;
    return error_set(error, EX_DATAERR, "%s/data.mdb is damaged: it has %llu bytes, but %llu pages",
                     folder, (unsigned long long)status.st_size,
                     (unsigned long long)info.me_last_pgno + 1);
}

/* LMDB takes an empty file for a new database, which is made otherwise. */
static bool is_empty(const char *folder)
{
    struct stat status;
    char name[4096];

    return folder_path(name, sizeof name, folder, "data.mdb") == 0 && stat(name, &status) == 0 &&
           status.st_size == 0;
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

    folder_path(lock, sizeof lock, folder, "lock.mdb");
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

    db->lazy = lazy;
    if (!code && !lazy)
        code = mdb_env_sync(db->env, 1);
    return code ? db_failed(code, "can't sync", error) : 0;
}

void db_defer(struct db *db)
{
    db->defers = true;
}

int db_sync(struct db *db, struct error *error)
{
    int code = db->behind ? mdb_env_sync(db->env, 1) : 0;

    if (code)
        return db_failed(code, "can't sync", error);
    db->behind = false;
    return 0;
}
