/* What is asked of a view, and its answers. */
#ifndef CALC_GET_QUERY_H
#define CALC_GET_QUERY_H

#include "store/view.h"
#include "stream/stream.h"
#include "tool/progress.h"

enum ask { ASK_VALUE, ASK_ALL, ASK_COMMAND, ASK_HISTORY, ASK_VERSION, ASK_TIME };

struct query {
    const char *folder;
    enum ask ask;
    bool waits;
    const char *command_text, *seen_text, *time_text, *after_text; /* NULL: not given */
    struct id command, seen, after;
    uint64_t version;
    int64_t time;
    bool limited;
    uint64_t limit;
    int64_t wait_ms;
    char **operands;
    int operand_count;
    struct view *view;
    struct writer *out;
    struct progress progress;
    int status; /* of what was answered so far */
};

/* The gravest status wins: bad data, then not decided, then a clean no. */
void query_note(struct query *query, int status);

/* Puts the answer for a value into the output's batch; long ones are written in part. That the value
 * isn't known is said, and noted. */
int query_value(struct query *query, const struct id *id, struct error *error);

/* Writes the values. */
int query_all(struct query *query, struct error *error);

#endif
