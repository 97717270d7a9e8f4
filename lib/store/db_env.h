/* What db_open.c and db.c share: the only two files that know LMDB. For these only. */
#ifndef STORE_DB_ENV_H
#define STORE_DB_ENV_H

#include <lmdb.h>
#include <pthread.h>

#include "store/db.h"

struct db {
    MDB_env *env;
    MDB_dbi table[DB_TABLES];
    pthread_rwlock_t remap; /* held shared by transactions: the map moves only without any */
    bool lazy;         /* see db_set_lazy(), */
    bool defers; /* db_defer() was called, */
    bool behind; /* and there is something to sync */
    bool unregistered; /* its readers are */
    size_t opened_at;  /* the transaction that was the last one when it was opened */
};

/* What LMDB's error code means, and what was tried. Returns -1. */
int db_failed(int code, const char *what, struct error *error);

#endif
