/* A state and a view whose records are anything: valid databases, but keys and values that no tool
 * wrote. Whatever they hold, it is used, or refused as damaged; nothing crashes. The first byte of an
 * input says which of the two, the rest what is done to its records before it is opened. */
#include <fcntl.h>
#include <lmdb.h>

#include "../unit/messages.h"
#include "../unit/scratch.h"
#include "base/lines.h"
#include "require.h"
#include "store/state.h"
#include "store/view.h"
#include "store/view_cursor.h"
#include "stream/stream.h"

#define ID(n) "0193a000-0000-7000-8000-0000000000" n
#define CREATE(id, value_id, value)                                                                \
    "{\"action\":\"CreateValue\",\"id\":\"" ID(id) "\",\"data\":{\"value_id\":\"" ID(            \
        value_id) "\",\"value\":" value "},\"actor\":\"ann\"}"
#define ADD(id, value_id, value, more)                                                             \
    "{\"action\":\"UpdateValue\",\"id\":\"" ID(id) "\",\"data\":{\"value_id\":\"" ID(            \
        value_id) "\",\"operation\":\"ADD\",\"value\":" value "}" more "}"

/* The first half is in the store before it is damaged, all of it is handled afterwards. */
static const char *const commands[] = {
    CREATE("c1", "01", "7"),
    ADD("c2", "01", "1", ",\"timestamp\":\"2026-11-23T11:00:00Z\""),
    ADD("c3", "01", "1", ",\"expected_version\":9"),
    CREATE("c4", "02", "0.5"),
    ADD("c5", "03", "1", ""),
    "no command",
    ADD("c6", "01", "1", ",\"expected_owner\":\"ann\""),
    ADD("c7", "02", "1", ",\"expected_owner\":\"bob\""),
    CREATE("c8", "01", "1"),
    CREATE("c9", "03", "1"),
};
enum { COMMANDS = sizeof commands / sizeof *commands, BEFORE = 6 };

static char *pristine[2]; /* data.mdb of the state and of the view */
static size_t pristine_len[2];
static const char *const file[2] = {"state/data.mdb", "view/1/data.mdb"};
static struct outcome outcomes[COMMANDS];
static bool has_outcome[COMMANDS];

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int msync(void *at, size_t len, int flags)
{
    (void)at, (void)len, (void)flags;
    return 0;
}

/* --- using them --- */

/* Only damage may be the answer. */
static bool good(int result, const struct error *error)
{
    require(result >= 0 || error->status == EX_DATAERR, error->text);
    return result >= 0;
}

static void use_outcome(const struct outcome *outcome)
{
    struct buffer out = {0};

    outcome_write(outcome, &out);
    outcome_write_status(outcome, &out);
    buffer_release(&out);
}

static void use_value(const struct view_value *value)
{
    struct buffer out = {0};

    value_write(&value->id, &value->value, value->timestamp, &out);
    buffer_release(&out);
}

static void use_state(size_t from, size_t to)
{
    struct state state;
    struct state_position position = {0};
    struct outcome outcome;
    struct error error;
    char text[STREAM_POSITION_TEXT];
    int result;

    state_init(&state);
    if (good(state_open(&state, "state", &position, &error), &error)) {
        state_begin(&state);
        for (size_t i = from; i < to; i++) {
            snprintf(text, sizeof text, "%zu", i);
            result = state_handle(&state, text, commands[i], strlen(commands[i]), false, &outcome,
                                  &error);
            if (!good(result, &error))
                break;
            if (result > 0)
                use_outcome(&outcome);
            if (result > 0 && !pristine[0]) {
                outcomes[i] = outcome;
                has_outcome[i] = true;
            }
        }
        state_keep(&state);
        position.begun = true;
        position.last = position.next++;
        good(state_checkpoint(&state, &position, 0, &error), &error);
    }
    state_release(&state);
}

