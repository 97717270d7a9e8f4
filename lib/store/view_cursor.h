/* A place in what a view applied, for who subscribes to it: one position a log and partition, so that it
 * outlives a rebuild, where logs and partitions come in another order. Its text is drawn in
 * view_cursor.c; it is opaque to everybody else. */
#ifndef STORE_VIEW_CURSOR_H
#define STORE_VIEW_CURSOR_H

#include "base/buffer.h"
#include "store/view.h"

struct view_place {
    int32_t partition;
    uint64_t last; /* offset of the last record that is before the cursor */
    struct id first_digest; /* of the partition's first record; of a cursor that was read, once placed */
};

/* Zeroed it is before everything. */
struct view_cursor {
    struct {
        struct view_place *places; /* ordered by partition; those that aren't there are unread */
        int32_t count, cap;
    } logs[VIEW_LOGS];
    uint64_t sequence; /* where to go on in the view that it was placed in, or 0 */
    uint64_t digest;   /* of all first digests, if it is known */
    bool digested;
    bool foreign; /* view_cursor_place() failed since it is of other logs, not for what is in the view */
};

void view_cursor_release(struct view_cursor *cursor);

/* Appends the text: letters, digits, and ".-_". Fails as buffers do. */
void view_cursor_write(struct view_cursor *cursor, struct buffer *out);

/* Reads a text into a zeroed cursor. EX_DATAERR if it is no cursor. */
int view_cursor_read(const char *text, size_t len, struct view_cursor *cursor,
                     struct error *error);

/* Finds where to go on. To be called before view_cursor_next(), and again in a view that replaced the
 * one that it was called for. EX_DATAERR if it is a cursor of other logs, EX_TEMPFAIL if the view has
 * nothing yet of what the cursor has read. */
int view_cursor_place(struct view_txn *txn, struct view_cursor *cursor, struct error *error);

/* Puts a zeroed cursor behind everything that is in the view, and places it there. */
int view_cursor_place_at_end(struct view_txn *txn, struct view_cursor *cursor,
                             struct error *error);

/* Puts a zeroed cursor right behind the record with this sequence, which is there. */
int view_cursor_place_behind(struct view_txn *txn, struct view_cursor *cursor, uint64_t sequence,
                             struct error *error);

/* The next record in the view's order that isn't before the cursor, which moves behind it: 1, 0 if there
 * is none yet, -1. */
int view_cursor_next(struct view_txn *txn, struct view_cursor *cursor, struct view_record *record,
                     struct error *error);

/* For who reads many cursors' records once: moves the cursor over a record of the order. `other` is one
 * of the same view that has been over it, or over a later one of that partition. -1 when memory ran
 * out. */
int view_cursor_move(struct view_cursor *cursor, const struct view_cursor *other,
                     enum view_log log, int32_t partition, uint64_t offset);

/* The same over everything that `other` has been over. */
int view_cursor_join(struct view_cursor *cursor, const struct view_cursor *other);

/* Whether a record is before the cursor. */
bool view_cursor_has(const struct view_cursor *cursor, const struct view_record *record);

/* Whether everything that is before `inner` is before `outer`; both are placed in the same view. */
bool view_cursor_covers(const struct view_cursor *outer, const struct view_cursor *inner);

#endif
