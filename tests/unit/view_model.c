/* A view against a model that is too simple to be wrong: random events and rejections, with duplicates,
 * forks, gaps and skips among them, in batches of which some are given up. */
#include "store/view.h"

#include <stdlib.h>

#include "calc/projection.h"
#include "messages.h"
#include "scratch.h"
#include "store/view_cursor.h"
#include "tap.h"

enum { VALUES = 4, COMMANDS = 60, VERSIONS = 1000, ORDER = 40000, STEPS = 30000 };

struct model_value {
    uint64_t version;
    double number;
    int64_t timestamp;
    bool any_next;
};

struct model {
    struct model_value values[VALUES];
    int history[VALUES][VERSIONS];   /* index in order + 1 */
    int outcomes[VALUES][COMMANDS];  /* the same */
    uint64_t unplaced;
    int count; /* in order */
};

static struct outcome order[ORDER];
static uint64_t offsets[ORDER];
static struct error error;

static struct id value_id(int value)
{
    struct id id = {{0}};

    id.bytes[0] = (uint8_t)(value * 70);
    return id;
}

static struct id command_id(int command)
{
    struct id id = {{0xcc}};

    id.bytes[15] = (uint8_t)command;
    return id;
}

/* --- the model --- */

static void model_append(struct model *model, const struct outcome *outcome, uint64_t offset)
{
    order[model->count] = *outcome;
    offsets[model->count++] = offset;
}

static int model_event(struct model *model, int value, int command, const struct outcome *event, uint64_t offset)
{
    struct model_value *state = &model->values[value];
    uint64_t before = model->unplaced;
    int *there = &model->history[value][event->version], *outcome = &model->outcomes[value][command];

    switch (projection_judge(state->version, event->version,
                             (struct allowance){state->any_next, &model->unplaced})) {
    case PROJECTION_KNOWN:
        return *there && id_equal(&order[*there - 1].id, &event->id) ? 0 : -1;
    case PROJECTION_GAP:
        return -1;
    case PROJECTION_APPLY:
        break;
    }
    if (*outcome && order[*outcome - 1].reason != REASON_NONE) {
        model->unplaced = before;
        return -1;
    }
    model_append(model, event, offset);
    *there = model->count;
    if (!*outcome)
        *outcome = model->count;
    *state = (struct model_value){event->version, event->result, event->timestamp, false};
    return 1;
}

static int model_rejection(struct model *model, int value, int command, const struct outcome *rejection,
                           uint64_t offset)
{
    int *outcome = &model->outcomes[value][command];

    if (rejection->reason <= REASON_ID_REUSED) {
        for (int i = 0; i < model->count; i++)
            if (order[i].reason != REASON_NONE && id_equal(&order[i].id, &rejection->id))
                return 0;
        model_append(model, rejection, offset);
        return 1;
    }
    if (*outcome)
        return order[*outcome - 1].reason == rejection->reason &&
                       order[*outcome - 1].version == rejection->version &&
                       id_equal(&order[*outcome - 1].id, &rejection->id)
                   ? 0
                   : -1;
    model_append(model, rejection, offset);
    *outcome = model->count;
    return 1;
}

/* --- what comes --- */

/* An event whose id follows from its value, version and command, but for forks. */
static void random_event(struct random *random, const struct model *model, int value, int command,
                         struct outcome *event)
{
    uint64_t current = model->values[value].version, kind = random_below(random, 20);

    memset(event, 0, sizeof *event);
    event->version = current + 1;
    if (kind < 3)
        event->version = 1 + random_below(random, current + 1);
    else if (kind == 3)
        event->version += 1 + random_below(random, 80);
    if (event->version >= VERSIONS)
        event->version = 1 + random_below(random, current);
    event->action = event->version == 1 ? ACTION_CREATE : ACTION_ADD;
    event->value_id = value_id(value);
    event->parent = command_id(command);
    event->value = (double)random_below(random, 100);
    event->result = (double)event->version / 4;
    event->timestamp = random_below(random, 2) ? TIMESTAMP_NONE : (int64_t)random_below(random, 1000);
    if (model->history[value][event->version] && random_below(random, 3))
        *event = order[model->history[value][event->version] - 1]; /* again */
    else
        random_id(random, &event->id);
}

static void random_rejection(struct random *random, const struct model *model, int value, int command,
                             struct outcome *rejection)
{
    random_outcome(random, (enum reason)(1 + random_below(random, REASON_OUT_OF_RANGE)), rejection);
    rejection->value_id = value_id(value);
    rejection->parent = command_id(command);
    if (model->count && random_below(random, 3) == 0) {
        const struct outcome *again = &order[random_below(random, (uint64_t)model->count)];
        if (again->reason != REASON_NONE)
            *rejection = *again;
    }
}

static int command_of(const struct outcome *outcome)
{
    return outcome->parent.bytes[15];
}

static int value_of(const struct outcome *outcome)
{
    return outcome->value_id.bytes[0] / 70;
}

