#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/lock.h"
#include "store/view_batch.h"
#include "store/view_copies.h"

static const char *const tables[] = {"meta",     "values",  "order", "outcomes",
                                     "history", "marks",   NULL};

enum { TIDY_MS = 1000 };

struct view {
    char folder[4096];
    struct view_copy copy;
    struct db *db;
    struct view_batch *batch; /* the projector's: what the last one knew, between transactions */
    int lock_fd, wake_fd; /* the projector's; -1 */
    int rebuild_fd;       /* of who rebuilds; -1 */
    bool untidy;          /* copies are left that nobody needs */
    int64_t tidied_ms;
    char data[4096]; /* a reader's: the path of the file, and which one it was */
    struct stat opened;
};

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

/* The copy is closed with the view. */
static struct view *new_view(const char *folder, struct error *error)
{
    struct view *view;

    if (strlen(folder) > sizeof view->folder - 128) {
        error_set(error, EX_USAGE, "the view's name is too long");
        return NULL;
    }
    view = calloc(1, sizeof *view);
    if (!view) {
        error_memory(error);
        return NULL;
    }
    snprintf(view->folder, sizeof view->folder, "%s", folder);
    view->copy.fd = view->lock_fd = view->wake_fd = view->rebuild_fd = -1;
    return view;
}

/* Opens the copy for writing. 1 if it has an older format. */
static int open_copy(struct view *view, struct error *error)
{
    uint64_t format;

    if (probe_format(&view->copy, &format, error) < 0)
        return -1;
    if (is_older(format))
        return 1;
    if (format != VIEW_FORMAT)
        return other_format(view->folder, format, error);
    return db_open(view->copy.path, tables, true, &view->db, error);
}

static int make_copy(struct view *view, struct error *error)
{
    if (view_copy_make(view->folder, &view->copy, error) < 0 ||
        db_open(view->copy.path, tables, true, &view->db, error) < 0)
        return -1;
    return write_format(view->db, error);
}

static int claim(struct view *view, struct error *error)
{
    char path[4096];

    if (mkdir(view->folder, 0777) < 0 && errno != EEXIST)
        return error_errno(error, EX_IOERR, "can't make the folder %s", view->folder);
    snprintf(path, sizeof path, "%.4000s/projector", view->folder);
    view->lock_fd = lock_for_life(path, ".lock", "calc-project", error);
    if (view->lock_fd < 0)
        return -1;
    snprintf(path, sizeof path, "%.4000s/wake", view->folder);
    view->wake_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (view->wake_fd < 0)
        return error_errno(error, EX_IOERR, "can't open %s", path);
    return 0;
}

static int create(struct view *view, struct error *error)
{
    int there;

    if (claim(view, error) < 0)
        return -1;
    there = view_copy_open(view->folder, "current", &view->copy, error);
    if (there < 0)
        return -1;
    if (there)
        return open_copy(view, error);
    if (make_copy(view, error) < 0)
        return -1;
    return view_copy_link(view->folder, "current", &view->copy, error);
}

