/* A state with a store, which is taken back, checkpointed, dropped from memory and opened again all
 * the time, decides as one that only remembers. */
#include <stdio.h>

#include "base/lines.h"
#include "random.h"
#include "scratch.h"
#include "store/db.h"
#include "store/state_read.h"
#include "tap.h"

static struct random dice = {42};

enum { VALUES = 12, COMMANDS = 40, ROUNDS = 3000 };

/* A command out of so few that retries, reused ids and unknown values are frequent. */
static size_t make_line(char *line, size_t room)
{
    static const char *const actors[] = {"", ",\"actor\":\"ann\"", ",\"actor\":\"bob\""};
    static const char *const owners[] = {"", "", ",\"expected_owner\":\"ann\""};
    unsigned value = (unsigned)random_below(&dice, VALUES);
    unsigned command = (unsigned)random_below(&dice, COMMANDS);
    const char *actor = actors[random_below(&dice, 3)], *owner = owners[random_below(&dice, 3)];
    unsigned number = (unsigned)random_below(&dice, 3), kind = (unsigned)random_below(&dice, 20);

    if (kind == 0)
        return (size_t)snprintf(line, room, "{\"no\":\"command\"}");
    if (kind < 6)
        return (size_t)snprintf(line, room,
                                "{\"action\":\"CreateValue\",\"id\":\"0193a000-0000-7000-8000-%012u\","
                                "\"data\":{\"value_id\":\"0193b000-0000-7000-8000-%012u\","
                                "\"value\":%u.0}%s%s}",
                                command, value, number, owner, actor);
    return (size_t)snprintf(line, room,
                            "{\"action\":\"UpdateValue\",\"id\":\"0193a000-0000-7000-8000-%012u\","
                            "\"data\":{\"value_id\":\"0193b000-0000-7000-8000-%012u\","
                            "\"operation\":\"%s\",\"value\":%u.0}%s%s}",
                            command, value, kind % 2 ? "ADD" : "MULTIPLY", number, owner, actor);
}

static void write_outcome(struct state *state, const char *line, size_t len, struct buffer *out)
{
    struct outcome outcome;
    struct error error;
    int result = state_handle(state, "3:7", line, len, false, &outcome, &error);

    if (result > 0)
        outcome_write(&outcome, out);
    else
        buffer_printf(out, "%s\n", result == 0 ? "retry" : error.text);
}

