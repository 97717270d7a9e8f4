/* What calc-verify was asked to do. */
#ifndef CALC_VERIFY_VERIFY_H
#define CALC_VERIFY_VERIFY_H

#include "base/buffer.h"
#include "base/error.h"

struct verify_options {
    const char *commands, *outputs[2]; /* streams: events, rejections; NULL: not compared */
    const char *state, *view;          /* folders; NULL: not compared */
};

/* Derives everything that is there and compares it. Appends what was compared to the report, a line of
 * JSON each. -1: EX_DATAERR with the first difference. */
int verify(const struct verify_options *options, struct buffer *report, struct error *error);

#endif
