#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/lock.h"
#include "calc/projection.h"
#include "store/db.h"

/* The tables, all numbers big-endian, doubles as their bits, times as two's complement microseconds
 * (TIMESTAMP_NONE is none). When any of it changes, FORMAT goes up, and a view of an older format is
 * folded anew from the logs.
 *
 *   meta      "format"            -> format:8
 *             "unplaced"          -> skipped records of unknown values:8
 *             "position/LOG"      -> last:8 next:8 first_digest:16 last_digest:16
 *   values    id:16               -> version:8 number:8 timestamp:8 any_next:1
 *                                    (version 0: only skips are known of it)
 *   history   id:16 version:8     -> event_id:16 parent:16 action:1 operand:8 result:8
 *                                    timestamp:8 actor:rest
 *   outcomes  id:16 command_id:16 -> 0:1 version:8                        an event, in history
 *                                 -> reason:1 version:8 id:16 action:1 operand:8
 *                                    timestamp:8 actor:rest               a rejection */
enum { FORMAT = 1 };
enum { META, VALUES, HISTORY, OUTCOMES };
static const char *const tables[] = {"meta", "values", "history", "outcomes", NULL};

enum {
    VALUE_BYTES = 25,
    HISTORY_BYTES = 57, /* without the actor */
    APPLIED_BYTES = 9,
    REJECTED_BYTES = 42, /* without the actor */
};

struct view {
    struct db *db;
    int lock_fd, wake_fd; /* the projector's; -1 */
    char data[4096];      /* a reader's: the path of the file, and which one it was */
    struct stat opened;
};

struct view_txn {
    struct db_txn *db;
    uint64_t unplaced; /* as read from meta, or changed since */
    bool unplaced_changed;
};

static int damaged(const char *table, struct error *error)
{
    return error_set(error, EX_DATAERR, "the view is damaged: a record in %s has a wrong size",
                     table);
}

/* --- opening --- */

static int check_format(struct view *view, bool write, struct error *error)
{
    unsigned char bytes[8];
    struct db_bytes found;
    struct db_txn *txn;
    uint64_t format = 0;
    int result;

    if (db_begin(view->db, write, &txn, error) < 0)
        return -1;
    result = db_get(txn, META, "format", 6, &found, error);
    if (result == 0 && write) { /* new */
        put_u64(bytes, FORMAT);
        if (db_put(txn, META, "format", 6, bytes, sizeof bytes, error) == 0)
            return db_commit(txn, error);
        result = -1;
    }
    if (result > 0 && found.len == 8)
        get_u64(found.data, &format);
    db_abort(txn);
    if (result >= 0 && format != FORMAT)
        return error_set(error, EX_DATAERR, "the view has format %llu, this version knows %d",
                         (unsigned long long)format, FORMAT);
    return result < 0 ? -1 : 0;
}

static int make_folder(const char *path, struct error *error)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return error_errno(error, EX_IOERR, "can't make the folder %s", path);
    return 0;
}

/* The copy becomes the one in use when it is whole. */
static int link_current(const char *folder, const char *copy, struct error *error)
{
    char temporary[4096], current[4096];
    int fd;

    snprintf(temporary, sizeof temporary, "%s/current.new", folder);
    snprintf(current, sizeof current, "%s/current", folder);
    unlink(temporary);
    if (symlink(copy, temporary) < 0 || rename(temporary, current) < 0)
        return error_errno(error, EX_IOERR, "can't make %s", current);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        error_errno(error, EX_IOERR, "can't make %s durable", current);
    else
        errno = 0;
    if (fd >= 0)
        close(fd);
    return fd < 0 || errno ? -1 : 0;
}