static void apply(struct view_txn *txn, size_t from, size_t to)
{
    struct view_position position;
    struct error error;
    int32_t count;

    for (size_t i = from; i < to; i++) {
        if (!has_outcome[i])
            continue;
        if (outcomes[i].reason == REASON_NONE)
            good(view_apply_event(txn, &outcomes[i], 0, i, &error), &error);
        else
            good(view_apply_rejection(txn, &outcomes[i], 0, i, &error), &error);
    }
    for (int log = 0; log < VIEW_LOGS; log++)
        if (good(view_get_position(txn, log, 0, &position, &error), &error) &&
            good(view_get_partitions(txn, log, &count, &error), &error)) {
            position.begun = true;
            position.next++;
            good(view_set_position(txn, log, 0, &position, &error), &error);
            good(view_set_partitions(txn, log, 1, &error), &error);
        }
}

static void project(size_t from, size_t to)
{
    struct view *view;
    struct view_txn *txn;
    struct error error;

    if (!good(view_create("view", &view, &error), &error))
        return;
    if (good(view_begin(view, &txn, &error), &error)) {
        apply(txn, from, to);
        good(view_commit(view, txn, &error), &error);
    }
    view_close(view);
}

static void use_past(struct view_txn *txn, const struct id *id)
{
    static struct outcome events[VIEW_HISTORY_PAGE];
    struct error error;
    uint64_t after = 0;
    int count = 1;

    for (int pages = 0; count && pages < 10; pages++) {
        if (!good(view_get_history(txn, id, after, events, &count, &error), &error))
            break;
        for (int i = 0; i < count; i++)
            use_outcome(&events[i]);
        after = count ? events[count - 1].version : 0;
    }
    count = view_get_event(txn, id, 1, events, &error);
    if (good(count, &error) && count)
        use_outcome(events);
    count = view_get_as_of(txn, id, INT64_C(1763895600000000), events, &error);
    if (good(count, &error) && count)
        use_outcome(events);
}

static void use_order(struct view_txn *txn)
{
    struct view_cursor cursor = {0};
    struct view_record record;
    struct buffer text = {0};
    struct error error;
    int result = 0;

    if (good(view_cursor_place(txn, &cursor, &error), &error))
        for (int i = 0; i < 1000 && good(result = view_cursor_next(txn, &cursor, &record, &error),
                                         &error) && result; i++)
            use_outcome(&record.outcome);
    view_cursor_write(&cursor, &text);
    buffer_release(&text);
    view_cursor_release(&cursor);
}

static void query(void)
{
    struct view *view;
    struct view_txn *txn;
    struct view_value value;
    struct outcome outcome;
    struct error error;
    struct id *after = NULL, last;

    if (!good(view_open("view", &view, &error), &error))
        return;
    if (good(view_snapshot(view, &txn, &error), &error)) {
        int result = 0;
        while (good(result = view_next_value(txn, after, &value, &error), &error) && result) {
            use_value(&value);
            last = value.id;
            after = &last;
        }
        for (size_t i = 0; i < COMMANDS; i++) {
            if (!has_outcome[i] || outcomes[i].reason == REASON_MALFORMED)
                continue;
            result = view_get_value(txn, &outcomes[i].value_id, &value, &error);
            if (good(result, &error) && result)
                use_value(&value);
            use_past(txn, &outcomes[i].value_id);
            result = view_get_outcome(txn, &outcomes[i].value_id, &outcomes[i].parent, &outcome,
                                      &error);
            if (good(result, &error) && result)
                use_outcome(&outcome);
        }
        use_order(txn);
        view_abort(txn);
    }
    view_close(view);
}

/* --- damaging them --- */

struct bytes {
    const uint8_t *at, *end;
};

static unsigned take(struct bytes *bytes)
{
    return bytes->at < bytes->end ? *bytes->at++ : 0;
}

static size_t take_some(struct bytes *bytes, size_t most, uint8_t *to)
{
    size_t len = take(bytes) % most + 1;

    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)take(bytes);
    return len;
}

/* The tables' names are the keys of the unnamed database. */
static size_t open_tables(MDB_txn *txn, MDB_dbi *tables, size_t most)
{
    MDB_val name, value;
    MDB_cursor *cursor;
    size_t count = 0;
    char names[8][32];
    MDB_dbi root;

    require(mdb_dbi_open(txn, NULL, 0, &root) == 0 && mdb_cursor_open(txn, root, &cursor) == 0,
            "no tables");
    while (count < most && mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0)
        snprintf(names[count++], sizeof names[0], "%.*s", (int)name.mv_size, (char *)name.mv_data);
    mdb_cursor_close(cursor);
    for (size_t i = 0; i < count; i++)
        require(mdb_dbi_open(txn, names[i], 0, tables + i) == 0, "no such table");
    return count;
}

