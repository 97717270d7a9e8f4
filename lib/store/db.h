/* Ordered tables of bytes in a folder, with transactions: the one place that knows LMDB.
 *
 * One process writes, up to 4096 readers see consistent snapshots; a reader never waits for the
 * writer. A database is opened once in a process. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { DB_TABLES = 8 };

struct db;
struct db_txn;
struct db_cursor;

struct db_bytes {
    const void *data;
    size_t len;
};

/* The files of a database in its folder: its pages, its readers, and what a process that was killed left half
 * made. */
#define DB_FILES {"data.mdb", "lock.mdb", "new.mdb"}

/* Opens the database in a folder that exists; `tables` are the names of its tables, ended by NULL.
 * With `write` it and its tables are made if need be, durably. EX_IOERR, or EX_DATAERR for a file
 * that is no database, or shorter than it says. Damage that shows only when a page is read is EX_DATAERR
 * from what reads it; where LMDB would abort, or die of SIGBUS, the process says so and exits with it. */
int db_open(const char *folder, const char *const *tables, bool write, struct db **db,
            struct error *error);
void db_close(struct db *db);

/* Opens it for reading without leaving a trace, for who looks at a copy, too. Where there is no lock.mdb,
 * or it may not be written, readers can't register: then what they read is whole only if nobody
 * writes meanwhile, which db_was_written() tells afterwards. */
int db_open_quietly(const char *folder, const char *const *tables, struct db **db,
                    struct error *error);

/* Whether a transaction was committed since db_open_quietly() that may have overwritten what an
 * unregistered reader's snapshot holds. */
bool db_was_written(const struct db *db);

/* Lazy: what is committed is durable only when it is turned off again, and may be damaged by a crash of
 * the machine until then. A writing transaction has room for 26 gigabytes of changes meanwhile. */
int db_set_lazy(struct db *db, bool lazy, struct error *error);

/* From now on a commit, the first one excepted, is durable only with the next one, or with db_sync(): one wait for the
 * disk instead of two. A crash of the machine loses the last one at most, whole: LMDB has two meta pages, writes them
 * in turn, and takes no page for new data that the other one's snapshot still needs (mdb_env_open, MDB_NOMETASYNC).
 * The first one makes durable what another process may have left. */
void db_defer(struct db *db);
int db_sync(struct db *db, struct error *error);

/* Begins a transaction; a writing one has room for 13 gigabytes of changes. Threads may each
 * have a reading one. It must be ended: committed or aborted (NULL is allowed). */
int db_begin(struct db *db, bool write, struct db_txn **txn, struct error *error);
int db_commit(struct db_txn *txn, struct error *error);
void db_abort(struct db_txn *txn);

/* Table numbers count from 0 as the names did. Keys are 1 to 511 bytes. 1 if it is there, 0 if not,
 * -1 on error; what is returned is good until the next change or the end of the transaction. */
int db_get(struct db_txn *txn, int table, const void *key, size_t key_len, struct db_bytes *value,
           struct error *error);
int db_put(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
           size_t len, struct error *error);

/* The same for a key that is greater than all in the table: it fills the pages. And for one that may be
 * there: 1 if it was put, 0 if the key has a value, which stays, -1. Every put is fast if it comes
 * next to the one before. */
int db_append(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
              size_t len, struct error *error);
int db_insert(struct db_txn *txn, int table, const void *key, size_t key_len, const void *value,
              size_t len, struct error *error);

/* Removes every entry of a table. */
int db_clear(struct db_txn *txn, int table, struct error *error);

/* The first entry whose key is `key` or later: *key is replaced by it. 1, 0 if there is none, -1. */
int db_seek(struct db_txn *txn, int table, struct db_bytes *key, struct db_bytes *value,
            struct error *error);

/* The last entry whose key is `key` or earlier, in the same way. */
int db_seek_last(struct db_txn *txn, int table, struct db_bytes *key, struct db_bytes *value,
                 struct error *error);

/* Leaf pages of a table: what writing to all of it would change. */
int db_pages(struct db_txn *txn, int table, size_t *pages, struct error *error);

/* Whether so many changes, to random keys of tables with so many pages, are better put now than with `ahead`
 * more. LMDB keeps the pages that a transaction has changed in a sorted array, into whose middle most of
 * them go: of more pages each costs more, which is worth it where changes share them. */
bool db_is_scattered(uint64_t changes, uint64_t ahead, uint64_t pages);

/* A walk through a table. It is closed before its transaction ends (NULL is allowed). */
int db_cursor_open(struct db_txn *txn, int table, struct db_cursor **cursor, struct error *error);
void db_cursor_close(struct db_cursor *cursor);

/* The next entry, at first the first one: 1, 0 behind the last one, -1. */
int db_cursor_next(struct db_cursor *cursor, struct db_bytes *key, struct db_bytes *value,
                   struct error *error);

/* Instead of that, puts entries whose keys ascend: neighbours cost less than with db_put(). */
int db_cursor_put(struct db_cursor *cursor, const void *key, size_t key_len, const void *value,
                  size_t len, struct error *error);

/* The same, as db_insert() does. A key may come twice. */
int db_cursor_insert(struct db_cursor *cursor, const void *key, size_t key_len, const void *value,
                     size_t len, struct error *error);

/* How many entries a table has, counted one by one: what a damaged page lost or has twice isn't believed.
 * EX_DATAERR if their keys don't ascend. */
int db_count(struct db_txn *txn, int table, uint64_t *count, struct error *error);

#endif
