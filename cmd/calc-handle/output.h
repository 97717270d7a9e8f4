/* Where the handler's outcomes go: stdout, stderr, or a log that may hold some of them already. */
#ifndef CALC_HANDLE_OUTPUT_H
#define CALC_HANDLE_OUTPUT_H

#include "stream/stream.h"

struct output {
    struct writer *writer;   /* NULL: stderr */
    struct buffer to_stderr;
    struct reader *existing; /* of what a log holds from earlier; NULL once all was compared */
    struct line next;        /* which is to be compared next */
    uint64_t compared;       /* bytes that were */
    int lock;                /* held for life beside a log; -1 */
};

/* Opens an output. NULL is stderr. */
int output_open(struct output *output, const char *name, struct error *error);

/* Locks a log for life against a second handler (EX_TEMPFAIL). If `resume`, what it holds must equal
 * what is put, from its beginning, and only what comes behind it is appended. */
int output_claim(struct output *output, const char *name, bool resume, struct error *error);
void output_close(struct output *output);

/* Where to write the next outcome's line; then call output_put. */
struct buffer *output_batch(struct output *output);

/* Takes the line that was appended to the batch at `from`. While the log holds more it is compared
 * instead of appended: a difference is EX_DATAERR, and the log stays as it is. */
int output_put(struct output *output, size_t from, struct error *error);

/* At the end of the input: a log that goes on is EX_DATAERR. */
int output_check_end(const struct output *output, struct error *error);

/* Whether the log still holds something that wasn't compared. */
bool output_comparing(const struct output *output);

/* Writes the batch, durably to a log. */
int output_commit(struct output *output, struct error *error);

#endif
