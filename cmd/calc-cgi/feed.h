/* A subscription by server-sent events (HTML Living Standard, 9.2): what of the view's order a client
 * wants to hear, how far it was told, and how that is spelled.
 *
 *     id: CURSOR                  the place behind the record, to go on from
 *     event: ValueUpdated         or ValueCreated, CommandRejected
 *     data: {"action":...}        the record's line, as its log has it
 *
 * A block without data only sets the id. A line that begins with a colon is a comment. */
#ifndef CALC_CGI_FEED_H
#define CALC_CGI_FEED_H

#include "access.h"
#include "store/view_cursor.h"
#include "viewer.h"

enum { FEED_BEAT_MS = 15000 }; /* something is told so often, if only a comment */

struct feed {
    bool one; /* only what concerns a value */
    struct id value_id;
    struct asker asker; /* who is told */
    struct view_cursor cursor;
    unsigned opening; /* the viewer's, in which the cursor was placed */
    bool joined;      /* it is told what tail.h has */
};

/* Begins a feed behind a cursor's text, or "beginning", or "now". It is placed in the view that is there
 * now. EX_USAGE if the text is none of these, or of other logs; EX_TEMPFAIL if the view isn't there, or
 * not ready for it; EX_DATAERR if that is damaged. */
int feed_open(struct viewer *viewer, const char *from, const struct id *value_id,
              struct feed **feed, struct error *error);
void feed_close(struct feed *feed);

/* Appends what a stream begins with: when to try again, and where it begins. Fails as buffers do, and so
 * do the others. */
void feed_write_begin(struct feed *feed, struct buffer *out);

/* Appends a comment and where the feed is. */
void feed_write_beat(struct feed *feed, struct buffer *out);

/* Appends a record, with the cursor behind it. */
void feed_write_record(struct view_cursor *cursor, const struct outcome *outcome,
                       struct buffer *out);

/* Whether a feed wants a record. */
bool feed_wants(const struct feed *feed, const struct outcome *outcome);

/* Places the feed again if the view is another one by now. `txn` is a snapshot of the viewer. As
 * view_cursor_place(). */
int feed_place(struct viewer *viewer, struct view_txn *txn, struct feed *feed,
               struct error *error);

/* Appends records until there are `most` bytes, or enough were looked through. 1 if there may be more, 0
 * if not yet; -1, and then some may be lost: end. */
int feed_read(struct view_txn *txn, struct feed *feed, size_t most, struct buffer *out,
              struct error *error);

#endif
