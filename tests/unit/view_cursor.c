#include "store/view_cursor.h"

#include <stdlib.h>

#include "messages.h"
#include "scratch.h"
#include "tap.h"

/* Two logs of some partitions, folded into views in different orders. */
enum { PARTITIONS = 5, MOST = 3000 };

static struct error error;
static int lengths[VIEW_LOGS][PARTITIONS];

static uint64_t offset_of(int index)
{
    return (uint64_t)index * 10 + (uint64_t)index % 7;
}

/* The record with this index in its partition. */
static struct outcome outcome_of(int log, int partition, int index)
{
    struct outcome outcome = {.timestamp = TIMESTAMP_NONE};

    outcome.id.bytes[0] = (uint8_t)(log + 1);
    outcome.id.bytes[1] = (uint8_t)partition;
    outcome.id.bytes[14] = (uint8_t)(index >> 8);
    outcome.id.bytes[15] = (uint8_t)index;
    if (log == VIEW_EVENTS) {
        outcome.action = index ? ACTION_ADD : ACTION_CREATE;
        outcome.parent = outcome.id;
        outcome.value_id.bytes[0] = (uint8_t)partition;
        outcome.version = (uint64_t)index + 1;
    } else if (index % 2) {
        outcome.reason = REASON_MALFORMED;
        snprintf(outcome.position, sizeof outcome.position, "%d:%d", partition, index);
    } else {
        outcome.reason = index % 4 ? REASON_UNKNOWN_VALUE : REASON_ID_REUSED;
        outcome.action = ACTION_MULTIPLY;
        outcome.parent = outcome.id;
        outcome.value_id.bytes[0] = 0x77;
    }
    return outcome;
}

/* How far a view was folded. */
struct folded {
    struct view *view;
    int next[VIEW_LOGS][PARTITIONS];
    uint8_t which; /* of the logs' first records */
};

static int apply(struct view_txn *txn, struct folded *folded, int log, int partition)
{
    int index = folded->next[log][partition]++;
    struct outcome outcome = outcome_of(log, partition, index);

    return log == VIEW_EVENTS
               ? view_apply_event(txn, &outcome, partition, offset_of(index), &error)
               : view_apply_rejection(txn, &outcome, partition, offset_of(index), &error);
}

static void keep(struct view_txn *txn, const struct folded *folded)
{
    for (int log = 0; log < VIEW_LOGS; log++) {
        view_set_partitions(txn, (enum view_log)log, PARTITIONS, &error);
        for (int i = 0; i < PARTITIONS; i++) {
            struct view_position position = {true, 0, 0, {{(uint8_t)log, (uint8_t)i, folded->which}}, {{0}}};
            if (folded->next[log][i] == 0)
                continue;
            position.last = offset_of(folded->next[log][i] - 1);
            position.next = position.last + 5;
            view_set_position(txn, (enum view_log)log, i, &position, &error);
        }
    }
}

/* Folds up to `count` records more, in runs from one partition after another, in batches. Returns how many
 * it were. */
static int fold(struct random *random, struct folded *folded, int count, int run)
{
    struct view_txn *txn = NULL;
    int done = 0, left = 1, bad = 0;

    while (done < count && left) {
        int log = (int)random_below(random, VIEW_LOGS);
        int partition = (int)random_below(random, PARTITIONS);
        int some = 1 + (int)random_below(random, (uint64_t)run);
        if (!txn && view_begin(folded->view, &txn, &error) < 0)
            return -1;
        while (some-- && done < count && folded->next[log][partition] < lengths[log][partition]) {
            bad += apply(txn, folded, log, partition) != 1;
            done++;
        }
        if (random_below(random, 300) == 0) {
            keep(txn, folded);
            view_commit(folded->view, txn, &error);
            txn = NULL;
        }
        left = 0;
        for (int i = 0; i < VIEW_LOGS * PARTITIONS; i++)
            left += lengths[i % VIEW_LOGS][i / VIEW_LOGS] - folded->next[i % VIEW_LOGS][i / VIEW_LOGS];
    }
    if (txn) {
        keep(txn, folded);
        view_commit(folded->view, txn, &error);
    }
    return bad ? -1 : done;
}

