/* Advisory locks on files (flock(2)) with a turnstile before them. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/error.h"

enum lock_kind { LOCK_SHARED, LOCK_EXCLUSIVE };

/* Takes the file's flock, waiting for it. flock is not fair: who lets go and asks again at once
 * wins against who waits. So everybody first passes a turnstile, an open-file-description lock on
 * the same file (fcntl(2), F_OFD_SETLKW), and keeps it until the flock is theirs: the next in line
 * holds it meanwhile. EX_IOERR if that fails; a signal's EINTR is returned in errno. */
int lock_take(int fd, enum lock_kind kind, struct error *error);
void lock_drop(int fd);

/* Takes a lock for life on the file PATH + SUFFIX, made if need be: for the one process that may
 * do something. Returns its descriptor, which holds the lock until it is closed; -1 with
 * EX_TEMPFAIL if another process has it (it says who and where), or EX_IOERR. */
int lock_for_life(const char *path, const char *suffix, const char *who, struct error *error);

#endif
