/* What calc-handle was asked to do, and its two ways to do it. */
#ifndef CALC_HANDLE_HANDLE_H
#define CALC_HANDLE_HANDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/histogram.h"
#include "calc/outcome.h"

struct handle_options {
    const char *commands, *events, *rejections; /* streams; rejections NULL: stderr */
    const char *state;                          /* a folder; NULL: the default */
    const char *instance;                       /* NULL: the default */
    const char *stats; /* a file; NULL: none */
    size_t cache; /* memory for the state, of all partitions; bytes */
    bool follow;
};

/* What was done, for statistics; of topics, what is committed. */
struct handle_counts {
    uint64_t commands, retries, events;
    uint64_t rejections[REASON_OUT_OF_RANGE + 1]; /* by reason */
};

/* Counts a command, and what state_handle() said of it. */
static inline void handle_count(struct handle_counts *counts, int result,
                                const struct outcome *outcome)
{
    counts->commands++;
    if (result == 0)
        counts->retries++;
    else if (outcome->reason == REASON_NONE)
        counts->events++;
    else
        counts->rejections[outcome->reason]++;
}

/* The members that they are in a line of statistics (counts.c). */
void handle_counts_write(const struct handle_counts *counts, const struct histogram *commits,
                         struct buffer *out);

/* From a stream of any kind to stdout, or from a file to files. */
int handle_streams(const struct handle_options *options, struct error *error);

/* From a topic to topics. */
int handle_topics(const struct handle_options *options, struct error *error);

#endif