/* One record of a table, changed in one way. LMDB itself refuses what can't be; that is no matter. */
static void change(MDB_txn *txn, MDB_dbi table, struct bytes *bytes)
{
    uint8_t key_copy[511], copy[4096], other[511];
    MDB_val key, value;
    MDB_cursor *cursor;
    unsigned steps = take(bytes) % 16, at;
    bool found = false;

    require(mdb_cursor_open(txn, table, &cursor) == 0, "no cursor");
    for (unsigned i = 0; i <= steps; i++)
        if (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 && value.mv_size < 3000) {
            memcpy(key_copy, key.mv_data, key.mv_size);
            memcpy(copy, value.mv_data, value.mv_size);
            found = true;
        }
    mdb_cursor_close(cursor);
    if (!found)
        return;
    key = (MDB_val){key.mv_size, key_copy};
    value = (MDB_val){value.mv_size, copy};
    switch (take(bytes) % 6) {
    case 0: /* other bytes */
        at = take(bytes);
        for (size_t i = 0, count = 1 + take(bytes) % 8; i < count && at + i < value.mv_size; i++)
            copy[at + i] = (uint8_t)take(bytes);
        break;
    case 1: /* shorter */
        value.mv_size = take(bytes) % (value.mv_size + 1);
        break;
    case 2: /* longer */
        at = take(bytes) * 2;
        memset(copy + value.mv_size, (int)take(bytes), at);
        value.mv_size += at;
        break;
    case 3: /* under another key */
        mdb_del(txn, table, &key, NULL);
        key = (MDB_val){take_some(bytes, sizeof other, other), other};
        break;
    case 4: /* under almost the same key */
        mdb_del(txn, table, &key, NULL);
        key_copy[take(bytes) % key.mv_size] = (uint8_t)take(bytes);
        break;
    case 5: /* gone */
        mdb_del(txn, table, &key, NULL);
        return;
    }
    mdb_put(txn, table, &key, &value, 0);
}

static void damage(int which, struct bytes *bytes)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi tables[8];
    size_t count;
    int fd = open(file[which], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    require(write(fd, pristine[which], pristine_len[which]) == (ssize_t)pristine_len[which],
            "the file can't be written");
    close(fd);
    require(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 8) == 0 &&
                mdb_env_open(env, file[which], MDB_NOSUBDIR | MDB_NOLOCK, 0666) == 0 &&
                mdb_txn_begin(env, NULL, 0, &txn) == 0,
            "the database can't be opened");
    count = open_tables(txn, tables, 8);
    while (bytes->at < bytes->end)
        change(txn, tables[take(bytes) % count], bytes);
    require(mdb_txn_commit(txn) == 0, "no commit");
    mdb_env_close(env);
}

static void keep_pristine(int which)
{
    struct stat status;
    int fd = open(file[which], O_RDONLY | O_CLOEXEC);

    require(fd >= 0 && fstat(fd, &status) == 0, "no database was made");
    pristine_len[which] = (size_t)status.st_size;
    pristine[which] = malloc(pristine_len[which]);
    require(read(fd, pristine[which], pristine_len[which]) == status.st_size, "it can't be read");
    close(fd);
}

static void start(void)
{
    scratch_enter();
    use_state(0, COMMANDS); /* for the outcomes */
    require(has_outcome[COMMANDS - 1], "not all commands were handled");
    scratch_remove();
    require(mkdir(scratch_folder, 0777) == 0 && chdir(scratch_folder) == 0, "no folder");
    use_state(0, BEFORE);
    project(0, BEFORE);
    keep_pristine(0);
    keep_pristine(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data + 1, data + size};
    int which;

    if (!*scratch_folder)
        start();
    if (!size)
        return 0;
    which = data[0] & 1;
    damage(which, &bytes);
    if (which == 0) {
        use_state(0, COMMANDS);
    } else {
        query();
        project(0, COMMANDS);
        query();
    }
    return 0;
}
