/* Group commit: many threads append to one log, and share its syncs. While one batch is written and
 * synced, what the others bring gathers in the next. */
#ifndef STREAM_GROUP_H
#define STREAM_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"

struct group;

/* For the log with this path, which must live as long as the group; `give_up` as in struct log. It is opened when something is
 * appended, and again after a failure. NULL when memory ran out. */
struct group *group_new(const char *path, bool (*give_up)(void));
void group_free(struct group *group);

/* Appends a line with its newline and returns when it is durable, with its offset. *cut is
 * as log_append's, told to one thread of a batch. On failure *unknown tells whether the line may be
 * in the log all the same; otherwise nothing was appended. */
int group_append(struct group *group, const char *line, size_t len, uint64_t *offset,
                 uint64_t *cut, bool *unknown, struct error *error);

/* How long the batches took that were written and synced. */
const struct histogram *group_commits(const struct group *group);

/* Whether the log is: see struct log. */
bool group_is_poisoned(struct group *group);

#endif