static int create(const char *folder, struct view *view, struct error *error)
{
    char path[4096], lock[4096];
    bool there;

    if (strlen(folder) > sizeof path - 32)
        return error_set(error, EX_USAGE, "the view's name is too long");
    if (make_folder(folder, error) < 0)
        return -1;
    snprintf(lock, sizeof lock, "%s/projector", folder);
    view->lock_fd = lock_for_life(lock, ".lock", "calc-project", error);
    if (view->lock_fd < 0)
        return -1;
    snprintf(path, sizeof path, "%s/current", folder);
    there = access(path, F_OK) == 0;
    if (!there) {
        snprintf(path, sizeof path, "%s/1", folder);
        if (make_folder(path, error) < 0)
            return -1;
    }
    if (db_open(path, tables, true, &view->db, error) < 0 || check_format(view, true, error) < 0)
        return -1;
    if (!there && link_current(folder, "1", error) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/wake", folder);
    view->wake_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (view->wake_fd < 0)
        return error_errno(error, EX_IOERR, "can't open %s", path);
    view_wake(view);
    return 0;
}

int view_create(const char *folder, struct view **out, struct error *error)
{
    struct view *view = calloc(1, sizeof *view);

    if (!view)
        return error_memory(error);
    view->lock_fd = view->wake_fd = -1;
    if (create(folder, view, error) < 0) {
        view_close(view);
        return -1;
    }
    *out = view;
    return 0;
}

int view_open(const char *folder, struct view **out, struct error *error)
{
    struct view *view;
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%s/current", folder) >= sizeof path)
        return error_set(error, EX_USAGE, "the view's name is too long");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return error_set(error, EX_TEMPFAIL, "there is no view in %s (yet)", folder);
    view = calloc(1, sizeof *view);
    if (!view)
        return error_memory(error);
    view->lock_fd = view->wake_fd = -1;
    snprintf(view->data, sizeof view->data, "%.4000s/data.mdb", path);
    stat(view->data, &view->opened);
    if (db_open(path, tables, false, &view->db, error) < 0 ||
        check_format(view, false, error) < 0) {
        view_close(view);
        return -1;
    }
    *out = view;
    return 0;
}

void view_close(struct view *view)
{
    if (!view)
        return;
    db_close(view->db);
    if (view->wake_fd >= 0)
        close(view->wake_fd);
    if (view->lock_fd >= 0)
        close(view->lock_fd);
    free(view);
}

bool view_replaced(const struct view *view)
{
    struct stat named;

    return stat(view->data, &named) < 0 || named.st_ino != view->opened.st_ino ||
           named.st_dev != view->opened.st_dev;
}

/* --- transactions --- */

static int begin(struct view *view, bool write, struct view_txn **out, struct error *error)
{
    struct view_txn *txn = calloc(1, sizeof *txn);
    struct db_bytes found;

    if (!txn)
        return error_memory(error);
    if (db_begin(view->db, write, &txn->db, error) < 0) {
        free(txn);
        return -1;
    }
    if (write && db_get(txn->db, META, "unplaced", 8, &found, error) > 0 && found.len == 8)
        get_u64(found.data, &txn->unplaced);
    *out = txn;
    return 0;
}

int view_begin(struct view *view, struct view_txn **txn, struct error *error)
{
    return begin(view, true, txn, error);
}

int view_snapshot(struct view *view, struct view_txn **txn, struct error *error)
{
    return begin(view, false, txn, error);
}

void view_abort(struct view_txn *txn)
{
    if (!txn)
        return;
    db_abort(txn->db);
    free(txn);
}

int view_commit(struct view *view, struct view_txn *txn, struct error *error)
{
    unsigned char bytes[8];
    int result;

    put_u64(bytes, txn->unplaced);
    if (txn->unplaced_changed &&
        db_put(txn->db, META, "unplaced", 8, bytes, sizeof bytes, error) < 0) {
        view_abort(txn);
        return -1;
    }
    result = db_commit(txn->db, error);
    free(txn);
    if (result == 0)
        view_wake(view);
    return result;
}

void view_wake(const struct view *view)
{
    if (pwrite(view->wake_fd, "\n", 1, 0) < 0) {
        /* readers look again every second in any case */
    }
}

/* --- values and history --- */

static int get_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                     bool *any_next, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    int result = db_get(txn->db, VALUES, id->bytes, sizeof id->bytes, &found, error);

    *value = (struct view_value){.id = *id, .timestamp = TIMESTAMP_NONE};
    *any_next = false;
    if (result <= 0)
        return result;
    if (found.len != VALUE_BYTES)
        return damaged("values", error);
    at = get_u64(found.data, &value->value.version);
    at = get_double(at, &value->value.number);
    at = get_i64(at, &value->timestamp);
    *any_next = *at;
    return value->value.version > 0;
}

