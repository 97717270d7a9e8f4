#include "feed.h"

#include <stdlib.h>

enum { LOOK_RECORDS = 4096 }; /* at once, so that others have their turn */

static int place_at(struct view_txn *txn, const char *from, struct view_cursor *cursor,
                    struct error *error)
{
    if (strcmp(from, "now") == 0)
        return view_cursor_place_at_end(txn, cursor, error);
    if (strcmp(from, "beginning") != 0 &&
        view_cursor_read(from, strlen(from), cursor, error) < 0) {
        if (error->status == EX_DATAERR)
            error->status = EX_USAGE;
        return -1;
    }
    if (view_cursor_place(txn, cursor, error) == 0)
        return 0;
    if (cursor->foreign)
        error->status = EX_USAGE;
    return -1;
}

int feed_open(struct viewer *viewer, const char *from, const struct id *value_id,
              struct feed **out, struct error *error)
{
    struct feed *feed = calloc(1, sizeof *feed);
    struct view_txn *txn;
    int result;

    if (!feed)
        return error_memory(error);
    feed->one = value_id != NULL;
    if (value_id)
        feed->value_id = *value_id;
    result = viewer_begin(viewer, &txn, error);
    if (result == 0) {
        feed->opening = viewer->openings;
        result = place_at(txn, from, &feed->cursor, error);
        viewer_end(viewer, txn);
    }
    if (result < 0) {
        feed_close(feed);
        return -1;
    }
    *out = feed;
    return 0;
}

void feed_close(struct feed *feed)
{
    if (!feed)
        return;
    view_cursor_release(&feed->cursor);
    free(feed);
}

static void write_place(struct view_cursor *cursor, struct buffer *out)
{
    buffer_append(out, "id: ", 4);
    view_cursor_write(cursor, out);
}

void feed_write_begin(struct feed *feed, struct buffer *out)
{
    buffer_append_text(out, "retry: 1000\n: it goes on from here\n");
    write_place(&feed->cursor, out);
    buffer_append(out, "\n\n", 2);
}

void feed_write_beat(struct feed *feed, struct buffer *out)
{
    buffer_append(out, ":\n", 2);
    write_place(&feed->cursor, out);
    buffer_append(out, "\n\n", 2);
}

void feed_write_record(struct view_cursor *cursor, const struct outcome *outcome,
                       struct buffer *out)
{
    write_place(cursor, out);
    buffer_append(out, "\nevent: ", 8);
    buffer_append_text(out, outcome_action(outcome));
    buffer_append(out, "\ndata: ", 7);
    outcome_write(outcome, out);
    buffer_append(out, "\n", 1);
}

bool feed_wants(const struct feed *feed, const struct outcome *outcome)
{
    return !feed->one || (outcome->reason != REASON_MALFORMED &&
                          id_equal(&outcome->value_id, &feed->value_id));
}

int feed_place(struct viewer *viewer, struct view_txn *txn, struct feed *feed,
               struct error *error)
{
    if (feed->opening == viewer->openings)
        return 0;
    if (view_cursor_place(txn, &feed->cursor, error) < 0)
        return -1;
    feed->opening = viewer->openings;
    feed->joined = false;
    return 0;
}

int feed_read(struct view_txn *txn, struct feed *feed, size_t most, struct buffer *out,
              struct error *error)
{
    struct view_record record;

    for (int count = 0; count < LOOK_RECORDS && out->len < most; count++) {
        int result = view_cursor_next(txn, &feed->cursor, &record, error);
        if (result <= 0)
            return result;
        if (feed_wants(feed, &record.outcome))
            feed_write_record(&feed->cursor, &record.outcome, out);
        if (out->failed)
            return error_memory(error);
    }
    return 1;
}
