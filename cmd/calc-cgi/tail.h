/* The end of the view's order, as it grows: each record is read and spelled once for all feeds that are
 * there. A feed that comes to the end joins, if everything that it was told is before that, and leaves
 * when it falls back behind what is kept here: then it reads the view by itself until it is there
 * again. */
#ifndef CALC_CGI_TAIL_H
#define CALC_CGI_TAIL_H

#include "feed.h"

struct tail {
    struct view_cursor cursor; /* behind the last record */
    bool placed;
    unsigned opening;      /* the viewer's, in which it was */
    uint64_t first;        /* the sequence of the first record that is kept */
    struct buffer records; /* of struct tail_record */
    struct buffer text;    /* of the records, one behind the other */
};

/* Zeroed it is empty. */
void tail_release(struct tail *tail);

/* Takes what the view has by now, or some of it. 1 if there may be more, 0 if not yet, -1. */
int tail_follow(struct viewer *viewer, struct view_txn *txn, struct tail *tail,
                struct error *error);

/* Lets a feed join if it can: it is to be tried whenever one has read the view. Whether it has. */
bool tail_join(const struct tail *tail, struct feed *feed);

/* What a feed wasn't told yet, of `most` bytes if there are more than one record: *text, of *len bytes,
 * which may be 0; *scratch may be used for it. 1 if there may be more, 0 if not yet, and then it is good
 * until the next call of any of these. -2 if the feed has to read the view; -1 when memory ran out. */
enum { TAIL_LEFT = -2 };
int tail_read(struct tail *tail, struct feed *feed, size_t most, struct buffer *scratch,
              const char **text, size_t *len);

#endif
