/* null_get FOLDER: opens an LMDB file, looks at it and ends: what a query in a process of its own
 * can't do without. */
#include <lmdb.h>
#include <stdio.h>

static int check(const char *what, int code)
{
    if (code)
        fprintf(stderr, "null_get: %s: %s\n", what, mdb_strerror(code));
    return code;
}

int main(int argc, char **argv)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    int failed;

    if (argc != 2) {
        fputs("usage: null_get FOLDER\n", stderr);
        return 64;
    }
    failed = check("create", mdb_env_create(&env)) ||
             check("open", mdb_env_open(env, argv[1], MDB_RDONLY, 0)) ||
             check("begin", mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return failed;
}
