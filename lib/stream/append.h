/* Single records, appended by many threads to one log, each of which waits until its own is
 * durable. */
#ifndef STREAM_APPEND_H
#define STREAM_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"
#include "base/id.h"

struct appender;

/* What an appender asks its owner. Both may be NULL. */
struct append_questions {
    /* While an append waits for something else than its own turn: whether to wait no longer. */
    bool (*give_up)(void);
    /* Before the first record goes to a topic: whether it is one to trust with a log. */
    int (*check)(const char *name, int timeout_ms, struct error *error);
};

/* For a log, a file or a topic, whose name must live as long as the appender. It is opened when
 * something is appended, and again after a failure: it may be away now. EX_USAGE if the name is no
 * log's. */
int appender_open(const char *name, const struct append_questions *questions, struct appender **out,
                  struct error *error);
void appender_close(struct appender *appender);

/* Appends a line with its newline, of the value `key`, and returns when it is durable. *cut is as
 * writer_commit()'s. On failure *unknown tells whether the line may be in the log all the same;
 * otherwise nothing was appended. Thread-safe. */
int appender_append(struct appender *appender, const struct id *key, const char *line, size_t len,
                    uint64_t *cut, bool *unknown, struct error *error);

/* How long the batches took that were written and synced, of a log that is a file; NULL of another. It
 * lives as long as the appender. */
const struct histogram *appender_commits(const struct appender *appender);

/* Whether nothing can be appended any more, for as long as the process lives: an earlier append failed so
 * that the log could not be brought to a known end. Thread-safe. */
bool appender_is_poisoned(struct appender *appender);

#endif