/* --- comparing --- */

static int compare_value(struct view_txn *txn, const struct model *model, int value)
{
    const struct model_value *wanted = &model->values[value];
    struct view_value found;
    struct id id = value_id(value);
    int result = view_get_value(txn, &id, &found, &error);

    return wrong(result == (wanted->version > 0) &&
                     (!result || (found.value.version == wanted->version &&
                                  same_double(found.value.number, wanted->number) &&
                                  found.timestamp == wanted->timestamp)),
                 "value %d", value);
}

static int compare_outcome(struct view_txn *txn, const struct model *model, int value, int command)
{
    int there = model->outcomes[value][command];
    struct id id = value_id(value), asked = command_id(command);
    struct outcome found;
    int result = view_get_outcome(txn, &id, &asked, &found, &error);

    return wrong(result == (there > 0) && (!result || same_outcome(&found, &order[there - 1])),
                 "command %d on value %d", command, value);
}

static int compare_event(struct view_txn *txn, const struct model *model, int value, int version)
{
    int there = model->history[value][version];
    struct id id = value_id(value);
    struct outcome found;
    int result = view_get_event(txn, &id, (uint64_t)version, &found, &error);

    return wrong(result == (there > 0) && (!result || same_outcome(&found, &order[there - 1])),
                 "version %d of value %d", version, value);
}

static int compare_history(struct view_txn *txn, const struct model *model, int value, int after)
{
    struct outcome events[VIEW_HISTORY_PAGE];
    struct id id = value_id(value);
    int count, bad = 0;

    do {
        if (view_get_history(txn, &id, (uint64_t)after, events, &count, &error) < 0)
            return wrong(false, "history of value %d: %s", value, error.text);
        for (int i = 0; i < count; i++) {
            while (++after < VERSIONS && !model->history[value][after])
                ;
            bad += wrong(after < VERSIONS &&
                             same_outcome(&events[i], &order[model->history[value][after] - 1]),
                         "version %d in the history of value %d", after, value);
            if (bad)
                return bad;
        }
    } while (count);
    while (++after < VERSIONS && !model->history[value][after])
        ;
    return wrong(after == VERSIONS, "no version %d in the history of value %d", after, value);
}

static int compare_as_of(struct view_txn *txn, const struct model *model, int value, int64_t time)
{
    int64_t effective = INT64_MIN;
    struct id id = value_id(value);
    struct outcome found;
    int wanted = 0, result = view_get_as_of(txn, &id, time, &found, &error);

    for (int version = 1; version < VERSIONS; version++) {
        int there = model->history[value][version];
        if (there && order[there - 1].timestamp != TIMESTAMP_NONE)
            effective = order[there - 1].timestamp;
        if (there && effective <= time)
            wanted = version;
    }
    return wrong(result == (wanted > 0) && (!result || found.version == (uint64_t)wanted),
                 "value %d as of %lld: %d", value, (long long)time, wanted);
}

/* The first value of all. In a batch it has everything put into the tables before. */
static int compare_first(struct view_txn *txn, const struct model *model)
{
    struct view_value found;
    int first = 0, result = view_next_value(txn, NULL, &found, &error);
    struct id id;

    while (first < VALUES && !model->values[first].version)
        first++;
    id = value_id(first);
    return wrong(result == (first < VALUES) &&
                     (!result || (id_equal(&found.id, &id) &&
                                  found.value.version == model->values[first].version)),
                 "the first value");
}

static int compare_some(struct random *random, struct view_txn *txn, const struct model *model)
{
    int value = (int)random_below(random, VALUES);

    return compare_value(txn, model, value) +
           compare_outcome(txn, model, value, (int)random_below(random, COMMANDS)) +
           compare_event(txn, model, value, (int)random_below(random, VERSIONS)) +
           compare_history(txn, model, value, (int)random_below(random, VERSIONS)) +
           compare_as_of(txn, model, value, (int64_t)random_below(random, 1100) - 50) +
           (random_below(random, 8) ? 0 : compare_first(txn, model));
}

static int compare_order(struct view_txn *txn, const struct model *model)
{
    struct view_cursor cursor = {0};
    struct view_record record;
    int at = 0, bad = 0;

    view_cursor_place(txn, &cursor, &error);
    while (view_cursor_next(txn, &cursor, &record, &error) > 0 && at < model->count) {
        bad += wrong(record.sequence == (uint64_t)at + 1 && record.offset == offsets[at] &&
                         record.partition == 0 && same_outcome(&record.outcome, &order[at]),
                     "record %d in the order", at);
        at++;
    }
    view_cursor_release(&cursor);
    return bad + wrong(at == model->count, "%d records in the order", at);
}

/* A rebuild's copy takes the place of the view in use. */
static struct view *seen(const char *folder, struct view *copy)
{
    struct view *place;

    if (view_claim(folder, &place, &error) < 0 || view_switch(place, copy, &error) < 0)
        wrong(false, "the switch: %s", error.text);
    return copy;
}