static int put_value(struct view_txn *txn, const struct view_value *value, bool any_next,
                     struct error *error)
{
    unsigned char bytes[VALUE_BYTES], *at = bytes;

    at = put_u64(at, value->value.version);
    at = put_double(at, value->value.number);
    at = put_u64(at, (uint64_t)value->timestamp);
    *at = any_next;
    return db_put(txn->db, VALUES, value->id.bytes, sizeof value->id.bytes, bytes, sizeof bytes,
                  error);
}

static void history_key(const struct id *id, uint64_t version, unsigned char key[24])
{
    put_u64(put_bytes(key, id->bytes, 16), version);
}

static int put_history(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    unsigned char key[24], bytes[HISTORY_BYTES + ACTOR_MAX_BYTES], *at = bytes;

    history_key(&event->value_id, event->version, key);
    at = put_bytes(at, event->id.bytes, 16);
    at = put_bytes(at, event->parent.bytes, 16);
    *at++ = (unsigned char)event->action;
    at = put_double(at, event->value);
    at = put_double(at, event->result);
    at = put_u64(at, (uint64_t)event->timestamp);
    at = put_bytes(at, event->actor.text, event->actor.len);
    return db_put(txn->db, HISTORY, key, sizeof key, bytes, (size_t)(at - bytes), error);
}

static int get_history(struct view_txn *txn, const struct id *id, uint64_t version,
                       struct outcome *event, struct error *error)
{
    const unsigned char *at;
    struct db_bytes found;
    unsigned char key[24];
    int result;

    history_key(id, version, key);
    result = db_get(txn->db, HISTORY, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    if (found.len < HISTORY_BYTES || found.len > HISTORY_BYTES + ACTOR_MAX_BYTES)
        return damaged("history", error);
    event->reason = REASON_NONE;
    event->value_id = *id;
    event->version = version;
    at = get_bytes(found.data, event->id.bytes, 16);
    at = get_bytes(at, event->parent.bytes, 16);
    event->action = *at++;
    at = get_double(at, &event->value);
    at = get_double(at, &event->result);
    at = get_i64(at, &event->timestamp);
    if (event->action > ACTION_MULTIPLY ||
        actor_set(&event->actor, (const char *)at, found.len - HISTORY_BYTES) < 0)
        return damaged("history", error);
    return 1;
}

/* --- outcomes --- */

static void outcome_key(const struct id *value_id, const struct id *command_id,
                        unsigned char key[32])
{
    put_bytes(put_bytes(key, value_id->bytes, 16), command_id->bytes, 16);
}

static int put_applied(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    unsigned char key[32], bytes[APPLIED_BYTES];
    struct db_bytes found;
    int result;

    outcome_key(&event->value_id, &event->parent, key);
    result = db_get(txn->db, OUTCOMES, key, sizeof key, &found, error);
    if (result != 0) /* the first outcome stands */
        return result < 0 ? -1 : 0;
    bytes[0] = REASON_NONE;
    put_u64(bytes + 1, event->version);
    return db_put(txn->db, OUTCOMES, key, sizeof key, bytes, sizeof bytes, error);
}

static int put_rejected(struct view_txn *txn, const struct outcome *rejection,
                        struct error *error)
{
    unsigned char key[32], bytes[REJECTED_BYTES + ACTOR_MAX_BYTES], *at = bytes;

    outcome_key(&rejection->value_id, &rejection->parent, key);
    *at++ = (unsigned char)rejection->reason;
    at = put_u64(at, rejection->version);
    at = put_bytes(at, rejection->id.bytes, 16);
    *at++ = (unsigned char)rejection->action;
    at = put_double(at, rejection->value);
    at = put_u64(at, (uint64_t)rejection->timestamp);
    at = put_bytes(at, rejection->actor.text, rejection->actor.len);
    return db_put(txn->db, OUTCOMES, key, sizeof key, bytes, (size_t)(at - bytes), error);
}

static int read_rejected(const struct db_bytes *found, struct outcome *outcome,
                         struct error *error)
{
    const unsigned char *at = found->data;

