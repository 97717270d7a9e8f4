/* Reading the order for feeds of one value each that are behind, which look for a few records among many:
 * it is read in laps, a stretch at a time, and each feed takes from a stretch what it wants. So a lap costs
 * the same for one feed and for a thousand, and none waits longer than for two of them. */
#ifndef CALC_CGI_LAP_H
#define CALC_CGI_LAP_H

#include "feed.h"

enum { LAP_RECORDS = 1024 };

struct lap {
    uint64_t first; /* the sequence that the stretch begins with */
    uint64_t end;   /* the one behind it; where the lap goes on */
    struct view_cursor cursor; /* over the stretch, and nothing before it */
    struct id *ids;            /* of the values: what nearly all feeds look at */
    struct view_record *records;
};

/* Zeroed it has no stretch. */
void lap_release(struct lap *lap);

/* Reads the next stretch, from `sequence` on. */
int lap_read(struct view_txn *txn, struct lap *lap, uint64_t sequence, struct error *error);

/* Whether the feed's next record is in the stretch. */
bool lap_has(const struct lap *lap, const struct feed *feed);

/* Takes such a feed through the stretch, until there are `most` bytes; what it wants is appended. -1 when
 * memory ran out. */
int lap_take(const struct lap *lap, struct feed *feed, size_t most, struct buffer *out);

#endif
