/* What calc-handle was asked to do, and its two ways to do it. */
#ifndef CALC_HANDLE_HANDLE_H
#define CALC_HANDLE_HANDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct handle_options {
    const char *commands, *events, *rejections; /* streams; rejections NULL: stderr */
    const char *state;                          /* a folder; NULL: the default */
    const char *instance;                       /* NULL: the default */
    size_t cache; /* memory for the state, of all partitions; bytes */
    bool follow;
};

/* From a stream of any kind to stdout, or from a file to files. */
int handle_streams(const struct handle_options *options, struct error *error);

/* From a topic to topics. */
int handle_topics(const struct handle_options *options, struct error *error);

#endif