/* Takes up to `count` records from a cursor. Each partition's have to go on at seen[][], whole. Returns how
 * many it were; *last is the last one's sequence. */
static int walk(struct view *view, struct view_cursor *cursor, int seen[VIEW_LOGS][PARTITIONS], int count,
                uint64_t *last)
{
    struct view_record record;
    struct view_txn *txn;
    int done = 0, bad = 0;

    view_snapshot(view, &txn, &error);
    *last = 0;
    while (done < count && view_cursor_next(txn, cursor, &record, &error) == 1) {
        int index = seen[record.log][record.partition]++;
        struct outcome wanted = outcome_of((int)record.log, record.partition, index);
        bad += wrong(record.offset == offset_of(index) && same_outcome(&record.outcome, &wanted) &&
                         record.sequence > *last,
                     "record %d of partition %d, at %llu", index, (int)record.partition,
                     (unsigned long long)record.sequence);
        *last = record.sequence;
        done++;
    }
    view_abort(txn);
    return bad ? -1 : done;
}

static int place(struct view *view, struct view_cursor *cursor)
{
    struct view_txn *txn;
    int result;

    error = (struct error){0};
    view_snapshot(view, &txn, &error);
    result = view_cursor_place(txn, cursor, &error);
    view_abort(txn);
    return result;
}

/* The same cursor, written and read. */
static int copy(struct view_cursor *cursor, struct view_cursor *back)
{
    struct buffer text = {0};
    int result;

    *back = (struct view_cursor){0};
    view_cursor_write(cursor, &text);
    result = view_cursor_read(text.data, text.len, back, &error);
    buffer_release(&text);
    return result;
}

static void test_walks(struct random *random, struct folded *one, struct folded *other, int total)
{
    int bad = 0, bad_other = 0, bad_sequence = 0;

    for (int turn = 0, turns = some(60); turn < turns; turn++) {
        int seen[VIEW_LOGS][PARTITIONS] = {{0}}, again[VIEW_LOGS][PARTITIONS];
        struct view_cursor cursor = {0}, back = {0};
        int before = turn == 0 ? total : turn == 1 ? 1 : (int)random_below(random, (uint64_t)total);
        uint64_t last, first;
        place(one->view, &cursor);
        bad += wrong(cursor.sequence == 1 && walk(one->view, &cursor, seen, before, &last) == before,
                     "the first %d records", before);
        memcpy(again, seen, sizeof seen);
        bad += wrong(copy(&cursor, &back) == 0 && place(one->view, &back) == 0, "%s", error.text);
        first = back.sequence;
        bad += wrong(walk(one->view, &back, again, total, &last) == total - before, "then the others");
        bad_sequence += wrong(first == (uint64_t)before + 1, "begun at %llu, not %d",
                              (unsigned long long)first, before + 1);
        view_cursor_release(&back);
        bad_other += wrong(copy(&cursor, &back) == 0 && place(other->view, &back) == 0, "%s",
                           error.text);
        first = back.sequence;
        memcpy(again, seen, sizeof seen);
        bad_other += wrong(walk(other->view, &back, again, 1, &last) == (before < total) &&
                               (!last || last == first),
                           "the first one after %d", before);
        bad_other += wrong(walk(other->view, &back, again, total, &last) == total - before - (before < total),
                           "the others");
        view_cursor_release(&back);
        /* a subscriber goes on with what it has when the view is replaced */
        memcpy(again, seen, sizeof seen);
        bad_other += wrong(place(other->view, &cursor) == 0 &&
                               walk(other->view, &cursor, again, total, &last) == total - before,
                           "without a text");
        view_cursor_release(&cursor);
    }
    ok(!bad, "from any cursor, every record behind it comes once, in the view's order");
    ok(!bad_sequence, "from where it stopped, without looking through others");
    ok(!bad_other, "so it is in a view that took partitions and logs in another order");
}

