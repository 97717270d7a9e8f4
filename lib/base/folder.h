/* Folders, that are durable with what they name, and paths in them. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include <stddef.h>

#include "base/error.h"

/* Writes FOLDER/NAME into `path`, which has room for `size` bytes, the NUL with them. 0, or -1 with ENAMETOOLONG
 * and an empty path. */
int folder_path(char *path, size_t size, const char *folder, const char *name);

/* Makes a folder if it isn't there, and its name durable. EX_IOERR. */
int folder_make(const char *path, struct error *error);

/* Make durable what a folder names, or the name that a path has in its folder. -1 with errno. */
int folder_sync(const char *path);
int folder_sync_parent(const char *path);

#endif
