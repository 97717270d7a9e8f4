/* A new copy of the view beside the one in use, and how it takes that one's place.
 *
 * Nobody sees the copy before it is offered or switched to, and what an interrupted rebuild leaves is
 * removed. So its commits are neither durable nor whole: what batches have in memory is withheld from
 * the tables over many of them. Where keys are random a batch touches every page of a table; that
 * way it is a few times, and not once for each million records. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/lock.h"
#include "store/view_parts.h"

enum { TIDY_MS = 1000 };

static bool link_is_there(const char *folder, const char *link)
{
    char path[VIEW_PATH];
    struct stat status;

    return folder_path(path, sizeof path, folder, link) == 0 && lstat(path, &status) == 0;
}

bool view_is_there(const char *folder)
{
    return link_is_there(folder, "current");
}

int view_claim(const char *folder, struct view **out, struct error *error)
{
    struct view *view = view_new(folder, error);

    if (!view || view_take_place(view, error) < 0) {
        view_close(view);
        return -1;
    }
    *out = view;
    return 0;
}

static int begin_rebuild(struct view *copy, struct error *error)
{
    char path[VIEW_PATH];
    struct view_copy offered;
    int result;

    folder_path(path, sizeof path, copy->folder, "rebuild");
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
    copy->unseen = true;
    return view_make_copy(copy, error) < 0 ? -1 : db_set_lazy(copy->db, true, error);
}

int view_rebuild(const char *folder, struct view **out, struct error *error)
{
    struct view *copy = view_new(folder, error);

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

int view_settle(struct view *copy, struct error *error)
{
    struct view_txn *txn;
    int result;

    if (!copy->withheld)
        return 0;
    copy->unseen = false; /* now it counts */
    result = view_begin(copy, &txn, error);
    if (result == 0)
        result = view_commit(copy, txn, error);
    copy->unseen = true;
    return result;
}

/* From here on what is committed is whole and durable. */
static int finish(struct view *copy, struct error *error)
{
    if (view_settle(copy, error) < 0)
        return -1;
    copy->unseen = false;
    return db_set_lazy(copy->db, false, error);
}

int view_offer(struct view *copy, struct error *error)
{
    if (finish(copy, error) < 0)
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
    if (db_open(copy->copy.path, view_tables, true, &copy->db, error) < 0)
        return -1;
    db_defer(copy->db);
    return 0;
}

int view_take_offer(struct view *view, struct view **out, struct error *error)
{
    struct view *copy;
    int opened;

    if (!link_is_there(view->folder, "next"))
        return 0;
    copy = view_new(view->folder, error);
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
    opened = view_open_copy(copy, error);
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
    if (finish(copy, error) < 0 ||
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
