#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/folder.h"
#include "base/lock.h"
#include "store/view_parts.h"

const char *const view_tables[] = {"meta",     "values",  "order", "outcomes",
                                   "history", "marks",   NULL};

/* --- formats --- */

static int read_format(struct db *db, uint64_t *format, struct error *error)
{
    struct db_bytes found;
    struct db_txn *txn;
    int result;

    *format = 0;
    if (db_begin(db, false, &txn, error) < 0)
        return -1;
    result = db_get(txn, VIEW_META, "format", 6, &found, error);
    if (result > 0 && found.len == 8)
        get_u64(found.data, format);
    db_abort(txn);
    return result < 0 ? -1 : 0;
}

static int write_format(struct db *db, struct error *error)
{
    unsigned char bytes[8];
    struct db_txn *txn;

    if (db_begin(db, true, &txn, error) < 0)
        return -1;
    put_u64(bytes, VIEW_FORMAT);
    if (db_put(txn, VIEW_META, "format", 6, bytes, sizeof bytes, error) == 0)
        return db_commit(txn, error);
    db_abort(txn);
    return -1;
}

/* The format of a copy of any version, which may have other tables. */
static int probe_format(const struct view_copy *copy, uint64_t *format, struct error *error)
{
    static const char *const meta[] = {"meta", NULL};
    struct db *db;
    int result;

    if (db_open(copy->path, meta, false, &db, error) < 0)
        return -1;
    result = read_format(db, format, error);
    db_close(db);
    return result;
}

static bool is_older(uint64_t format)
{
    return format && format < VIEW_FORMAT;
}

static int other_format(const char *folder, uint64_t format, struct error *error)
{
    if (is_older(format))
        return error_set(error, EX_TEMPFAIL, "the view in %s has format %llu, this version reads %d: it is being "
                         "rebuilt, or will be when calc-project starts",
                         folder, (unsigned long long)format, VIEW_FORMAT);
    return error_set(error, EX_DATAERR, "the view in %s has format %llu, this version knows %d: fold it anew from the "
                     "logs, in another folder",
                     folder, (unsigned long long)format, VIEW_FORMAT);
}

/* --- opening --- */

struct view *view_new(const char *folder, struct error *error)
{
    size_t len = strlen(folder);
    struct view *view;

    if (len > VIEW_FOLDER) {
        error_set(error, EX_USAGE, "the view's name is too long");
        return NULL;
    }
    view = calloc(1, sizeof *view + len + 1);
    if (!view) {
        error_memory(error);
        return NULL;
    }
    memcpy(view->folder, folder, len);
    view->copy.fd = view->lock_fd = view->wake_fd = view->rebuild_fd = -1;
    return view;
}

int view_open_copy(struct view *view, struct error *error)
{
    uint64_t format;

    if (probe_format(&view->copy, &format, error) < 0)
        return -1;
    if (is_older(format))
        return 1;
    if (format != VIEW_FORMAT)
        return other_format(view->folder, format, error);
    if (db_open(view->copy.path, view_tables, true, &view->db, error) < 0)
        return -1;
    db_defer(view->db);
    return 0;
}

int view_make_copy(struct view *view, struct error *error)
{
    if (view_copy_make(view->folder, &view->copy, error) < 0 ||
        db_open(view->copy.path, view_tables, true, &view->db, error) < 0)
        return -1;
    db_defer(view->db);
    return write_format(view->db, error);
}

int view_take_place(struct view *view, struct error *error)
{
    char path[VIEW_PATH];

    if (mkdir(view->folder, 0777) < 0 && errno != EEXIST)
        return error_errno(error, EX_IOERR, "can't make the folder %s", view->folder);
    folder_path(path, sizeof path, view->folder, "projector");
    view->lock_fd = lock_for_life(path, ".lock", "calc-project", error);
    if (view->lock_fd < 0)
        return -1;
    folder_path(path, sizeof path, view->folder, "wake");
    view->wake_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (view->wake_fd < 0)
        return error_errno(error, EX_IOERR, "can't open %s", path);
    return 0;
}

static int create(struct view *view, struct error *error)
{
    int there;

    if (view_take_place(view, error) < 0)
        return -1;
    there = view_copy_open(view->folder, "current", &view->copy, error);
    if (there < 0)
        return -1;
    if (there)
        return view_open_copy(view, error);
    if (view_make_copy(view, error) < 0)
        return -1;
    return view_copy_link(view->folder, "current", &view->copy, error);
}

int view_create(const char *folder, struct view **out, struct error *error)
{
    struct view *view = view_new(folder, error);
    int result = view ? create(view, error) : -1;

    if (result < 0) {
        view_close(view);
        return -1;
    }
    view->untidy = true;
    view_tidy(view);
    view_wake(view);
    *out = view;
    return result;
}

