/* What view.c and view_rebuild.c share: the view itself, and how its copies are opened. For these only. */
#ifndef STORE_VIEW_PARTS_H
#define STORE_VIEW_PARTS_H

#include "base/file_status.h"
#include "store/view_batch.h"
#include "store/view_copies.h"

enum { VIEW_PATH = sizeof ((struct view_copy *)NULL)->path, VIEW_FOLDER = VIEW_PATH - 128 };

struct view {
    struct view_copy copy;
    struct db *db;
    struct view_batch *batch; /* the projector's: what the last one knew, between transactions */
    bool unseen;   /* a new copy: what is committed may be withheld from its tables, */
    bool withheld; /* and something is: only `batch` has it */
    int lock_fd, wake_fd; /* the projector's; -1 */
    int rebuild_fd;       /* of who rebuilds; -1 */
    bool untidy;          /* copies are left that nobody needs */
    int64_t tidied_ms;
    struct file_status opened; /* a reader's: which file it was */
    char folder[];      /* at most VIEW_FOLDER characters, so that paths in it fit into VIEW_PATH */
};

extern const char *const view_tables[]; /* their names, in the order of VIEW_META and so on */

/* One with nothing open; to be closed. NULL on error. */
struct view *view_new(const char *folder, struct error *error);

/* Opens its copy for writing. 1 if that has an older format. */
int view_open_copy(struct view *view, struct error *error);

/* Makes a copy, empty, and opens it for writing. */
int view_make_copy(struct view *view, struct error *error);

/* Takes the projector's place, as view_claim(). */
int view_take_place(struct view *view, struct error *error);

#endif
