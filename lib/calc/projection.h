/* How a projection takes events: in the order of their versions, each once. */
#ifndef CALC_PROJECTION_H
#define CALC_PROJECTION_H

#include <stdbool.h>
#include <stdint.h>

enum judgement {
    PROJECTION_APPLY, /* the next version */
    PROJECTION_KNOWN, /* this version was applied: a duplicate if by the same event, else a fork */
    PROJECTION_GAP,   /* an event between is missing */
};

/* What a value that skips were granted to may leave out. */
struct allowance {
    bool any_next;      /* the value's next event sets its version, whatever it is */
    uint64_t *unplaced; /* skipped records of which nobody knows the value; may be NULL */
};

/* Judges an event against the version that its value is at (0: it doesn't exist). A gap that skipped
 * records explain is none, and takes as many from *unplaced. */
enum judgement projection_judge(uint64_t current, uint64_t version, struct allowance allowance);

#endif
