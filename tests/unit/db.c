/* How far the database's file reaches: it may end before the last page that LMDB took, if nothing stands
 * in those that are missing; and only then. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "store/db_env.h"
#include "tap.h"

enum { PAGE = 4096 };

static const char *const tables[] = {"table", NULL};
static unsigned char value[20 * PAGE];

static int put(MDB_txn *txn, const struct db *db, const char *key, size_t len)
{
    MDB_val at = {strlen(key), (void *)(size_t)key}, what = {len, value};

    return mdb_put(txn, db->table[0], &at, &what, 0);
}

static int take_away(MDB_txn *txn, const struct db *db, const char *key)
{
    MDB_val at = {strlen(key), (void *)(size_t)key};

    return mdb_del(txn, db->table[0], &at, NULL);
}

/* Pages that LMDB took and the file doesn't reach. */
static long missing(const struct db *db)
{
    MDB_envinfo info;
    struct stat status = {0};

    mdb_env_info(db->env, &info);
    stat("db/data.mdb", &status);
    return (long)info.me_last_pgno + 1 - (long)(status.st_size / PAGE);
}

/* The last pages are taken and given back in one transaction, which has free ones of earlier transactions
 * in its hands: they are never written. The same happens now and then to those of LMDB's own list of free
 * pages. */
static long shorten(void)
{
    struct error error;
    struct db *db;
    long pages;

    if (db_open("db", tables, true, &db, &error) < 0)
        return -1;
    for (size_t round = 0; round < 4; round++) {
        MDB_txn *txn;
        if (mdb_txn_begin(db->env, NULL, 0, &txn) || put(txn, db, "large", (3 + round) * PAGE) ||
            put(txn, db, "passing", sizeof value) || take_away(txn, db, "passing") || mdb_txn_commit(txn))
            return -1;
    }
    pages = missing(db);
    db_close(db);
    return pages;
}

static bool opens(bool write, struct error *error)
{
    struct db *db;

    if (db_open("db", tables, write, &db, error) < 0)
        return false;
    db_close(db);
    return true;
}

/* As after a writer that was killed between the two marks of its commit, while somebody has it open: what
 * readers take for the last commit is the one before. The mark stands behind the readers' mutex. */
static void test_killed_writer(void)
{
    enum { MARK = 8 + sizeof(pthread_mutex_t) };
    struct error error = {0};
    uint64_t last = 0;
    int fd, to_child[2], from_child[2];
    char byte;

    if (pipe(to_child) < 0 || pipe(from_child) < 0)
        exit(1);
    if (fork() == 0) {
        struct db *db;
        close(to_child[1]);
        if (db_open("db", tables, false, &db, &error) < 0 || write(from_child[1], "o", 1) != 1 ||
            read(to_child[0], &byte, 1) < 0)
            _exit(1);
        _exit(0);
    }
    ok(read(from_child[0], &byte, 1) == 1, "somebody has it open");
    fd = open("db/lock.mdb", O_RDWR);
    ok(pread(fd, &last, sizeof last, MARK) == sizeof last && last == 5, "the last commit is the fifth");
    last--;
    ok(pwrite(fd, &last, sizeof last, MARK) == sizeof last, "of which readers don't know");
    close(fd);
    alarm(20);
    ok(opens(false, &error), "it opens all the same: %s", error.text);
    alarm(0);
    close(to_child[1]);
    wait(NULL);
}

/* Cuts off one page after the other: how many are no loss. What isn't whole once may not be so later. */
static int cut_page_by_page(void)
{
    struct error error;
    struct stat status = {0};
    int spare = 0;
    bool damaged = false;

    stat("db/data.mdb", &status);
    for (off_t size = status.st_size - PAGE; size > 0; size -= PAGE) {
        bool whole = truncate("db/data.mdb", size) == 0 && opens(false, &error);
        if (!whole && (error.status != EX_DATAERR || !strstr(error.text, "db")))
            return -1;
        if (whole && damaged)
            return -1;
        damaged = !whole;
        spare += whole;
    }
    return damaged ? spare : -1;
}

static void test_short(void)
{
    struct error error = {0};
    struct stat status = {0};
    long pages = shorten(), count;
    int spare;

    ok(pages > 0, "a file ends %ld pages before the last one that was taken", pages);
    ok(opens(false, &error) && opens(true, &error), "with nothing in them, it is whole: %s", error.text);
    test_killed_writer();
    stat("db/data.mdb", &status);
    count = (long)(status.st_size / PAGE);
    spare = cut_page_by_page();
    ok(spare >= 0 && spare < count - 10, "of its %ld others the last %d are no loss, but each one before", count, spare);
    ok(!opens(true, &error) && error.status == EX_DATAERR, "nor does it open for who writes: %s", error.text);
}

int main(void)
{
    scratch_enter();
    mkdir("db", 0777);
    test_short();
    return tap_done();
}