/* `copy`: a rebuild's, where no batch is given up. */
static void test_model(struct random *random, const char *folder, struct view *view, bool copy)
{
    static struct model model, kept;
    int bad = 0, bad_reads = 0, result, wanted, results[3] = {0}, aborts = 0;
    struct view_txn *txn = NULL;
    struct outcome outcome;

    model = kept = (struct model){0};
    for (int step = 0; step < STEPS; step++) {
        int value = (int)random_below(random, VALUES), command = (int)random_below(random, COMMANDS);
        uint64_t kind = random_below(random, 1000), offset = (uint64_t)step * 10;
        if (!txn && view_begin(view, &txn, &error) < 0)
            break;
        if (kind < 650) {
            random_event(random, &model, value, command, &outcome);
            wanted = model_event(&model, value, command_of(&outcome), &outcome, offset);
            result = view_apply_event(txn, &outcome, 0, offset, &error);
        } else if (kind < 960) {
            random_rejection(random, &model, value, command, &outcome);
            wanted = model_rejection(&model, value_of(&outcome), command_of(&outcome), &outcome, offset);
            result = view_apply_rejection(txn, &outcome, 0, offset, &error);
        } else if (kind < 970) {
            random_event(random, &model, value, command, &outcome);
            wanted = 0;
            if (kind < 965)
                model.unplaced++;
            else
                model.values[value].any_next = true;
            result = view_skip_event(txn, kind < 965 ? NULL : &outcome, &error);
        } else if (kind < 985) {
            wanted = result = 0;
            bad_reads += compare_some(random, txn, &model);
        } else {
            struct view_position position = {.begun = true, .last = offset, .next = offset + 1};
            wanted = result = 0;
            view_set_position(txn, VIEW_EVENTS, 0, &position, &error);
            view_set_position(txn, VIEW_REJECTIONS, 0, &position, &error);
            if (kind == 985 && !copy) {
                view_abort(txn);
                model = kept;
                aborts++;
            } else {
                view_commit(view, txn, &error);
                if (copy && kind == 986)
                    bad += wrong(view_settle(view, &error) == 0, "step %d: %s", step, error.text);
                kept = model;
            }
            txn = NULL;
        }
        results[result + 1]++;
        bad += wrong(result == wanted, "step %d: %d, not %d", step, result, wanted);
    }
    if (copy)
        bad += wrong(view_commit(view, txn, &error) == 0, "the last commit");
    else
        view_abort(txn);
    model = copy ? model : kept;
    view = copy ? seen(folder, view) : view;
    ok(!bad && results[0] > 300 && results[1] > 300 && results[2] > 300 &&
           (copy || aborts > 3),
       "what is applied, a duplicate, a fork or a gap is what the model says: %d, %d, %d", results[2],
       results[1], results[0]);
    view_snapshot(view, &txn, &error);
    for (int value = 0; value < VALUES; value++) {
        bad_reads += compare_value(txn, &model, value) + compare_history(txn, &model, value, 0);
        for (int command = 0; command < COMMANDS; command++)
            bad_reads += compare_outcome(txn, &model, value, command);
        for (int version = 0; version < VERSIONS; version++)
            bad_reads += compare_event(txn, &model, value, version);
        for (int64_t time = -1; time < 1002; time += slow() ? 20 : 1)
            bad_reads += compare_as_of(txn, &model, value, time);
    }
    ok(!bad_reads, "and so are values, outcomes and history, in a batch and after it");
    ok(compare_order(txn, &model) == 0, "what was applied is in the order, whole: %d records", model.count);
    view_abort(txn);
}

static void test_given_up(const char *folder)
{
    struct outcome event = {.version = 1, .timestamp = TIMESTAMP_NONE};
    struct view_txn *txn;
    struct view *copy;

    if (view_rebuild(folder, &copy, &error) < 0 || view_begin(copy, &txn, &error) < 0)
        return;
    view_apply_event(txn, &event, 0, 0, &error);
    view_commit(copy, txn, &error);
    if (view_begin(copy, &txn, &error) == 0)
        view_abort(txn);
    ok(view_begin(copy, &txn, &error) < 0 && view_offer(copy, &error) < 0,
       "a new copy whose batch was given up takes no other, and isn't offered");
    view_discard(copy);
}

int main(void)
{
    for (uint64_t seed = 1; seed <= 5; seed += slow() ? 3 : 1) {
        struct random random = {seed};
        struct view *view;
        char folder[16];
        if (seed == 1)
            scratch_enter();
        snprintf(folder, sizeof folder, "view%d", (int)seed);
        if (view_create(folder, &view, &error) < 0)
            return 1;
        if (seed > 3) {
            view_close(view);
            if (view_rebuild(folder, &view, &error) < 0)
                return 1;
        }
        test_model(&random, folder, view, seed > 3);
        view_close(view);
    }
    test_given_up("view1");
    return tap_done();
}
