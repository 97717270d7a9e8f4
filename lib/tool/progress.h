/* A line on stderr that tells how far long work is, and how long it will take. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;  /* what is done, and what is counted: "verifying", "commands" */
    const char *units;
    uint64_t total;    /* of the work, in whatever it is measured; 0: not known */
    uint64_t done, count;
    int64_t begun_ms, said_ms;
    bool enabled; /* stderr is a terminal */
    bool shown;   /* there is a line to be wiped out */
};

/* Nothing is ever shown where stderr is no terminal, or before a second has gone by; a diagnostic takes the
 * line's place. Zeroed there is none, and the others do nothing. One at a time in a process. */
void progress_begin(struct progress *progress, const char *what, const char *units, uint64_t total);

/* Adds so much of the total, and so many units. Cheap. */
void progress_add(struct progress *progress, uint64_t done, uint64_t count);

/* Shows the line again, if it is time: for work that can't be measured. */
void progress_tick(struct progress *progress);

/* Wipes the line out; to be called before `progress` goes out of scope. No more is shown until it is begun again. */
void progress_end(struct progress *progress);

#endif