    if (found->len < REJECTED_BYTES || found->len > REJECTED_BYTES + ACTOR_MAX_BYTES)
        return damaged("outcomes", error);
    outcome->reason = *at++;
    at = get_u64(at, &outcome->version);
    at = get_bytes(at, outcome->id.bytes, 16);
    outcome->action = *at++;
    at = get_double(at, &outcome->value);
    at = get_i64(at, &outcome->timestamp);
    if (outcome->reason > REASON_OUT_OF_RANGE || outcome->action > ACTION_MULTIPLY ||
        actor_set(&outcome->actor, (const char *)at, found->len - REJECTED_BYTES) < 0)
        return damaged("outcomes", error);
    return 1;
}

int view_get_outcome(struct view_txn *txn, const struct id *value_id, const struct id *command_id,
                     struct outcome *outcome, struct error *error)
{
    unsigned char key[32];
    struct db_bytes found;
    uint64_t version;
    int result;

    outcome_key(value_id, command_id, key);
    result = db_get(txn->db, OUTCOMES, key, sizeof key, &found, error);
    if (result <= 0)
        return result;
    outcome->value_id = *value_id;
    outcome->parent = *command_id;
    if (found.len < APPLIED_BYTES || *(const unsigned char *)found.data != REASON_NONE)
        return read_rejected(&found, outcome, error);
    get_u64((const unsigned char *)found.data + 1, &version);
    result = get_history(txn, value_id, version, outcome, error);
    return result == 0 ? damaged("outcomes", error) : result;
}

/* --- applying --- */

static int known_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    char id[ID_TEXT];
    struct outcome there;
    int result = get_history(txn, &event->value_id, event->version, &there, error);

    if (result < 0)
        return -1;
    if (result > 0 && id_equal(&there.id, &event->id))
        return 0;
    id_write(&event->value_id, id);
    return error_set(error, EX_DATAERR,
                     "a fork: version %llu of value %.36s is there already, by another event",
                     (unsigned long long)event->version, id);
}

int view_apply_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    struct allowance allowance = {.unplaced = &txn->unplaced};
    struct view_value value;
    uint64_t before = txn->unplaced;
    char id[ID_TEXT];

    if (get_value(txn, &event->value_id, &value, &allowance.any_next, error) < 0)
        return -1;
    switch (projection_judge(value.value.version, event->version, allowance)) {
    case PROJECTION_KNOWN:
        return known_event(txn, event, error);
    case PROJECTION_GAP:
        id_write(&event->value_id, id);
        return error_set(error, EX_DATAERR,
                         "a gap: version %llu of value %.36s comes after version %llu",
                         (unsigned long long)event->version, id,
                         (unsigned long long)value.value.version);
    case PROJECTION_APPLY:
        break;
    }
    txn->unplaced_changed |= txn->unplaced != before;
    calculator_evolve(&value.value, event);
    value.timestamp = event->timestamp;
    if (put_value(txn, &value, false, error) < 0 || put_history(txn, event, error) < 0 ||
        put_applied(txn, event, error) < 0)
        return -1;
    return 1;
}

int view_apply_rejection(struct view_txn *txn, const struct outcome *rejection,
                         struct error *error)
{
    char id[ID_TEXT];
    struct outcome there;
    int result;

    if (rejection->reason == REASON_MALFORMED || rejection->reason == REASON_MISPLACED ||
        rejection->reason == REASON_ID_REUSED)
        return 0;
    result =
        view_get_outcome(txn, &rejection->value_id, &rejection->parent, &there, error);
    if (result < 0)
        return -1;
    if (result == 0)
        return put_rejected(txn, rejection, error) < 0 ? -1 : 1;
    if (id_equal(&there.id, &rejection->id))
        return 0;
    id_write(&rejection->parent, id);
    return error_set(error, EX_DATAERR, "a fork: command %.36s has another outcome already", id);
}