static void test_end(struct random *random, struct folded *folded)
{
    struct view_cursor cursor = {0}, back;
    int seen[VIEW_LOGS][PARTITIONS];
    struct view_txn *txn;
    uint64_t last;
    int more;

    fold(random, folded, 9000, 3);
    memcpy(seen, folded->next, sizeof seen);
    view_snapshot(folded->view, &txn, &error);
    ok(view_cursor_place_at_end(txn, &cursor, &error) == 0, "a cursor is put at the end");
    view_abort(txn);
    ok(walk(folded->view, &cursor, seen, 1, &last) == 0, "where nothing comes");
    copy(&cursor, &back);
    more = fold(random, folded, 700, 3);
    ok(more == 700 && walk(folded->view, &cursor, seen, 10000, &last) == more, "until more is applied");
    memcpy(seen, folded->next, sizeof seen);
    ok(walk(folded->view, &cursor, seen, 1, &last) == 0, "each once");
    ok(place(folded->view, &back) == 0, "one that was at the end then");
    for (int i = 0; i < VIEW_LOGS * PARTITIONS; i++) {
        int32_t index = 0;
        while (index < back.logs[i % 2].count && back.logs[i % 2].places[index].partition != i / 2)
            index++;
        seen[i % 2][i / 2] = 0;
        if (index < back.logs[i % 2].count)
            while (offset_of(seen[i % 2][i / 2]) <= back.logs[i % 2].places[index].last)
                seen[i % 2][i / 2]++;
    }
    ok(walk(folded->view, &back, seen, 10000, &last) == more, "gets the same");
    view_cursor_release(&cursor);
    view_cursor_release(&back);
}

static bool same_text(struct view_cursor *one, struct view_cursor *other)
{
    struct buffer text = {0}, again = {0};
    bool same;

    view_cursor_write(one, &text);
    view_cursor_write(other, &again);
    same = text.len == again.len && memcmp(text.data, again.data, text.len) == 0;
    buffer_release(&text);
    buffer_release(&again);
    return same;
}

/* Found without walking there, as for the outcome of a command. */
static void test_behind(struct random *random, struct folded *folded, int total)
{
    int bad = 0;

    for (int turn = 0, turns = some(25); turn < turns; turn++) {
        int seen[VIEW_LOGS][PARTITIONS] = {{0}};
        struct view_cursor walked = {0}, found = {0};
        int count = turn == 0 ? 1 : turn == 1 ? total : 1 + (int)random_below(random, (uint64_t)total);
        struct view_txn *txn;
        uint64_t last;
        place(folded->view, &walked);
        walk(folded->view, &walked, seen, count, &last);
        view_snapshot(folded->view, &txn, &error);
        bad += wrong(view_cursor_place_behind(txn, &found, last, &error) == 0 && same_text(&walked, &found) &&
                         found.sequence == last + 1,
                     "behind %d", count);
        view_abort(txn);
        view_cursor_release(&walked);
        view_cursor_release(&found);
    }
    ok(!bad, "the cursor behind any record is the one that a walk there has");
}

