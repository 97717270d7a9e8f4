/* What a handler of topics tells who started it. */
#ifndef CALC_HANDLE_REPORT_H
#define CALC_HANDLE_REPORT_H

#include "partition.h"

/* Once a second: how far our partitions are, and that we are ready once each is derived up to what is
 * emitted already and to where it ended when it came. `commands` were handled by now. In between only
 * that we are alive. */
void report(struct partition *partitions, const struct topics *topics, bool assigned,
            uint64_t commands);

/* The members for a line of statistics: where our partitions are, and how far behind; `timestamp` is that of
 * the last command. */
void report_stats(const struct partition *partitions, const struct topics *topics,
                  int64_t timestamp, struct buffer *out);

#endif