static int open_to_read(struct view *view, struct error *error)
{
    struct error reason;
    uint64_t format;
    int there;

    there = view_copy_open(view->folder, "current", &view->copy, error);
    if (there == 0)
        error_set(error, EX_TEMPFAIL, "there is no view in %s (yet)", view->folder);
    if (there <= 0)
        return -1;
    if (db_open(view->copy.path, view_tables, false, &view->db, error) < 0) {
        if (error->status == EX_DATAERR && probe_format(&view->copy, &format, &reason) == 0 &&
            format != VIEW_FORMAT)
            other_format(view->folder, format, error);
        return -1;
    }
    if (read_format(view->db, &format, error) < 0)
        return -1;
    return format == VIEW_FORMAT ? 0 : other_format(view->folder, format, error);
}

int view_open(const char *folder, struct view **out, struct error *error)
{
    struct view *view = view_new(folder, error);

    if (!view || open_to_read(view, error) < 0) {
        view_close(view);
        return -1;
    }
    file_status_at(view->copy.fd, "data.mdb", &view->opened);
    *out = view;
    return 0;
}

int view_open_quietly(const char *folder, struct view **out, struct error *error)
{
    struct view *view = view_new(folder, error);
    int there = view ? view_copy_open(folder, "current", &view->copy, error) : -1;
    uint64_t format;

    if (there < 0 ||
        db_open_quietly(there ? view->copy.path : folder, view_tables, &view->db, error) < 0 ||
        read_format(view->db, &format, error) < 0) {
        view_close(view);
        return -1;
    }
    if (format != VIEW_FORMAT) {
        view_close(view);
        return other_format(folder, format, error);
    }
    *out = view;
    return 0;
}

bool view_was_written(const struct view *view)
{
    return db_was_written(view->db);
}

int view_refresh(const char *folder, struct view **view, struct error *error)
{
    if (*view && !view_replaced(*view))
        return 0;
    view_close(*view);
    *view = NULL;
    return view_open(folder, view, error);
}

void view_close(struct view *view)
{
    if (!view)
        return;
    view_batch_close(view->batch);
    db_close(view->db);
    view_copy_close(&view->copy);
    if (view->wake_fd >= 0)
        close(view->wake_fd);
    if (view->lock_fd >= 0)
        close(view->lock_fd);
    if (view->rebuild_fd >= 0)
        close(view->rebuild_fd);
    free(view);
}

bool view_replaced(const struct view *view)
{
    char path[VIEW_PATH];
    struct file_status named;

    folder_path(path, sizeof path, view->folder, "current/data.mdb");
    return file_status_at(AT_FDCWD, path, &named) < 0 || !file_is_same(&named, &view->opened);
}

/* --- transactions --- */

static int begin(struct view *view, bool write, struct view_txn **out, struct error *error)
{
    struct view_txn *txn = calloc(1, sizeof *txn);
    struct db_bytes found;

    if (!txn)
        return error_memory(error);
    if (write && view->withheld && !view->batch) {
        free(txn);
        return error_set(error, EX_SOFTWARE, "what the new copy of the view held was given up");
    }
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
    if (write && view_get_totals(txn, &txn->totals, error) < 0) {
        view_abort(txn);
        return -1;
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

bool view_is_due(const struct view *view, struct view_txn *txn, uint64_t ahead)
{
    enum { A_RECORD = 2 }; /* changes: the value's, and what became of a command */
    struct error error;
    size_t values, outcomes;

    return !view->unseen && db_pages(txn->db, VIEW_VALUES, &values, &error) == 0 &&
           db_pages(txn->db, VIEW_OUTCOMES, &outcomes, &error) == 0 &&
           db_is_scattered(view_batch_changes(txn->batch), ahead * A_RECORD, values + outcomes);
}

int view_commit(struct view *view, struct view_txn *txn, struct error *error)
{
    bool withhold = view->unseen && view_batch_has_room(txn->batch);
    unsigned char bytes[8];
    int result;

    put_u64(bytes, txn->unplaced);
    if ((txn->unplaced_changed &&
         db_put(txn->db, VIEW_META, "unplaced", 8, bytes, sizeof bytes, error) < 0) ||
        (txn->totals_changed && view_write_totals(txn, error) < 0) ||
        (!withhold && view_batch_flush(txn, error) < 0)) {
        view_abort(txn);
        return -1;
    }
    view->withheld = withhold;
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

int view_sync(struct view *view, struct error *error)
{
    return view->db ? db_sync(view->db, error) : 0; /* NULL: another has the copy now */
}

void view_wake(const struct view *view)
{
    if (pwrite(view->wake_fd, "\n", 1, 0) < 0) {
        /* readers look again every second in any case */
    }
}
