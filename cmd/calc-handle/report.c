#include "report.h"

#include <stdio.h>

#include "tool/service.h"
#include "tool/stats.h"

/* How far behind a partition is; UINT64_MAX: unknown. */
static uint64_t behind(const struct partition *partition, const struct topics *topics)
{
    uint64_t next = partition->position.next;
    uint64_t end = kafka_processor_known_end(topics->processor, partition->number);

    if (kafka_processor_ended(topics->processor, partition->number))
        return 0;
    return end == UINT64_MAX ? end : end > next ? end - next : 0;
}

static bool is_caught_up(struct partition *partition, const struct topics *topics)
{
    uint64_t next = partition->position.next;

    if (partition->goal == UINT64_MAX)
        partition->goal = kafka_processor_known_end(topics->processor, partition->number);
    return next >= partition->resume &&
           (next >= partition->goal || kafka_processor_ended(topics->processor, partition->number));
}

void report(struct partition *partitions, const struct topics *topics, bool assigned,
            uint64_t commands)
{
    struct service_progress progress = {
        .units = "of them", .count = commands, .counted = "commands"};
    char place[400];
    size_t begin, len;
    bool ready = assigned;

    service_alive();
    if (!service_is_due())
        return;
    begin = len = (size_t)snprintf(place, sizeof place, "commands at");
    for (int32_t i = 0; i < topics->count; i++) {
        uint64_t left = partitions[i].ours ? behind(&partitions[i], topics) : 0;
        if (!partitions[i].ours)
            continue;
        ready = is_caught_up(&partitions[i], topics) && ready;
        progress.behind = left == UINT64_MAX || progress.behind == UINT64_MAX
                              ? UINT64_MAX : progress.behind + left;
        if (len < sizeof place)
            len += (size_t)snprintf(place + len, sizeof place - len, " %d:%llu", (int)i,
                                    (unsigned long long)partitions[i].position.next);
    }
    if (len == begin)
        snprintf(place, sizeof place, assigned ? "no partition is ours" : "waiting for partitions");
    progress.place = place;
    if (ready)
        service_ready();
    service_progress(&progress);
}

void report_stats(const struct partition *partitions, const struct topics *topics,
                  int64_t timestamp, struct buffer *out)
{
    struct buffer lags = {0};
    bool any = false;

    buffer_append_text(out, ",\"positions\":{\"commands\":{");
    for (int32_t i = 0; i < topics->count; i++) {
        uint64_t left = partitions[i].ours ? behind(&partitions[i], topics) : UINT64_MAX;
        if (!partitions[i].ours)
            continue;
        buffer_printf(out, "%s\"%d\":%llu", any ? "," : "", (int)i,
                      (unsigned long long)partitions[i].position.next);
        any = true;
        if (left == UINT64_MAX)
            continue;
        buffer_printf(&lags, "%s\"%d\":{\"records\":%llu,\"seconds\":", lags.len ? "," : "", (int)i,
                      (unsigned long long)left);
        stats_age(&lags, left ? timestamp : TIMESTAMP_NONE);
        buffer_append_text(&lags, "}");
    }
    buffer_append_text(out, "}},\"lag\":{\"commands\":{");
    buffer_append(out, lags.data, lags.len);
    buffer_append_text(out, "}}");
    out->failed |= lags.failed;
    buffer_release(&lags);
}