static bool same(const struct buffer *a, const struct buffer *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void reopen(struct state *state, struct state_position *position)
{
    struct error error = {0};

    state_release(state);
    state_init(state);
    if (state_open(state, "store", position, &error) < 0)
        ok(false, "the store is opened again: %s", error.text);
}

/* What a batch of lines has for outcomes in a state. */
struct batch {
    char lines[8][512];
    size_t lens[8], count;
};

static void make_batch(struct batch *batch)
{
    batch->count = 1 + random_below(&dice, 8);
    for (size_t i = 0; i < batch->count; i++)
        batch->lens[i] = make_line(batch->lines[i], sizeof batch->lines[i]);
}

static void handle_batch(struct state *state, const struct batch *batch, struct buffer *out)
{
    for (size_t i = 0; i < batch->count; i++)
        write_outcome(state, batch->lines[i], batch->lens[i], out);
}

/* Two batches are open at a time; now and then both are taken back, and come again. */
static int handle_two(struct state *plain, struct state *kept, int round)
{
    struct batch first, second;
    struct buffer expected = {0}, found = {0}, again = {0};
    size_t half;
    int wrong;

    make_batch(&first);
    make_batch(&second);
    handle_batch(plain, &first, &expected);
    half = expected.len;
    handle_batch(plain, &second, &expected);
    state_begin(kept);
    handle_batch(kept, &first, &found);
    state_begin(kept);
    handle_batch(kept, &second, &found);
    wrong = tap_wrong(same(&found, &expected), "round %d differs", round);
    switch (random_below(&dice, 3)) {
    case 0: /* both */
        state_rollback(kept);
        state_begin(kept);
        handle_batch(kept, &first, &again);
        state_keep(kept);
        handle_batch(kept, &second, &again);
        wrong += tap_wrong(same(&again, &expected), "round %d differs after going back", round);
        break;
    case 1: /* the second one */
        state_keep(kept);
        state_rollback(kept);
        buffer_consume(&expected, half);
        state_begin(kept);
        handle_batch(kept, &second, &again);
        wrong += tap_wrong(same(&again, &expected), "round %d differs after half", round);
        state_keep(kept);
        break;
    default:
        state_keep(kept);
        state_keep(kept);
    }
    buffer_release(&expected);
    buffer_release(&found);
    buffer_release(&again);
    return wrong;
}

/* Two states get the same commands; the one with the store, `kept`, is checkpointed and opened again
 * in between. */
static int run(void)
{
    struct state plain, kept;
    struct state_position position, read;
    struct error error;
    uint64_t next = 0;
    int wrong = 0;

    state_init(&plain);
    state_init(&kept);
    if (state_open(&kept, "store", &position, &error) < 0)
        return 1;
    for (int round = 0; round < ROUNDS && wrong == 0; round++) {
        wrong += handle_two(&plain, &kept, round);
        next += 16;
        if (random_below(&dice, 5) != 0)
            continue;
        position.begun = true;
        position.next = next;
        position.partitions = 8;
        wrong += tap_wrong(state_checkpoint(&kept, &position,
                                            random_below(&dice, 2) ? 0 : SIZE_MAX, &error) == 0,
                           "a checkpoint failed");
        wrong += tap_wrong(state_unsaved(&kept) == 0, "a checkpoint left something");
        if (random_below(&dice, 3) != 0)
            continue;
        reopen(&kept, &read);
        wrong += tap_wrong(read.begun && read.next == next && read.partitions == 8,
                           "the position is another after opening");
    }
    state_release(&plain);
    state_release(&kept);
    return wrong;
}

static void what_no_checkpoint_has_is_gone(void)
{
    static const char create[] =
        "{\"action\":\"CreateValue\",\"id\":\"0193a000-0000-7000-8000-000000000001\",\"data\":"
        "{\"value_id\":\"0193b000-0000-7000-8000-000000000099\",\"value\":1.0},\"actor\":\"ann\"}";
    struct state_position position, read;
    struct outcome outcome;
    struct state state;
    struct error error = {0};

    state_init(&state);
    ok(state_open(&state, "other", &position, &error) == 0 && !position.begun,
       "a new store has no position");
    state_handle(&state, "0:0", create, sizeof create - 1, false, &outcome, &error);
    ok(state_unsaved(&state) == 2, "a value and a command are to be saved");
    state_release(&state);
    state_init(&state);
    state_open(&state, "other", &read, &error);
    ok(state_handle(&state, "0:0", create, sizeof create - 1, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_NONE,
       "what no checkpoint has is derived again");
    position = (struct state_position){.begun = true, .partitions = 4, .first = 1, .last = 2,
                                       .next = 3, .ends = {5, 6}, .durable = {7, 8}};
    state_digest("a", 1, &position.first_digest);
    state_digest("b", 1, &position.last_digest);
    ok(state_checkpoint(&state, &position, SIZE_MAX, &error) == 0, "a checkpoint is written");
    state_release(&state);
    state_init(&state);
    state_open(&state, "other", &read, &error);
    ok(read.begun && read.partitions == 4 && read.first == 1 && read.last == 2 && read.next == 3 &&
           read.ends[0] == 5 && read.ends[1] == 6 && read.durable[0] == 7 &&
           read.durable[1] == 8 &&
           id_equal(&read.first_digest, &position.first_digest) &&
           id_equal(&read.last_digest, &position.last_digest),
       "the position is read as it was written");
    ok(state_handle(&state, "0:0", create, sizeof create - 1, false, &outcome, &error) == 0,
       "and the command is a retry");
    ok(state_clear(&state, &error) == 0 &&
           state_handle(&state, "0:0", create, sizeof create - 1, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_NONE,
       "a cleared state remembers nothing");
    state_release(&state);
}

static int32_t always_two(const struct id *value_id, int32_t count)
{
    (void)value_id;
    return count > 2 ? 2 : 0;
}

static void misplaced_commands_change_nothing(void)
{
    static const char create[] =
        "{\"action\":\"CreateValue\",\"id\":\"0193a000-0000-7000-8000-000000000001\",\"data\":"
        "{\"value_id\":\"0193b000-0000-7000-8000-000000000099\",\"value\":1.0}}";
    struct outcome outcome, again;
    struct state state;
    struct error error;

    state_init(&state);
    state.place = (struct state_place){1, 4, always_two};
    ok(state_handle(&state, "1:0", create, sizeof create - 1, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_MISPLACED && outcome.version == 0,
       "a command in another partition than its value's is misplaced");
    ok(state_handle(&state, "1:1", create, sizeof create - 1, false, &again, &error) == 1 &&
           again.reason == REASON_MISPLACED && !id_equal(&outcome.id, &again.id),
       "it is no retry the second time, and its outcome's id follows from its position");
    ok(state.values.count == 0 && state.commands.count == 0, "it changes no memory");
    state.place.partition = 2;
    ok(state_handle(&state, "2:0", create, sizeof create - 1, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_NONE,
       "in its own partition it is applied");
    ok(state_handle(&state, "2:1", "no command", 10, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_MALFORMED,
       "what is no command is malformed in any partition");
    state_release(&state);
}

static void what_is_no_store_is_refused(void)
{
    struct state_position position;
    struct state state;
    struct error error = {0};
    FILE *file;

    mkdir("garbage", 0777);
    file = fopen("garbage/data.mdb", "w");
    for (int i = 0; file && i < 20000; i++)
        putc(i * 7 & 0xff, file);
    if (file)
        fclose(file);
    state_init(&state);
    ok(state_open(&state, "garbage", &position, &error) < 0 && error.status == EX_DATAERR,
       "a file that is no database is refused: %s", error.text);
    state_release(&state);
}

/* What is written to the store is read from it by whoever only looks. */
static void a_state_is_read_by_others(void)
{
    static const char *const lines[] = {
        "{\"action\":\"CreateValue\",\"id\":\"0193a000-0000-7000-8000-000000000002\",\"data\":"
        "{\"value_id\":\"0193b000-0000-7000-8000-000000000002\",\"value\":2.5},\"actor\":\"ann\"}",
        "{\"action\":\"UpdateValue\",\"id\":\"0193a000-0000-7000-8000-000000000001\",\"data\":"
        "{\"value_id\":\"0193b000-0000-7000-8000-000000000002\",\"operation\":\"ADD\",\"value\":1.0}}",
        "{\"action\":\"UpdateValue\",\"id\":\"0193a000-0000-7000-8000-000000000003\",\"data\":"
        "{\"value_id\":\"0193b000-0000-7000-8000-000000000001\",\"operation\":\"ADD\",\"value\":1.0}}"};
    struct state_position position = {.begun = true, .next = 77}, read_position;
    struct buffer out = {0};
    struct state_read *read;
    struct value value;
    struct actor owner;
    struct error error = {0};
    struct state state;
    struct body body;
    struct id id, command;
    char text[ID_TEXT];

    state_init(&state);
    ok(state_read_open("nowhere", &read, &read_position, &error) < 0 && error.status == EX_IOERR,
       "a state that isn't there can't be read");
    state_open(&state, "read", &read_position, &error);
    for (size_t i = 0; i < 3; i++)
        write_outcome(&state, lines[i], strlen(lines[i]), &out);
    state_checkpoint(&state, &position, 0, &error);
    ok(state_read_open("read", &read, &read_position, &error) == 0 && read_position.next == 77,
       "a state is opened for reading while its handler has it: %s", error.text);
    ok(state_read_value(read, &id, &value, &owner, &error) == 1 && value.version == 0 &&
           owner.len == 0,
       "the first value is one that doesn't exist");
    ok(state_read_value(read, &id, &value, &owner, &error) == 1 && value.version == 2 &&
           value.number == 3.5 && owner.len == 3,
       "the second one has its version, its number and its owner");
    id_write(&id, text);
    ok(memcmp(text, "0193b000-0000-7000-8000-000000000002", 36) == 0, "and its id");
    ok(state_read_value(read, &id, &value, &owner, &error) == 0, "there is no third one");
    ok(state_read_command(read, &id, &command, &body, &error) == 1 &&
           state_read_command(read, &id, &command, &body, &error) == 1 &&
           command.bytes[15] == 1 && id.bytes[15] == 2 &&
           state_read_command(read, &id, &command, &body, &error) == 1 && command.bytes[15] == 2 &&
           state_read_find_command(read, &id, &command, &body, &error) == 1 &&
           state_read_find_value(read, &id, &value, &owner, &error) == 1 && value.version == 2 &&
           state_read_find_value(read, &command, &value, &owner, &error) == 0 &&
           state_read_find_command(read, &command, &id, &body, &error) == 0 &&
           state_read_command(read, &id, &command, &body, &error) == 0,
       "the commands are read by value and id, and found");
    state_read_close(read);
    buffer_release(&out);
    state_release(&state);
}

/* Ids as clients have them: of one time, random, or counted; and many of them, so that what a checkpoint
 * writes lies between, behind and before what is there. */
static void keys_of_any_kind_are_written_in_order(void)
{
    enum { ROUNDS_OF_KEYS = 6, KEYS = 4000 };
    struct state_position position = {.begun = true}, read_position;
    struct id ids[2], before[2] = {{{0}}};
    struct state_read *read;
    struct error error = {0};
    struct state state;
    struct body body;
    int failed = 0, disordered = 0, count = 0, result;

    state_init(&state);
    state_open(&state, "keys", &read_position, &error);
    for (int round = 0; round < ROUNDS_OF_KEYS; round++) {
        for (int i = 0; i < KEYS; i++) {
            unsigned same = (unsigned)random_below(&dice, 3);
            unsigned long long value = random_below(&dice, same ? 500 : UINT32_MAX);
            struct outcome outcome;
            char line[512];
            int len = snprintf(line, sizeof line,
                               "{\"action\":\"CreateValue\",\"id\":\"%08x-0000-7000-8000-%012x\","
                               "\"data\":{\"value_id\":\"%08llx-0000-7000-8000-%012llx\","
                               "\"value\":1.0}}",
                               same == 2 ? 7 : (unsigned)random_below(&dice, UINT32_MAX),
                               round * KEYS + i, same ? 3ULL : value, same ? value : 1ULL);
            count += state_handle(&state, "0", line, (size_t)len, false, &outcome, &error) == 1;
        }
        failed += state_checkpoint(&state, &position, round % 2 ? 0 : SIZE_MAX, &error) < 0;
    }
    ok(!failed && count == ROUNDS_OF_KEYS * KEYS, "keys of any kind are written: %s", error.text);
    if (state_read_open("keys", &read, &read_position, &error) == 0) {
        while ((result = state_read_command(read, &ids[0], &ids[1], &body, &error)) > 0) {
            disordered += memcmp(ids, before, sizeof ids) <= 0;
            memcpy(before, ids, sizeof ids);
            count--;
        }
        ok(result == 0 && count == 0 && !disordered, "and each of them is there, in order");
        state_read_close(read);
    }
    state_release(&state);
}

static void durable_ends_go_on_alone(void)
{
    struct state_position position = {.begun = true, .next = 7, .ends = {5, 6}, .durable = {5, 6}},
                          read;
    struct buffer out = {0};
    struct error error = {0};
    struct state state;
    char line[512];
    size_t empty;

    state_init(&state);
    state_open(&state, "durable", &read, &error);
    ok(!read.kept, "a new store was never written");
    ok(state_mark_durable(&state, (uint64_t[2]){0, 3}, &error) == 0, "durable ends are marked");
    state_release(&state);
    state_init(&state);
    state_open(&state, "durable", &read, &error);
    ok(read.kept && !read.begun && read.durable[0] == 0 && read.durable[1] == 3,
       "and make it one, though nothing was handled");
    empty = state_memory(&state);
    for (int i = 0; i < 100; i++)
        write_outcome(&state, line, make_line(line, sizeof line), &out);
    ok(state_memory(&state) > empty && !state_is_due(&state, SIZE_MAX, SIZE_MAX, 0) &&
           state_is_due(&state, 1000, SIZE_MAX, 0) && state_is_due(&state, SIZE_MAX, 1000, 0),
       "a checkpoint is due by what the state takes, or what is to be written");
    state_checkpoint(&state, &position, SIZE_MAX, &error);
    ok(!state_is_due(&state, SIZE_MAX, 1000, 0), "and not when nothing is");
    state_mark_durable(&state, (uint64_t[2]){8, 9}, &error);
    write_outcome(&state, line, make_line(line, sizeof line), &out);
    state_forget(&state);
    ok(state_unsaved(&state) == 0 && state_memory(&state) == empty,
       "what was forgotten takes no memory, and won't be written");
    state_release(&state);
    state_init(&state);
    state_open(&state, "durable", &read, &error);
    ok(read.next == 7 && read.ends[0] == 5 && read.durable[0] == 8 && read.durable[1] == 9,
       "the position stays where it was when durable ends go on");
    buffer_release(&out);
    state_release(&state);
}

/* Writes a format's number, and a position as format 1 had it, into a store. */
static void write_format(const char *folder, unsigned char format, bool position)
{
    static const char *const tables[] = {"meta", "values", "commands", NULL};
    unsigned char number[8] = {0, 0, 0, 0, 0, 0, 0, format}, old[81] = {1};
    struct error error = {0};
    struct db_txn *txn;
    struct db *db;

    old[8] = 4;   /* partitions */
    old[32] = 9;  /* next */
    old[72] = 17; /* ends */
    old[80] = 18;
    if (db_open(folder, tables, true, &db, &error) < 0 || db_begin(db, true, &txn, &error) < 0)
        return;
    db_put(txn, 0, "format", 6, number, sizeof number, &error);
    if (position)
        db_put(txn, 0, "position", 8, old, sizeof old, &error);
    db_commit(txn, &error);
    db_close(db);
}

static void older_formats_are_taken_over(void)
{
    struct state_position position;
    struct state_read *read;
    struct error error = {0};
    struct state state;

    state_init(&state);
    state_open(&state, "old", &position, &error);
    state_release(&state);
    write_format("old", 1, true);
    ok(state_read_open("old", &read, &position, &error) == 0 && position.next == 9,
       "a state of format 1 can be read");
    state_read_close(read);
    for (int i = 0; i < 2; i++) {
        state_init(&state);
        ok(state_open(&state, "old", &position, &error) == 0 && position.begun &&
               position.partitions == 4 && position.next == 9 && position.ends[0] == 17 &&
               position.ends[1] == 18 && position.durable[0] == 17 && position.durable[1] == 18,
           "a state of format 1 is taken over, its ends being durable: %s", error.text);
        state_release(&state);
    }
    write_format("old", 3, false);
    state_init(&state);
    ok(state_open(&state, "old", &position, &error) < 0 && error.status == EX_DATAERR,
       "one of a newer format is refused: %s", error.text);
    state_release(&state);
    ok(state_read_open("old", &read, &position, &error) < 0 && error.status == EX_DATAERR,
       "by who only reads, too: %s", error.text);
}

/* Commands on values in the order of a hash: `number` is a command's, and its value's. */
static void handle_scattered(struct state *state, const char *action, unsigned number, unsigned value)
{
    struct outcome outcome;
    struct error error;
    char line[512];
    size_t len = (size_t)snprintf(line, sizeof line,
                                  "{\"action\":\"%s\",\"id\":\"0193a000-0000-7000-8000-%012u\","
                                  "\"data\":{\"value_id\":\"%08x-0000-7000-8000-%012u\",%s\"value\":1.0}}",
                                  action, number, value * 2654435761u, value,
                                  *action == 'U' ? "\"operation\":\"ADD\"," : "");

    state_handle(state, "3:7", line, len, false, &outcome, &error);
}

static void scattered_changes_are_written_earlier(void)
{
    enum { STORED = 400000, FEW = 8000, ENOUGH = 8500 };
    struct state_position position = {.begun = true};
    struct error error = {0};
    struct state state;

    if (slow())
        return;
    state_init(&state);
    state_open(&state, "scattered", &position, &error);
    for (unsigned i = 0; i < STORED; i++)
        handle_scattered(&state, "CreateValue", i, i);
    ok(!state_is_due(&state, SIZE_MAX, SIZE_MAX, 0), "where nothing is stored, nothing is scattered");
    state_checkpoint(&state, &position, SIZE_MAX, &error);
    for (unsigned i = 0; i < ENOUGH; i++) {
        handle_scattered(&state, "UpdateValue", STORED + i, i);
        if (i == FEW)
            ok(!state_is_due(&state, SIZE_MAX, SIZE_MAX, 0), "a few changes wait");
    }
    ok(state_is_due(&state, SIZE_MAX, SIZE_MAX, 0), "more, of which each has a page of its own, don't");
    ok(!state_is_due(&state, SIZE_MAX, SIZE_MAX, 10 * STORED), "unless so many follow that they share them");
    state_release(&state);
}

int main(void)
{
    scratch_enter();
    ok(run() == 0, "%d batches, taken back, kept, and read again, decide as if nothing were stored",
       ROUNDS);
    what_no_checkpoint_has_is_gone();
    misplaced_commands_change_nothing();
    what_is_no_store_is_refused();
    a_state_is_read_by_others();
    keys_of_any_kind_are_written_in_order();
    durable_ends_go_on_alone();
    older_formats_are_taken_over();
    scattered_changes_are_written_earlier();
    return tap_done();
}
