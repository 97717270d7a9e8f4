#include "lap.h"

#include <stdlib.h>

void lap_release(struct lap *lap)
{
    view_cursor_release(&lap->cursor);
    free(lap->ids);
    free(lap->records);
    *lap = (struct lap){0};
}

static bool make_room(struct lap *lap)
{
    if (!lap->ids)
        lap->ids = calloc(LAP_RECORDS, sizeof *lap->ids);
    if (!lap->records)
        lap->records = calloc(LAP_RECORDS, sizeof *lap->records);
    return lap->ids && lap->records;
}

int lap_read(struct view_txn *txn, struct lap *lap, uint64_t sequence, struct error *error)
{
    int result = 1;

    view_cursor_release(&lap->cursor);
    lap->cursor.sequence = lap->first = lap->end = sequence;
    if (!make_room(lap))
        return error_memory(error);
    while (lap->end - lap->first < LAP_RECORDS) {
        struct view_record *record = &lap->records[lap->end - lap->first];
        result = view_cursor_next(txn, &lap->cursor, record, error);
        if (result <= 0)
            break;
        lap->ids[lap->end - lap->first] = record->outcome.value_id;
        lap->end++;
    }
    return result < 0 ? -1 : 0;
}

bool lap_has(const struct lap *lap, const struct feed *feed)
{
    return feed->cursor.sequence >= lap->first && feed->cursor.sequence < lap->end;
}

/* Moves a feed over the records before `end`. */
static int move(const struct lap *lap, struct feed *feed, uint64_t end)
{
    for (; feed->cursor.sequence < end; feed->cursor.sequence++) {
        const struct view_record *record = &lap->records[feed->cursor.sequence - lap->first];
        if (view_cursor_move(&feed->cursor, &lap->cursor, record->log, record->partition,
                             record->offset) < 0)
            return -1;
    }
    return 0;
}

int lap_take(const struct lap *lap, struct feed *feed, size_t most, struct buffer *out)
{
    for (uint64_t i = feed->cursor.sequence; i < lap->end; i++) {
        const struct view_record *record = &lap->records[i - lap->first];
        bool told;
        if (!id_equal(&lap->ids[i - lap->first], &feed->value_id) ||
            !feed_wants(feed, &record->outcome))
            continue;
        told = view_cursor_has(&feed->cursor, record);
        if (move(lap, feed, i + 1) < 0)
            return -1;
        if (!told)
            feed_write_record(&feed->cursor, &record->outcome, out);
        if (out->failed)
            return -1;
        if (out->len >= most)
            return 0;
    }
    feed->cursor.sequence = lap->end;
    return view_cursor_join(&feed->cursor, &lap->cursor);
}
