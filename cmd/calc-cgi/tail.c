#include "tail.h"

struct tail_record {
    struct id value_id;
    bool concerns_none; /* it is of no value */
    enum view_log log;
    int32_t partition;
    uint64_t offset;
    size_t from; /* in the text */
};

/* Of text that is kept, and how many records are taken at once. */
enum { KEPT_BYTES = 1 << 20, FOLLOW_RECORDS = 4096 };

void tail_release(struct tail *tail)
{
    view_cursor_release(&tail->cursor);
    buffer_release(&tail->records);
    buffer_release(&tail->text);
    *tail = (struct tail){0};
}

static struct tail_record *record_at(const struct tail *tail, uint64_t sequence)
{
    return (struct tail_record *)(void *)tail->records.data + (sequence - tail->first);
}

/* Where a record's text begins; behind the last one, where all ends. */
static size_t begin_of(const struct tail *tail, uint64_t sequence)
{
    return sequence < tail->cursor.sequence ? record_at(tail, sequence)->from : tail->text.len;
}

/* --- following --- */

/* Lets the first half go. */
static void forget(struct tail *tail)
{
    uint64_t from = tail->first, to = tail->cursor.sequence;
    size_t gone;

    while (from < to && begin_of(tail, from) < KEPT_BYTES / 2)
        from++;
    gone = begin_of(tail, from);
    buffer_consume(&tail->records, (from - tail->first) * sizeof(struct tail_record));
    buffer_consume(&tail->text, gone);
    tail->first = from;
    for (uint64_t i = from; i < to; i++)
        record_at(tail, i)->from -= gone;
}

/* Begins at the end of the view. */
static int place(struct viewer *viewer, struct view_txn *txn, struct tail *tail,
                 struct error *error)
{
    if (tail->placed && tail->opening == viewer->openings)
        return 0;
    tail_release(tail);
    if (view_cursor_place_at_end(txn, &tail->cursor, error) < 0)
        return -1;
    tail->first = tail->cursor.sequence;
    tail->opening = viewer->openings;
    tail->placed = true;
    return 0;
}

static int keep(struct tail *tail, const struct view_record *record, struct error *error)
{
    struct tail_record kept = {
        .value_id = record->outcome.value_id,
        .concerns_none = record->outcome.reason == REASON_MALFORMED,
        .log = record->log,
        .partition = record->partition,
        .offset = record->offset,
        .from = tail->text.len,
    };

    if (record->sequence != tail->first + tail->records.len / sizeof kept) {
        tail_release(tail);
        return error_set(error, EX_SOFTWARE, "the order has a hole");
    }
    feed_write_record(&tail->cursor, &record->outcome, &tail->text);
    buffer_append(&tail->records, &kept, sizeof kept);
    if (tail->text.failed || tail->records.failed) {
        tail_release(tail); /* all read the view by themselves, until it is placed again */
        return error_memory(error);
    }
    if (tail->text.len > KEPT_BYTES)
        forget(tail);
    return 0;
}

int tail_follow(struct viewer *viewer, struct view_txn *txn, struct tail *tail,
                struct error *error)
{
    struct view_record record;

    if (place(viewer, txn, tail, error) < 0)
        return -1;
    for (int count = 0; count < FOLLOW_RECORDS; count++) {
        int result = view_cursor_next(txn, &tail->cursor, &record, error);
        if (result <= 0)
            return result;
        if (keep(tail, &record, error) < 0)
            return -1;
    }
    return 1;
}

/* --- reading --- */

static bool wants(const struct feed *feed, const struct tail_record *record)
{
    return !feed->one ||
           (!record->concerns_none && id_equal(&record->value_id, &feed->value_id));
}

bool tail_join(const struct tail *tail, struct feed *feed)
{
    if (!tail->placed || feed->opening != tail->opening || feed->cursor.sequence < tail->first)
        feed->joined = false;
    else if (!feed->joined && feed->cursor.sequence == tail->cursor.sequence)
        feed->joined = view_cursor_covers(&tail->cursor, &feed->cursor);
    return feed->joined;
}

int tail_read(struct tail *tail, struct feed *feed, size_t most, struct buffer *scratch,
              const char **text, size_t *len)
{
    uint64_t first = feed->cursor.sequence, end = tail->cursor.sequence, next = first;
    size_t begin;

    if (!tail_join(tail, feed))
        return TAIL_LEFT;
    begin = begin_of(tail, first);
    scratch->len = 0;
    for (*len = 0; next < end; next++) {
        const struct tail_record *record = record_at(tail, next);
        size_t size = begin_of(tail, next + 1) - record->from;
        if (*len && *len + size > most)
            break;
        if (view_cursor_move(&feed->cursor, &tail->cursor, record->log, record->partition,
                             record->offset) < 0)
            return -1;
        if (!wants(feed, record))
            continue;
        *len += size;
        if (feed->one)
            buffer_append(scratch, tail->text.data + record->from, size);
    }
    feed->cursor.sequence = next;
    if (scratch->failed)
        return -1;
    *text = feed->one ? scratch->data : tail->text.data + begin;
    return next < end;
}
