/* A log: an append-only file of lines that several processes write and read.
 *
 * A record is in the log when its newline is, and what a reader can see is durable: writers append
 * whole batches under an exclusive flock and sync them before they let go; readers look under a
 * shared one. See calc-formats(5). */
#ifndef STREAM_LOG_H
#define STREAM_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file_status.h"

/* Call it with the file locked: its status, and where its last whole line ends. No newline is
 * looked for below `known`, where a whole line is known to end. Returns -1 with errno. */
int log_extent(int fd, uint64_t known, struct file_status *status, uint64_t *end);

/* Call it with the file locked: whether a writer that still has it open has made all of it durable, up to this
 * size. Until its next append it holds a lock on a byte that says so; calc-formats(5). False if nobody can tell: the
 * last writer is gone, or was killed before it had synced, or knows nothing of that, or it isn't possible where the
 * file is. */
bool log_is_synced(int fd, uint64_t size);

struct log {
    int fd;
    const char *name;
    bool marks;                /* it is possible here to say what is durable, */
    uint64_t marked, unmarked; /* and is said of this size; before, of that one */
    bool poisoned; /* it could not be brought to a known end: we keep the lock */
    bool (*give_up)(void); /* asked when a signal interrupts the wait for the lock; may be NULL */
};

/* Opens a log for appending, and makes it (and its name durable) if it isn't there. The name must
 * live as long as the log. */
int log_open(struct log *log, const char *path, struct error *error);
void log_close(struct log *log);

/* Appends bytes that end in a newline and makes them durable. *offset is where they begin, *cut how
 * many bytes of a torn tail were cut off before. On failure the log is as it was before, or it gets
 * poisoned, and nobody knows whether the lines are in it (EX_IOERR in both cases); EX_TEMPFAIL if
 * the wait for the lock was given up. */
int log_append(struct log *log, const char *data, size_t len, uint64_t *offset, uint64_t *cut,
               struct error *error);

/* Cuts off, durably, what stands behind `end`, where a line ends; *cut is how many bytes that was. */
int log_cut(struct log *log, uint64_t end, uint64_t *cut, struct error *error);

#endif