/* Records are read by one cursor, and others are led over them. */
static void test_led(struct random *random, struct folded *folded, int total)
{
    int bad_move = 0, bad_join = 0, bad_has = 0, bad_covers = 0;

    for (int turn = 0, turns = some(20); turn < turns; turn++) {
        struct view_cursor walked = {0}, moved = {0}, joined = {0}, stretch = {0};
        int seen[VIEW_LOGS][PARTITIONS] = {{0}};
        int count = 1 + (int)random_below(random, (uint64_t)total - 500);
        struct view_record record;
        struct view_txn *txn;
        uint64_t last;
        place(folded->view, &walked);
        walk(folded->view, &walked, seen, count, &last);
        view_snapshot(folded->view, &txn, &error);
        view_cursor_place_behind(txn, &moved, last, &error);
        view_cursor_place_behind(txn, &joined, last, &error);
        stretch.sequence = last + 1;
        for (int i = 0; i < 500 && view_cursor_next(txn, &stretch, &record, &error) == 1; i++) {
            bad_has += wrong(!view_cursor_has(&walked, &record), "not yet");
            view_cursor_next(txn, &walked, &record, &error);
            bad_has += wrong(view_cursor_has(&walked, &record), "now");
            bad_covers += wrong(view_cursor_covers(&walked, &moved) && !view_cursor_covers(&moved, &walked),
                                "one record more");
            bad_move += wrong(view_cursor_move(&moved, &stretch, record.log, record.partition, record.offset) == 0 &&
                                  same_text(&moved, &walked),
                              "behind record %d", i);
            bad_covers += wrong(view_cursor_covers(&moved, &walked), "as far");
        }
        bad_join += wrong(view_cursor_join(&joined, &stretch) == 0 && same_text(&joined, &walked), "500 behind %d",
                          count);
        view_cursor_join(&joined, &stretch);
        bad_join += wrong(same_text(&joined, &walked), "again");
        view_abort(txn);
        view_cursor_release(&walked);
        view_cursor_release(&moved);
        view_cursor_release(&joined);
        view_cursor_release(&stretch);
    }
    ok(!bad_move, "a cursor that is led over records is the one that walked");
    ok(!bad_join, "also over a stretch at once");
    ok(!bad_has, "it has what it was led over, and no more");
    ok(!bad_covers, "and covers what has less");
}

/* A view that is folded anew, and isn't as far as the cursor yet. */
static void test_ahead(struct random *random, struct folded *whole, int total)
{
    struct folded late = {.which = whole->which};
    struct view_cursor cursor = {0}, back;
    int seen[VIEW_LOGS][PARTITIONS] = {{0}};
    uint64_t last;

    view_create("late", &late.view, &error);
    place(whole->view, &cursor);
    walk(whole->view, &cursor, seen, total - 500, &last);
    copy(&cursor, &back);
    ok(place(late.view, &back) < 0 && error.status == EX_TEMPFAIL,
       "a view that has nothing yet of what a cursor has read isn't ready for it");
    fold(random, &late, total / 2, 5);
    ok(place(late.view, &back) == 0, "one that is behind it is");
    ok(walk(late.view, &back, seen, total, &last) >= 0, "and gives what is behind it");
    fold(random, &late, total, 5);
    walk(late.view, &back, seen, total, &last);
    ok(memcmp(seen, lengths, sizeof seen) == 0, "when it comes");
    view_cursor_release(&cursor);
    view_cursor_release(&back);
    view_close(late.view);
}

static void test_foreign(struct random *random, struct folded *whole)
{
    struct folded other = {.which = 9};
    struct view_cursor cursor = {0}, back;
    int seen[VIEW_LOGS][PARTITIONS] = {{0}};
    uint64_t last;

    view_create("foreign", &other.view, &error);
    fold(random, &other, 5000, 5);
    place(whole->view, &cursor);
    walk(whole->view, &cursor, seen, 2000, &last);
    copy(&cursor, &back);
    ok(place(other.view, &back) < 0 && error.status == EX_DATAERR,
       "a cursor of other logs is refused");
    ok(place(other.view, &cursor) < 0 && error.status == EX_DATAERR,
       "also if it is the one of a subscriber whose view was replaced");
    view_cursor_release(&cursor);
    view_cursor_release(&back);
    view_close(other.view);
}

