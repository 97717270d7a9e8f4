/* Bytes cut into lines, at a bounded cost of memory however long a line is. */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_MAX_BYTES = 65536 }; /* of a record, its newline not counted: part of the format */

struct line {
    const char *data; /* at most the first LINE_MAX_BYTES; data[len] is readable */
    size_t len;
    bool oversize; /* the line is longer than LINE_MAX_BYTES */
    bool multiline; /* a newline is in it: a record of Kafka can have one, a line can't */
    bool blank;    /* nothing but spaces, tabs and carriage returns, whatever its length */
    int32_t partition; /* of its log; a file has only partition 0 */
    uint64_t start; /* offset of its first byte; of Kafka, that of the record */
    uint64_t end;   /* offset behind its newline, where the next one begins */
    uint64_t number; /* counted from 1, blank lines too */
};

struct lines {
    char *data; /* the window */
    size_t head, tail, scanned, cap;
    uint64_t offset; /* of data[head], the first byte of the line that comes next */
    uint64_t dropped; /* bytes of that line that were read and let go, behind the kept ones */
    uint64_t count;   /* of lines that were returned */
    bool blank;       /* so far */
};

/* Why the record is no line of the format: a phrase, or NULL if it is one. */
const char *line_fault(const struct line *line);

/* An empty window at an offset. Returns -1 when memory ran out. */
int lines_init(struct lines *lines, uint64_t offset);
void lines_release(struct lines *lines);

/* Where to read to, and how many bytes fit there (at least one). Pointers into earlier lines are
 * no longer good. */
char *lines_room(struct lines *lines, size_t *room);

/* Says that so many bytes were put there. */
void lines_added(struct lines *lines, size_t count);

/* The next whole line: true, or false if more must be read first. */
bool lines_next(struct lines *lines, struct line *line);

/* What stands behind the last newline, as a line: at the end of input. False if nothing does. */
bool lines_rest(struct lines *lines, struct line *line);

/* The offset behind everything that was added, and how much of it is part of no whole line. */
uint64_t lines_end(const struct lines *lines);
uint64_t lines_pending(const struct lines *lines);

/* Forgets what is pending: the next bytes added are those at lines->offset again. */
void lines_rewind(struct lines *lines);

#endif
