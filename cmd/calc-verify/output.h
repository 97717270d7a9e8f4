/* A log of outcomes, which is compared with what the commands derive. */
#ifndef CALC_VERIFY_OUTPUT_H
#define CALC_VERIFY_OUTPUT_H

#include "calc/outcome.h"
#include "source.h"

/* What a command derives, in the spelling that the log has to have, and the command. */
struct derived {
    const struct outcome *outcome;
    const char *line; /* without its newline */
    size_t len;
    const struct record *command;
    const char *position; /* the command's */
};

struct output {
    const char *what; /* "event" or "rejection" */
    bool given;       /* there is a log to be compared */
    struct source source;
    struct record next; /* which comes next in it */
    bool begun, ended;  /* whether there is (still) one */
    uint64_t count;     /* of outcomes that were derived and are there */
    uint64_t end;       /* behind the last of them; of files that which was derived, there or not */
    /* Behind the log's end, where the handler may still be about to write: */
    uint64_t missing;       /* outcomes that were derived */
    uint64_t missing_from;  /* offset of the first one's command */
    uint64_t missing_bytes; /* of the other log's outcomes that are there nevertheless */
};

/* Takes the next outcome. *start is where it stands in the log and output->end where it ends; UINT64_MAX
 * if the log of a topic doesn't go so far. -1: EX_DATAERR if the log has another one. */
int output_take(struct output *output, const struct derived *derived, uint64_t *start,
                struct error *error);

/* When all commands were handled: EX_DATAERR if the log goes on. */
int output_finish(struct output *output, struct error *error);

#endif
