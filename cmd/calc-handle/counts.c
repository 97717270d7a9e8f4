#include "handle.h"
#include "tool/stats.h"

void handle_counts_write(const struct handle_counts *counts, const struct histogram *commits,
                         struct buffer *out)
{
    uint64_t rejections = 0;

    for (int i = REASON_NONE + 1; i <= REASON_OUT_OF_RANGE; i++)
        rejections += counts->rejections[i];
    buffer_printf(out,
                  ",\"records_in\":{\"commands\":%llu},"
                  "\"records_out\":{\"events\":%llu,\"rejections\":%llu}",
                  (unsigned long long)counts->commands, (unsigned long long)counts->events,
                  (unsigned long long)rejections);
    stats_number(out, "retries", counts->retries);
    stats_reasons(out, counts->rejections);
    stats_histogram(out, "commit_duration_seconds", commits);
}
