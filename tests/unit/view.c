#include "store/view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "messages.h"
#include "scratch.h"
#include "tap.h"

static struct error error;
static uint64_t offset; /* in their logs, of what is applied */

/* The event that makes a value's version; `which` tells two of the same version apart. */
static struct outcome event_of(const struct id *value, uint64_t version, int which)
{
    struct outcome event = {.action = version == 1 ? ACTION_CREATE : ACTION_ADD,
                            .value_id = *value,
                            .value = 1,
                            .version = version,
                            .result = (double)version,
                            .timestamp = (int64_t)version * 1000000};

    event.parent = *value;
    event.parent.bytes[0] = (uint8_t)which;
    event.parent.bytes[15] = (uint8_t)version;
    event.parent.bytes[14] = (uint8_t)(version >> 8);
    outcome_derive_id(value, &event.parent, &event.id);
    actor_set(&event.actor, "ann", 3);
    return event;
}

static struct id id_of(int number)
{
    struct id id = {{0x01, 0x93}};

    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

static int apply(struct view_txn *txn, int value, uint64_t version, int which)
{
    struct id id = id_of(value);
    struct outcome event = event_of(&id, version, which);

    error = (struct error){0};
    return view_apply_event(txn, &event, 0, offset += 100, &error);
}

static uint64_t version_of(struct view_txn *txn, int number)
{
    struct view_value value;
    struct id id = id_of(number);

    return view_get_value(txn, &id, &value, &error) > 0 ? value.value.version : 0;
}

static void test_events(struct view *view)
{
    struct view_txn *txn;
    struct view_value value;
    struct id id = id_of(1);
    struct outcome event = event_of(&id, 3, 0), back;

    view_begin(view, &txn, &error);
    ok(view_get_value(txn, &id, &value, &error) == 0, "a value that nobody created is unknown");
    ok(apply(txn, 1, 1, 0) == 1 && apply(txn, 1, 2, 0) == 1 && apply(txn, 1, 3, 0) == 1,
       "events are applied in the order of their versions");
    ok(apply(txn, 1, 3, 0) == 0 && apply(txn, 1, 1, 0) == 0,
       "again they are duplicates, old ones too");
    ok(apply(txn, 1, 3, 1) < 0 && error.status == EX_DATAERR,
       "another event of a version is a fork");
    ok(apply(txn, 1, 1, 1) < 0 && error.status == EX_DATAERR, "so it is of an old version");
    ok(apply(txn, 1, 5, 0) < 0 && error.status == EX_DATAERR, "a missing version is a gap");
    ok(apply(txn, 2, 2, 0) < 0 && error.status == EX_DATAERR, "so is a missing first one");
    ok(view_get_value(txn, &id, &value, &error) == 1 && value.value.version == 3 &&
           value.value.number == 3 && value.timestamp == 3000000 && id_equal(&value.id, &id),
       "a value is what its last event made it");
    memset(&back, 0x5a, sizeof back);
    ok(view_get_outcome(txn, &id, &event.parent, &back, &error) == 1 && same_outcome(&back, &event),
       "an event is kept whole, as the outcome of its command");
    struct id other = id_of(2);
    ok(view_get_outcome(txn, &other, &event.parent, &back, &error) == 0,
       "on another value that command has none");
    ok(view_commit(view, txn, &error) == 0, "a batch is committed");
    view_begin(view, &txn, &error);
    apply(txn, 1, 4, 0);
    view_abort(txn);
    view_snapshot(view, &txn, &error);
    ok(version_of(txn, 1) == 3, "a batch that is not committed leaves nothing");
    view_abort(txn);
    view_abort(NULL);
}

static void test_rejections(struct view *view)
{
    static const enum reason unbound[] = {REASON_MALFORMED, REASON_MISPLACED, REASON_ID_REUSED};
    struct random random = {1};
    struct outcome rejection, back;
    struct view_txn *txn;
    int bad = 0;

    view_begin(view, &txn, &error);
    for (enum reason reason = REASON_VALUE_EXISTS; reason <= REASON_OUT_OF_RANGE; reason++)
        for (int i = 0; i < 50; i++) {
            random_outcome(&random, reason, &rejection);
            memset(&back, 0x5a, sizeof back);
            bad += wrong(view_apply_rejection(txn, &rejection, 0, offset += 100, &error) == 1 &&
                             view_get_outcome(txn, &rejection.value_id, &rejection.parent, &back,
                                              &error) == 1 &&
                             same_outcome(&back, &rejection),
                         "%s, %d", reason_text(reason), i);
        }
    ok(!bad, "rejections are kept whole, as the outcomes of their commands");
    ok(view_apply_rejection(txn, &rejection, 0, offset += 100, &error) == 0, "the same again is a duplicate");
    rejection.id.bytes[0] ^= 1;
    ok(view_apply_rejection(txn, &rejection, 0, offset += 100, &error) < 0 && error.status == EX_DATAERR,
       "another outcome of a command is a fork");
    bad = 0;
    for (size_t i = 0; i < 3; i++) {
        random_outcome(&random, unbound[i], &rejection);
        bad += wrong(
            view_apply_rejection(txn, &rejection, 0, offset += 100, &error) == 1 &&
                view_get_outcome(txn, &rejection.value_id, &rejection.parent, &back, &error) == 0 &&
                view_apply_rejection(txn, &rejection, 0, offset += 100, &error) == 0,
            "%s", reason_text(unbound[i]));
    }
    ok(!bad, "malformed, misplaced and id_reused are applied once, and are no outcomes of a command");
    struct id id = id_of(1);
    struct outcome event = event_of(&id, 3, 0);
    rejection = event;
    rejection.reason = REASON_ID_REUSED;
    random_id(&random, &rejection.id);
    ok(view_apply_rejection(txn, &rejection, 0, offset += 100, &error) == 1 &&
           view_get_outcome(txn, &id, &event.parent, &back, &error) == 1 &&
           same_outcome(&back, &event),
       "an id_reused replaces no outcome");
    rejection.reason = REASON_FORBIDDEN;
    ok(view_apply_rejection(txn, &rejection, 0, offset += 100, &error) < 0 && error.status == EX_DATAERR,
       "a command that was applied can't be rejected");
    view_abort(txn);
}

static void test_skips(struct view *view)
{
    struct id id = id_of(10), unknown = id_of(11);
    struct outcome event = event_of(&id, 2, 0), first = event_of(&unknown, 1, 0);
    struct view_value value;
    struct view_txn *txn;

    view_begin(view, &txn, &error);
    apply(txn, 10, 1, 0);
    ok(view_skip_event(txn, &event, &error) == 0 && apply(txn, 10, 5, 0) == 1 &&
           version_of(txn, 10) == 5,
       "after a skip the value's next event sets its version");
    ok(apply(txn, 10, 7, 0) < 0, "only the next one");
    view_skip_event(txn, &first, &error);
    ok(view_get_value(txn, &unknown, &value, &error) == 0, "a skip creates no value");
    ok(apply(txn, 11, 2, 0) == 1 && version_of(txn, 11) == 2,
       "but its second event can be its first");
    ok(apply(txn, 11, 2, 0) == 0, "which is then known");
    view_skip_event(txn, NULL, &error);
    view_skip_event(txn, NULL, &error);
    view_commit(view, txn, &error);
    view_begin(view, &txn, &error);
    ok(apply(txn, 12, 4, 0) < 0, "two skips of unknown values do not explain three missing events");
    ok(apply(txn, 12, 2, 0) == 1, "one explains one");
    view_commit(view, txn, &error);
    view_begin(view, &txn, &error);
    ok(apply(txn, 13, 2, 0) == 1, "the other another, in a later batch");
    view_commit(view, txn, &error);
    view_begin(view, &txn, &error);
    ok(apply(txn, 14, 2, 0) < 0, "then they are used up");
    view_abort(txn);
}

static void test_positions(struct view *view)
{
    struct view_position position = {true, 100, 250, {{1}}, {{2}}}, back;
    struct view_txn *txn;
    int32_t count;

    view_begin(view, &txn, &error);
    ok(view_get_position(txn, VIEW_EVENTS, 3, &back, &error) == 0 && !back.begun,
       "a log that wasn't read has no position");
    ok(view_get_partitions(txn, VIEW_EVENTS, &count, &error) == 0 && count == 0,
       "and nobody knows how many partitions it has");
    view_set_position(txn, VIEW_EVENTS, 3, &position, &error);
    view_set_partitions(txn, VIEW_EVENTS, 12, &error);
    ok(view_get_position(txn, VIEW_REJECTIONS, 3, &back, &error) == 0 && !back.begun &&
           view_get_partitions(txn, VIEW_REJECTIONS, &count, &error) == 0 && count == 0,
       "each log has its own");
    ok(view_get_position(txn, VIEW_EVENTS, 0, &back, &error) == 0 && !back.begun &&
           view_get_position(txn, VIEW_EVENTS, 33, &back, &error) == 0 && !back.begun,
       "and so does each partition");
    view_commit(view, txn, &error);
    view_snapshot(view, &txn, &error);
    ok(view_get_position(txn, VIEW_EVENTS, 3, &back, &error) == 0 && back.begun &&
           back.last == 100 && back.next == 250 &&
           id_equal(&back.first_digest, &position.first_digest) &&
           id_equal(&back.last_digest, &position.last_digest),
       "a position is kept with the batch");
    ok(view_get_partitions(txn, VIEW_EVENTS, &count, &error) == 0 && count == 12,
       "and how many partitions there are");
    view_abort(txn);
}

static void test_iteration(struct view *view)
{
    enum { FIRST = 1000, COUNT = 500 };
    struct random random = {1};
    struct view_value value;
    struct view_txn *txn;
    struct id last, skipped;
    int bad = 0, count = 0, result, order[COUNT];

    for (int i = 0; i < COUNT; i++)
        order[i] = FIRST + i;
    for (int i = COUNT - 1; i > 0; i--) {
        int j = (int)random_below(&random, (uint64_t)i + 1), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    view_begin(view, &txn, &error);
    for (int i = 0; i < COUNT; i++)
        apply(txn, order[i], 1, 0);
    for (int i = 0; i < 5; i++) { /* values of which only skips are known, the last one too */
        skipped = id_of(FIRST + COUNT + i);
        struct outcome event = event_of(&skipped, 1, 0);
        view_skip_event(txn, &event, &error);
    }
    view_commit(view, txn, &error);
    view_snapshot(view, &txn, &error);
    last = id_of(FIRST - 1);
    while ((result = view_next_value(txn, &last, &value, &error)) == 1) {
        struct id wanted = id_of(FIRST + count++);
        bad += wrong(id_equal(&value.id, &wanted) && value.value.version == 1, "value %d", count);
        last = value.id;
    }
    ok(!bad && count == COUNT && result == 0, "values are walked in the order of their ids");
    struct id first = id_of(1);
    ok(view_next_value(txn, NULL, &value, &error) == 1 && id_equal(&value.id, &first),
       "from the first of all");
    memset(&last, 0xff, sizeof last);
    ok(view_next_value(txn, &last, &value, &error) == 0, "behind the last there is none");
    view_abort(txn);
}

static void test_reopen(void)
{
    struct view *view, *second;
    struct view_txn *txn;
    struct view_position position;

    ok(view_create("view", &view, &error) == 0, "a view that is there is opened again");
    ok(view_create("view", &second, &error) < 0 && error.status == EX_TEMPFAIL,
       "by one projector at a time");
    view_begin(view, &txn, &error);
    view_get_position(txn, VIEW_EVENTS, 3, &position, &error);
    ok(version_of(txn, 1) == 3 && version_of(txn, 10) == 5 && position.next == 250,
       "it has its values and its positions");
    ok(apply(txn, 1, 3, 0) == 0 && apply(txn, 1, 3, 1) < 0 && apply(txn, 1, 4, 0) == 1,
       "and tells duplicates and forks from what is next");
    ok(apply(txn, 1500, 7, 0) == 1, "skips outlive it");
    view_abort(txn);
    view_close(view);
}

static void test_empty(void)
{
    struct view *view;
    struct view_value value;
    struct view_txn *txn;

    ok(view_open("nothing", &view, &error) < 0 && error.status == EX_TEMPFAIL,
       "where no view is yet, a reader is told to try again");
    view_create("empty", &view, &error);
    view_snapshot(view, &txn, &error);
    ok(view_next_value(txn, NULL, &value, &error) == 0, "an empty view has no first value");
    view_abort(txn);
    view_close(view);
    mkdir("broken", 0777);
    mkdir("broken/1", 0777);
    ok(symlink("1", "broken/current") == 0, "a folder with a file that is no view");
    FILE *file = fopen("broken/1/data.mdb", "w");
    for (int i = 0; i < 16384; i++)
        putc('x', file);
    fclose(file);
    ok(view_create("broken", &view, &error) < 0 && error.status == EX_DATAERR,
       "is refused to the projector");
    ok(view_open("broken", &view, &error) < 0 && error.status == EX_DATAERR, "and to a reader");
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In a process of its own: waits for value 1 to have `version`, in a view that may not be there
 * yet; 0 when it has. */
static int reader(uint64_t version, int ready)
{
    int64_t deadline = now_ms() + 20000;
    struct view_waiter waiter;
    struct view *view = NULL;
    struct view_txn *txn;
    uint64_t found = 0;

    view_waiter_open(&waiter, "watched");
    while (now_ms() < deadline) {
        if (!view && view_open("watched", &view, &error) < 0)
            view = NULL;
        if (view && view_snapshot(view, &txn, &error) == 0) {
            found = version_of(txn, 1);
            view_abort(txn);
        }
        if (found == version)
            break;
        if (view && ready >= 0 && write(ready, "", 1) == 1) {
            close(ready);
            ready = -1;
        }
        view_wait(&waiter, 10000);
    }
    view_close(view);
    view_waiter_close(&waiter);
    return found == version ? 0 : 1;
}

static void test_readers(void)
{
    int pipes[2], status[2];
    struct view *view;
    struct view_txn *txn;
    pid_t child[2];
    char byte;

    if (pipe(pipes) < 0)
        return;
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            close(pipes[0]);
            exit(reader(i ? 2 : 1, i ? pipes[1] : -1));
        }
    }
    close(pipes[1]);
    view_create("watched", &view, &error);
    view_begin(view, &txn, &error);
    apply(txn, 1, 1, 0);
    view_commit(view, txn, &error);
    waitpid(child[0], &status[0], 0);
    ok(status[0] == 0, "a reader that came before the view sees the first batch");
    ok(read(pipes[0], &byte, 1) == 1, "another one has the view open");
    view_begin(view, &txn, &error);
    apply(txn, 1, 2, 0);
    view_commit(view, txn, &error);
    waitpid(child[1], &status[1], 0);
    ok(status[1] == 0, "and sees the next batch in it");
    close(pipes[0]);
    view_close(view);
}

static void test_replaced(void)
{
    struct view *view;

    ok(view_open("view", &view, &error) == 0 && !view_replaced(view), "a view is what was opened");
    rename("view/current", "view/old");
    ok(view_replaced(view), "until its name is gone");
    mkdir("view/2", 0777);
    fclose(fopen("view/2/data.mdb", "w"));
    ok(symlink("2", "view/current") == 0 && view_replaced(view), "or is another's");
    view_close(view);
    view_close(NULL);
}

int main(void)
{
    struct view *view = NULL;

    scratch_enter();
    test_readers(); /* before this process has opened any */
    ok(view_create("view", &view, &error) == 0, "a view is made");
    test_events(view);
    test_rejections(view);
    test_skips(view);
    test_positions(view);
    test_iteration(view);
    view_close(view);
    test_reopen();
    test_empty();
    test_replaced();
    return tap_done();
}
