/* Folders that are durable with what they name. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include "base/error.h"

/* Makes a folder if it isn't there, and its name durable. EX_IOERR. */
int folder_make(const char *path, struct error *error);

/* Make durable what a folder names, or the name that a path has in its folder. -1 with errno. */
int folder_sync(const char *path);
int folder_sync_parent(const char *path);

#endif
