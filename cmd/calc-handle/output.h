/* Where the handler's outcomes go: stdout, stderr, or a log that may hold some of them already. */
#ifndef CALC_HANDLE_OUTPUT_H
#define CALC_HANDLE_OUTPUT_H

#include "stream/stream.h"

struct output {
    struct writer *writer; /* NULL: stderr */
    struct buffer to_stderr;
    const char *name;
    int lock; /* held for life beside a log; -1 */

    /* of a log that is gone on with */
    bool resumed;
    uint64_t end;     /* where what was compared or appended ends */
    uint64_t last;    /* where the last outcome before begins, if there is one */
    uint64_t durable; /* what differs behind it is an unsynced tail */
    bool cuts;        /* there is one, at the end: it goes before something is appended */
    bool torn;        /* half a line is there */
    bool unsynced;    /* what it holds from earlier may not be durable yet */

    struct buffer leaving; /* what is being appended, while the next batch is gathered, */
    uint64_t leaves_at;    /* and where */

    struct reader *existing; /* what it holds from earlier; NULL once all was compared */
    struct line next;        /* which is to be compared next, */
    bool blank;              /* unless a blank line is there */
};

/* Opens an output. NULL is stderr. */
int output_open(struct output *output, const char *name, struct error *error);

/* Locks a log for life against a second handler (EX_TEMPFAIL). */
int output_claim(struct output *output, struct error *error);
void output_close(struct output *output);

/* Goes on with a log: what it holds behind `end` must equal what is put, and only what comes behind it
 * is appended. Can be called again, to begin anew. `durable` is how far a difference is damage. */
int output_resume(struct output *output, uint64_t end, uint64_t durable, struct error *error);

/* Where to write the next outcome's line; then call output_put. */
struct buffer *output_batch(struct output *output);

/* Takes the line that was appended to the batch at `from`. While the log holds more it is compared
 * instead of appended: a difference is EX_DATAERR, and the log stays as it is; or it is an unsynced
 * tail, which the next commit cuts off. */
int output_put(struct output *output, size_t from, struct error *error);

/* At the end of the input: a log that goes on is EX_DATAERR. */
int output_check_end(const struct output *output, struct error *error);

/* Whether the log still holds something that wasn't compared. */
bool output_comparing(const struct output *output);

/* Whether a commit has something to do. */
bool output_is_due(const struct output *output);

/* Whether a commit does nothing to a log but to append: it has nothing to compare nor to cut. */
bool output_only_grows(const struct output *output);

/* A commit is done in two steps, the second of which another thread may take while outcomes are put, if
 * the output only grows. Takes the batch away, so that another one can be gathered; and writes what was
 * taken, durably to a log, from which it cuts what doesn't belong there. */
void output_take(struct output *output);
int output_append(struct output *output, struct error *error);

/* Makes durable what the log holds from earlier. */
int output_sync(struct output *output, struct error *error);

/* The digest of the outcome that stands at `from` in the log and ends at `to`. EX_DATAERR if none does. */
int output_digest(const struct output *output, uint64_t from, uint64_t to, struct id *digest,
                  struct error *error);

#endif