int view_skip_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    struct view_value value;
    bool any_next;

    if (!event) {
        txn->unplaced++;
        txn->unplaced_changed = true;
        return 0;
    }
    if (get_value(txn, &event->value_id, &value, &any_next, error) < 0)
        return -1;
    return put_value(txn, &value, true, error);
}

/* --- positions --- */

static const char *const position_key[VIEW_LOGS] = {"position/events", "position/rejections"};

int view_get_position(struct view_txn *txn, enum view_log log, struct view_position *position,
                      struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    int result =
        db_get(txn->db, META, position_key[log], strlen(position_key[log]), &found, error);

    *position = (struct view_position){.begun = result > 0};
    if (result <= 0)
        return result;
    if (found.len != 48)
        return damaged("meta", error);
    at = get_u64(found.data, &position->last);
    at = get_u64(at, &position->next);
    at = get_bytes(at, position->first_digest.bytes, 16);
    get_bytes(at, position->last_digest.bytes, 16);
    return 0;
}

int view_set_position(struct view_txn *txn, enum view_log log,
                      const struct view_position *position, struct error *error)
{
    unsigned char bytes[48], *at = bytes;

    at = put_u64(at, position->last);
    at = put_u64(at, position->next);
    at = put_bytes(at, position->first_digest.bytes, 16);
    put_bytes(at, position->last_digest.bytes, 16);
    return db_put(txn->db, META, position_key[log], strlen(position_key[log]), bytes, sizeof bytes,
                  error);
}

/* --- reading --- */

int view_get_value(struct view_txn *txn, const struct id *id, struct view_value *value,
                   struct error *error)
{
    bool any_next;

    return get_value(txn, id, value, &any_next, error);
}

int view_next_value(struct view_txn *txn, const struct id *after, struct view_value *value,
                    struct error *error)
{
    unsigned char from[17] = {0};
    struct db_bytes key = {from, 16}, found;
    struct id id;
    int result;

    if (after) {
        memcpy(from, after->bytes, 16); /* with a zero byte behind it, the next key there can be */
        key.len = 17;
    }
    for (;;) {
        result = db_seek(txn->db, VALUES, &key, &found, error);
        if (result <= 0)
            return result;
        if (key.len != 16)
            return damaged("values", error);
        memcpy(id.bytes, key.data, 16);
        result = view_get_value(txn, &id, value, error);
        if (result != 0)
            return result;
        memcpy(from, id.bytes, 16); /* only skips are known of it */
        key = (struct db_bytes){from, 17};
    }
}

/* --- waiting --- */

static void watch(struct view_waiter *waiter)
{
    char path[4096 + 8];

    if (waiter->fd < 0)
        waiter->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof path, "%s/wake", waiter->folder);
    if (waiter->fd >= 0 && inotify_add_watch(waiter->fd, path, IN_MODIFY) < 0) {
        close(waiter->fd); /* no projector was here yet: only the second will tell */
        waiter->fd = -1;
    }
}

void view_waiter_open(struct view_waiter *waiter, const char *folder)
{
    waiter->fd = -1;
    snprintf(waiter->folder, sizeof waiter->folder, "%s", folder);
    watch(waiter);
}

void view_waiter_close(struct view_waiter *waiter)
{
    if (waiter->fd >= 0)
        close(waiter->fd);
    waiter->fd = -1;
}

void view_wait(struct view_waiter *waiter, int64_t timeout_ms)
{
    char events[4096] __attribute__((aligned(8)));
    struct pollfd wait = {.fd = waiter->fd, .events = POLLIN};
    int64_t most = waiter->fd < 0 ? 50 : 1000;

    if (timeout_ms > most)
        timeout_ms = most;
    if (timeout_ms > 0)
        poll(&wait, 1, (int)timeout_ms);
    if (waiter->fd < 0)
        watch(waiter);
    else
        while (read(waiter->fd, events, sizeof events) > 0)
            ;
}