static void test_texts(struct folded *whole)
{
    static const char *const none[] = {
        "", "1", "1.", "1.0123456789abcdef", "1.0123456789abcdef.", "1.0123456789abcdef..",
        "2.0123456789abcdef...", "1.0123456789ABCDEF...", "1.0123456789abcde...",
        "1.0123456789abcdef....", "1.0123456789abcdef..x.", "1.0123456789abcdef.0..",
        "1.0123456789abcdef.0-..", "1.0123456789abcdef.-1..", "1.0123456789abcdef.0-01..",
        "1.0123456789abcdef.00-1..", "1.0123456789abcdef.0-1_..", "1.0123456789abcdef._0-1..",
        "1.0123456789abcdef.0-1_0-2..", "1.0123456789abcdef.1-1_0-2..",
        "1.0123456789abcdef.0-18446744073709551616..", "1.0123456789abcdef.2147483648-0..",
        "1.0123456789abcdef.0-1 ..", "1.0123456789abcdef.0-1.0--1.", "1.0123456789abcdef.0-1.0-1\n",
        "1.0123456789abcdef.0-1.0-1.\n"};
    struct view_cursor cursor = {0}, back = {0};
    struct buffer text = {0}, again = {0};
    int seen[VIEW_LOGS][PARTITIONS] = {{0}}, bad = 0;
    uint64_t last;

    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        bad += wrong(view_cursor_read(none[i], strlen(none[i]), &cursor, &error) < 0 &&
                         error.status == EX_DATAERR,
                     "%s", none[i]);
    ok(!bad, "what is no cursor is refused");
    ok(view_cursor_read("1.0123456789abcdef.0-0_2147483647-18446744073709551615.7-1.", 60, &cursor,
                        &error) < 0,
       "text behind it too");
    ok(view_cursor_read("1.0123456789abcdef.0-0_2147483647-18446744073709551615.7-1.", 59, &cursor,
                        &error) == 0 &&
           cursor.logs[0].count == 2 && cursor.logs[0].places[1].last == UINT64_MAX &&
           cursor.logs[1].places[0].partition == 7,
       "the largest numbers are read");
    view_cursor_release(&cursor);
    place(whole->view, &cursor);
    walk(whole->view, &cursor, seen, 3000, &last);
    view_cursor_write(&cursor, &text);
    bad = 0;
    for (size_t i = 0; i < text.len; i++) {
        bad += wrong(strchr("0123456789abcdef.-_", text.data[i]) != NULL, "a %c", text.data[i]);
        bad += wrong(view_cursor_read(text.data, i, &back, &error) < 0, "the first %zu",
                     i);
        view_cursor_release(&back);
    }
    ok(!bad, "a text needs no quotes in a shell, a URL or a header, and a part of it is none");
    view_cursor_read(text.data, text.len, &back, &error);
    view_cursor_write(&back, &again);
    ok(again.len == text.len && memcmp(again.data, text.data, text.len) == 0,
       "a cursor that was read is written as it was");
    buffer_release(&text);
    buffer_release(&again);
    view_cursor_release(&cursor);
    view_cursor_release(&back);
}

int main(void)
{
    struct random random = {7};
    struct folded one = {0}, other = {0}, third = {0};
    int total = 0;

    scratch_enter();
    for (int log = 0; log < VIEW_LOGS; log++)
        for (int i = 0; i < PARTITIONS; i++) {
            lengths[log][i] = i == 3 ? 40 : MOST / 2 + (int)random_below(&random, MOST / 2);
            total += lengths[log][i];
        }
    view_create("one", &one.view, &error);
    view_create("other", &other.view, &error);
    view_create("third", &third.view, &error);
    ok(fold(&random, &one, total, 2) == total && fold(&random, &other, total, 400) == total,
       "two views of the same logs");
    test_walks(&random, &one, &other, total);
    test_end(&random, &third);
    test_behind(&random, &one, total);
    test_behind(&random, &other, total);
    test_led(&random, &one, total);
    test_led(&random, &other, total);
    test_ahead(&random, &one, total);
    test_foreign(&random, &one);
    test_texts(&one);
    view_close(one.view);
    view_close(other.view);
    view_close(third.view);
    return tap_done();
}
