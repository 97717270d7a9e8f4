/* How far a group is in a topic, for who isn't a member of it. */
#ifndef STREAM_KAFKA_COMMITTED_H
#define STREAM_KAFKA_COMMITTED_H

#include "stream/kafka.h"

/* The offsets that the role's group has committed, of each of *count partitions; -1: none. The caller frees
 * them. EX_CONFIG if there is no such topic, EX_TEMPFAIL if brokers don't answer in time. */
int kafka_committed(enum kafka_role role, const char *topic, int timeout_ms, int64_t **offsets,
                    int32_t *count, struct error *error);

#endif
