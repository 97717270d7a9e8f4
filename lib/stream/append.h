/* Single records, appended by many threads to one log, each of which waits until its own is durable. */
#ifndef STREAM_APPEND_H
#define STREAM_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/id.h"

struct appender;

/* For a log, a file or a topic. It is opened when something is appended, and again after a failure: it
 * may be away now. With `once` little will be: what pays only in the long run is left out. `give_up` is
 * asked while an append waits for something else than its own turn. EX_USAGE if the name is no log's. */
int appender_open(const char *name, bool once, bool (*give_up)(void), struct appender **out,
                  struct error *error);
void appender_close(struct appender *appender);

/* Appends a line with its newline, of the value `key`, and returns when it is durable. *cut is as
 * writer_commit()'s. On failure *unknown tells whether the line may be in the log all the same;
 * otherwise nothing was appended. Thread-safe. */
int appender_append(struct appender *appender, const struct id *key, const char *line, size_t len,
                    uint64_t *cut, bool *unknown, struct error *error);

#endif
