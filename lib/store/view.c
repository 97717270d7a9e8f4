#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/lock.h"
#include "store/view_batch.h"

static const char *const tables[] = {"meta",     "values",  "order", "outcomes",
                                     "history", "marks",   NULL};

struct view {
    struct db *db;
    struct view_batch *batch; /* the projector's: what the last one knew, between transactions */
    int lock_fd, wake_fd; /* the projector's; -1 */
    char data[4096];      /* a reader's: the path of the file, and which one it was */
    struct stat opened;
};

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
    result = db_get(txn, VIEW_META, "format", 6, &found, error);
    if (result == 0 && write) { /* new */
        put_u64(bytes, VIEW_FORMAT);
        if (db_put(txn, VIEW_META, "format", 6, bytes, sizeof bytes, error) == 0)
            return db_commit(txn, error);
        result = -1;
    }
    if (result > 0 && found.len == 8)
        get_u64(found.data, &format);
    db_abort(txn);
    if (result >= 0 && format != VIEW_FORMAT)
        return error_set(error, EX_DATAERR, "the view has format %llu, this version knows %d: fold it anew from the "
                         "logs, in another folder",
                         (unsigned long long)format, VIEW_FORMAT);
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
    view_batch_close(view->batch);
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
    if (write) {
        int result = view_batch_open(txn, view->batch, error);
        view->batch = NULL;
        if (result < 0) {
            view_abort(txn);
            return -1;
        }
    }
    if (write && db_get(txn->db, VIEW_META, "unplaced", 8, &found, error) > 0 && found.len == 8)
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
    view_batch_close(txn->batch);
    db_abort(txn->db);
    free(txn);
}

int view_commit(struct view *view, struct view_txn *txn, struct error *error)
{
    unsigned char bytes[8];
    int result;

    put_u64(bytes, txn->unplaced);
    if ((txn->unplaced_changed &&
         db_put(txn->db, VIEW_META, "unplaced", 8, bytes, sizeof bytes, error) < 0) ||
        view_batch_flush(txn, error) < 0) {
        view_abort(txn);
        return -1;
    }
    result = db_commit(txn->db, error);
    if (result == 0) {
        view->batch = txn->batch;
        view_wake(view);
    } else {
        view_batch_close(txn->batch);
    }
    free(txn);
    return result;
}

void view_wake(const struct view *view)
{
    if (pwrite(view->wake_fd, "\n", 1, 0) < 0) {
        /* readers look again every second in any case */
    }
}

/* --- positions --- */

static const char *const log_name[VIEW_LOGS] = {"events", "rejections"};

enum { KEY_TEXT = 64 };

static size_t position_key(enum view_log log, int32_t partition, char key[KEY_TEXT])
{
    return (size_t)snprintf(key, KEY_TEXT, "position/%s/%d", log_name[log], partition);
}

int view_get_position(struct view_txn *txn, enum view_log log, int32_t partition,
                      struct view_position *position, struct error *error)
{
    struct db_bytes found;
    const unsigned char *at;
    char key[KEY_TEXT];
    int result =
        db_get(txn->db, VIEW_META, key, position_key(log, partition, key), &found, error);

    *position = (struct view_position){.begun = result > 0};
    if (result <= 0)
        return result;
    if (found.len != 48)
        return view_damaged("meta", error);
    at = get_u64(found.data, &position->last);
    at = get_u64(at, &position->next);
    at = get_bytes(at, position->first_digest.bytes, 16);
    get_bytes(at, position->last_digest.bytes, 16);
    return 0;
}

int view_set_position(struct view_txn *txn, enum view_log log, int32_t partition,
                      const struct view_position *position, struct error *error)
{
    unsigned char bytes[48], *at = bytes;
    char key[KEY_TEXT];

    at = put_u64(at, position->last);
    at = put_u64(at, position->next);
    at = put_bytes(at, position->first_digest.bytes, 16);
    put_bytes(at, position->last_digest.bytes, 16);
    return db_put(txn->db, VIEW_META, key, position_key(log, partition, key), bytes, sizeof bytes,
                  error);
}

static size_t partitions_key(enum view_log log, char key[KEY_TEXT])
{
    return (size_t)snprintf(key, KEY_TEXT, "partitions/%s", log_name[log]);
}

int view_get_partitions(struct view_txn *txn, enum view_log log, int32_t *count,
                        struct error *error)
{
    struct db_bytes found;
    uint64_t number = 0;
    char key[KEY_TEXT];
    int result = db_get(txn->db, VIEW_META, key, partitions_key(log, key), &found, error);

    if (result < 0)
        return -1;
    if (result > 0 && found.len != 8)
        return view_damaged("meta", error);
    if (result > 0)
        get_u64(found.data, &number);
    *count = (int32_t)number;
    return 0;
}

int view_set_partitions(struct view_txn *txn, enum view_log log, int32_t count,
                        struct error *error)
{
    unsigned char bytes[8];
    char key[KEY_TEXT];

    put_u64(bytes, (uint64_t)count);
    return db_put(txn->db, VIEW_META, key, partitions_key(log, key), bytes, sizeof bytes, error);
}
