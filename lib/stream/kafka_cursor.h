/* Looking at single partitions, record by record: what a handler has to know of its topics when it
 * takes a partition over. Only what is committed is seen. */
#ifndef STREAM_KAFKA_CURSOR_H
#define STREAM_KAFKA_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/lines.h"

struct kafka_cursor;
struct kafka_reading;

/* A record, good until the next call for the same reading. */
struct kafka_entry {
    uint64_t offset;
    const void *data;
    size_t len;
    struct line line; /* the same as a line */
    const void *key;  /* NULL: none */
    size_t key_len;
    bool has_position; /* the header of our outcomes: where their command stands */
    int32_t position_partition;
    uint64_t position;
};

/* The client for any number of readings. `give_up` is asked while waiting; may be NULL. */
int kafka_cursor_open(bool (*give_up)(void), struct kafka_cursor **cursor, struct error *error);
void kafka_cursor_close(struct kafka_cursor *cursor);

/* Where a partition begins, and where what is committed ends. -1: EX_TEMPFAIL. */
int kafka_cursor_bounds(struct kafka_cursor *cursor, const char *topic, int32_t partition,
                        int timeout_ms, uint64_t *low, uint64_t *high, struct error *error);

/* Begins to read a partition at an offset. Its end is known not to lie before `high`: a broker that has
 * just begun to lead it may still tell less. Fetching goes on in the background: start several, then
 * look at each. A partition can be read once at a time. NULL can be stopped. */
int kafka_reading_start(struct kafka_cursor *cursor, const char *topic, int32_t partition,
                        uint64_t offset, uint64_t high, struct kafka_reading **reading,
                        struct error *error);
void kafka_reading_stop(struct kafka_reading *reading);

/* The next record: 1; 0 at the end, when no transaction is open on the partition any more (what an
 * open one wrote is waited for: it is committed or aborted soon); -1: EX_TEMPFAIL after timeout_ms
 * without an answer or when told to give up, EX_DATAERR if the offset isn't there. */
int kafka_reading_next(struct kafka_reading *reading, int timeout_ms, struct kafka_entry *found,
                       struct error *error);

/* Before the first record: what is there from `end` on isn't read. Everything before is known to be
 * committed, as kafka_cursor_bounds() tells: nothing is waited for. */
void kafka_reading_end_at(struct kafka_reading *reading, uint64_t end);

/* The last record of a partition: 1, 0 if there is none, -1. The record is the reading's, to be stopped
 * afterwards in any case. */
int kafka_cursor_last(struct kafka_cursor *cursor, const char *topic, int32_t partition,
                      int timeout_ms, struct kafka_reading **reading, struct kafka_entry *found,
                      struct error *error);

#endif
