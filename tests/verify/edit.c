/* Changes single records of an LMDB environment, as damage would.
 *
 *   edit FOLDER TABLE                 its records, a line each: KEY VALUE in hexadecimal
 *   edit FOLDER TABLE put KEY VALUE
 *   edit FOLDER TABLE delete KEY
 *
 * Build: gcc -o edit edit.c -llmdb */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int code, const char *what)
{
    if (!code)
        return;
    fprintf(stderr, "edit: %s: %s\n", what, mdb_strerror(code));
    exit(1);
}

static MDB_val from_hex(const char *text)
{
    MDB_val value = {strlen(text) / 2, malloc(strlen(text) / 2 + 1)};

    for (size_t i = 0; i < value.mv_size; i++) {
        unsigned byte;
        sscanf(text + 2 * i, "%2x", &byte);
        ((unsigned char *)value.mv_data)[i] = (unsigned char)byte;
    }
    return value;
}

static void print_hex(const MDB_val *value, char end)
{
    for (size_t i = 0; i < value->mv_size; i++)
        printf("%02x", ((const unsigned char *)value->mv_data)[i]);
    putchar(end);
}

static void list(MDB_txn *txn, MDB_dbi table)
{
    MDB_cursor *cursor;
    MDB_val key, value;

    check(mdb_cursor_open(txn, table, &cursor), "cursor");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        print_hex(&key, ' ');
        print_hex(&value, '\n');
    }
    mdb_cursor_close(cursor);
}

int main(int argc, char **argv)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;

    if (argc < 3)
        return 2;
    check(mdb_env_create(&env), "create");
    mdb_env_set_maxdbs(env, 8);
    mdb_env_set_mapsize(env, (size_t)1 << 32);
    check(mdb_env_open(env, argv[1], 0, 0666), argv[1]);
    check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, argv[2], 0, &table), argv[2]);
    if (argc == 3) {
        list(txn, table);
    } else {
        MDB_val key = from_hex(argv[4]), value = from_hex(argc > 5 ? argv[5] : "");
        if (strcmp(argv[3], "put") == 0)
            check(mdb_put(txn, table, &key, &value, 0), "put");
        else
            check(mdb_del(txn, table, &key, NULL), "delete");
    }
    check(mdb_txn_commit(txn), "commit");
    mdb_env_close(env);
    return 0;
}
