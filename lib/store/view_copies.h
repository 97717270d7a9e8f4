/* The copies of a view in its folder: which one is in use, which one is offered to take its place, and
 * which one nobody needs any more. For view*.c only.
 *
 *   DIR/current -> N     the copy in use. Only who holds DIR/projector.lock changes it, by rename
 *   DIR/next -> N        a new copy, whole and durable, that waits for the projector to take it over.
 *                        Who rebuilds makes it; whoever took the copy or can't take it removes it
 *   DIR/N/               a copy. N is a decimal number, and never one that a folder has
 *
 * Everybody who has a copy open, reader or writer, holds a shared flock on its folder, which ends with
 * the process however that ends. A copy is removed under an exclusive one, taken without waiting, and
 * only if it is neither the one in use nor offered; so it goes when its last reader has left. */
#ifndef STORE_VIEW_COPIES_H
#define STORE_VIEW_COPIES_H

#include <stdbool.h>

#include "base/error.h"

struct view_copy {
    unsigned long number;
    int fd; /* of its folder, with the lock; -1: none */
    char path[4096];
};

/* Opens the copy that a link ("current" or "next") names: resolved once, so that its files belong
 * together. 1, 0 if the link or the copy isn't there (any more), -1. */
int view_copy_open(const char *folder, const char *link, struct view_copy *copy,
                   struct error *error);

/* Makes a new one, empty. */
int view_copy_make(const char *folder, struct view_copy *copy, struct error *error);
void view_copy_close(struct view_copy *copy);

/* Makes a link name the copy, whole and durable with what is in the copy's folder, by rename. */
int view_copy_link(const char *folder, const char *link, const struct view_copy *copy,
                   struct error *error);

/* Whether a link names the copy; removes the link if it does. */
bool view_copy_is(const char *folder, const char *link, const struct view_copy *copy);
void view_copy_unlink(const char *folder, const char *link, const struct view_copy *copy);

/* Removes the copies that nobody has or needs. Whether there are others left than those two. */
bool view_copies_tidy(const char *folder);

#endif
