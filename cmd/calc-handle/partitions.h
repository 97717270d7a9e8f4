/* Several partitions at once: each is opened, asked about and written by a thread of its own. */
#ifndef CALC_HANDLE_PARTITIONS_H
#define CALC_HANDLE_PARTITIONS_H

#include "partition.h"

/* A partition on its way in or out. */
struct partition_task {
    struct partition *partition;
    int64_t committed; /* in: the group's offset, or -1 */
};

/* partition_take() of all. After -1 some are taken. */
int partitions_take(const struct partition_task *tasks, size_t count, const struct topics *topics,
                    struct error *error);

/* partition_leave() of all. */
int partitions_leave(const struct partition_task *tasks, size_t count, const struct topics *topics,
                     bool checkpoint, struct error *error);

#endif
