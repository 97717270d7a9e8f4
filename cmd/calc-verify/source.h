/* A log that is read, or a partition of one: from its beginning to where it ended at the start. */
#ifndef CALC_VERIFY_SOURCE_H
#define CALC_VERIFY_SOURCE_H

#include "stream/kafka_cursor.h"
#include "stream/stream.h"

struct source {
    const char *name; /* the stream's */
    bool is_topic;
    int32_t partition;
    uint64_t end;  /* UINT64_MAX: of a pipe, which has no known one */
    uint64_t next; /* behind the last record that was read */
    struct reader *reader;         /* a file or a pipe */
    struct kafka_cursor *cursor;   /* a topic */
    struct kafka_reading *reading; /* NULL: not begun, or nothing is there */
};

/* A record; of a topic with its key and the command's position that its header tells. */
struct record {
    struct line line;
    const void *key; /* NULL: none */
    size_t key_len;
    bool has_position;
    int32_t position_partition;
    uint64_t position;
};

/* Finds out where a log ends now. A topic's `cursor` is the caller's; `known` is where the partition is
 * known to go at least, which a broker may tell a moment later. EX_DATAERR if its beginning is gone. */
int source_open(struct source *source, const char *name, int32_t partition,
                struct kafka_cursor *cursor, uint64_t known, struct error *error);
void source_close(struct source *source);

/* The next record, good until the next call; blank ones only of topics. 1, 0 at the end, -1. */
int source_next(struct source *source, struct record *record, struct error *error);

/* An offset as a position. */
const char *source_position(const struct source *source, uint64_t offset,
                            char text[STREAM_POSITION_TEXT]);

/* Bytes behind the last newline of a file. */
uint64_t source_torn(const struct source *source);

#endif
