/* Looking at a log that is a file from its end, for who wants to know how far others are, at a bounded
 * cost: it isn't read as a stream. What is looked at are the whole lines that a reader could see when it
 * was opened. */
#ifndef STREAM_LOG_LOOK_H
#define STREAM_LOG_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { LOG_LOOK_BYTES = 1 << 18 }; /* that are read at once: more than a line has */

struct log_look {
    int fd;
    const char *path;
    uint64_t end; /* where whole lines end */
    dev_t device; /* which file it is */
    ino_t inode;
    char *window; /* LOG_LOOK_BYTES, of which there are, from `base` on: */
    uint64_t base;
    size_t len;
};

/* A log that isn't there is an empty one. The path must live as long. EX_IOERR; EX_TEMPFAIL if a signal
 * ended the wait for the lock. */
int log_look_open(struct log_look *look, const char *path, struct error *error);
void log_look_close(struct log_look *look);

/* How many records, lines that aren't blank, there are between `from`, where a line begins, and the end
 * of the last line that ends at or before `most` bytes further on: *to. */
int log_look_count(struct log_look *look, uint64_t from, uint64_t most, uint64_t *records,
                   uint64_t *to, struct error *error);

/* The line that begins at `begin`, which isn't the end; or the one that ends, with its newline, at `end`,
 * which isn't the beginning. What it has is without its newline, and good until the next call. One that is
 * too long for a record has no data. */
struct log_line {
    const char *data;
    size_t len;
    uint64_t begin, end;
};
int log_look_at(struct log_look *look, uint64_t begin, struct log_line *line,
                struct error *error);
int log_look_before(struct log_look *look, uint64_t end, struct log_line *line,
                    struct error *error);

/* Whether it is one that readers pass over. */
bool log_line_is_blank(const struct log_line *line);

#endif