int view_create(const char *folder, struct view **out, struct error *error)
{
    struct view *view = new_view(folder, error);
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

    snprintf(view->data, sizeof view->data, "%.4000s/current/data.mdb", view->folder);
    there = view_copy_open(view->folder, "current", &view->copy, error);
    if (there == 0)
        error_set(error, EX_TEMPFAIL, "there is no view in %s (yet)", view->folder);
    if (there <= 0)
        return -1;
    if (db_open(view->copy.path, tables, false, &view->db, error) < 0) {
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
    struct view *view = new_view(folder, error);
    char path[4096];

    if (!view || open_to_read(view, error) < 0) {
        view_close(view);
        return -1;
    }
    snprintf(path, sizeof path, "%.4080s/data.mdb", view->copy.path);
    stat(path, &view->opened);
    *out = view;
    return 0;
}

int view_open_quietly(const char *folder, struct view **out, struct error *error)
{
    struct view *view = new_view(folder, error);
    int there = view ? view_copy_open(folder, "current", &view->copy, error) : -1;
    uint64_t format;

    if (there < 0 ||
        db_open_quietly(there ? view->copy.path : folder, tables, &view->db, error) < 0 ||
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
    struct stat named;

    return stat(view->data, &named) < 0 || named.st_ino != view->opened.st_ino ||
           named.st_dev != view->opened.st_dev;
}

/* --- a new copy beside the one in use --- */

static bool link_is_there(const char *folder, const char *link)
{
    char path[4096];
    struct stat status;

    return (size_t)snprintf(path, sizeof path, "%s/%s", folder, link) < sizeof path &&
           lstat(path, &status) == 0;
}

bool view_is_there(const char *folder)
{
    return link_is_there(folder, "current");
}

int view_claim(const char *folder, struct view **out, struct error *error)
{
    struct view *view = new_view(folder, error);

    if (!view || claim(view, error) < 0) {
        view_close(view);
        return -1;
    }
    *out = view;
    return 0;
}

static int begin_rebuild(struct view *copy, struct error *error)
{
    char path[4096];
    struct view_copy offered;
    int result;

    snprintf(path, sizeof path, "%.4000s/rebuild", copy->folder);
    copy->rebuild_fd = lock_for_life(path, ".lock", "calc-project --rebuild", error);
    if (copy->rebuild_fd < 0)
        return -1;
    result = view_copy_open(copy->folder, "next", &offered, error); /* of one that was interrupted */
    if (result > 0)
        view_copy_unlink(copy->folder, "next", &offered);
    view_copy_close(&offered);
    if (result < 0)
        return -1;
    view_copies_tidy(copy->folder);
    return make_copy(copy, error) < 0 ? -1 : db_set_lazy(copy->db, true, error);
}

int view_rebuild(const char *folder, struct view **out, struct error *error)
{
    struct view *copy = new_view(folder, error);

    if (!copy || begin_rebuild(copy, error) < 0) {
        view_discard(copy);
        return -1;
    }
    *out = copy;
    return 0;
}

void view_discard(struct view *copy)
{
    if (!copy)
        return;
    db_close(copy->db);
    copy->db = NULL;
    view_copy_close(&copy->copy);
    if (copy->rebuild_fd >= 0)
        view_copies_tidy(copy->folder);
    view_close(copy);
}

int view_offer(struct view *copy, struct error *error)
{
    if (db_set_lazy(copy->db, false, error) < 0)
        return -1;
    view_batch_close(copy->batch);
    copy->batch = NULL;
    db_close(copy->db); /* the projector will write it */
    copy->db = NULL;
    return view_copy_link(copy->folder, "next", &copy->copy, error);
}

enum view_offer view_offered(const struct view *copy)
{
    bool waits = view_copy_is(copy->folder, "next", &copy->copy); /* looked at first: it goes last */

    if (view_copy_is(copy->folder, "current", &copy->copy))
        return VIEW_TAKEN;
    return waits ? VIEW_OFFERED : VIEW_REFUSED;
}

int view_withdraw(struct view *copy, struct error *error)
{
    view_copy_unlink(copy->folder, "next", &copy->copy);
    return db_open(copy->copy.path, tables, true, &copy->db, error);
}

int view_take_offer(struct view *view, struct view **out, struct error *error)
{
    struct view *copy;
    int opened;

    if (!link_is_there(view->folder, "next"))
        return 0;
    copy = new_view(view->folder, error);
    if (!copy)
        return -1;
    if (view_copy_open(view->folder, "next", &copy->copy, error) <= 0) {
        view_close(copy); /* withdrawn meanwhile, or no link of ours */
        return 0;
    }
    if (view_copy_is(view->folder, "current", &copy->copy)) {
        view_refuse(view, copy); /* it was taken, before a crash */
        return 0;
    }
    opened = open_copy(copy, error);
    if (opened != 0) {
        view_refuse(view, copy);
        return opened < 0 ? -1 : error_set(error, EX_DATAERR, "it has an older format");
    }
    *out = copy;
    return 1;
}

void view_refuse(struct view *view, struct view *copy)
{
    view_copy_unlink(copy->folder, "next", &copy->copy);
    view_close(copy);
    view->untidy = true;
}

int view_switch(struct view *view, struct view *copy, struct error *error)
{
    if (db_set_lazy(copy->db, false, error) < 0 ||
        view_copy_link(copy->folder, "current", &copy->copy, error) < 0)
        return -1;
    view_copy_unlink(copy->folder, "next", &copy->copy);
    copy->lock_fd = view->lock_fd;
    copy->wake_fd = view->wake_fd;
    view->lock_fd = view->wake_fd = -1;
    view_close(view);
    if (copy->rebuild_fd >= 0)
        close(copy->rebuild_fd);
    copy->rebuild_fd = -1;
    copy->untidy = true;
    view_wake(copy);
    view_tidy(copy);
    return 0;
}

void view_tidy(struct view *view)
{
    if (!view->untidy || (view->tidied_ms && clock_ms() - view->tidied_ms < TIDY_MS))
        return;
    view->untidy = view_copies_tidy(view->folder);
    view->tidied_ms = clock_ms();
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
