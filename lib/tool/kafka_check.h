/* What every tool asks of Kafka's topics when it starts. */
#ifndef TOOL_KAFKA_CHECK_H
#define TOOL_KAFKA_CHECK_H

#include <stdbool.h>

#include "stream/kafka.h"

enum { KAFKA_CHECK_MS = 10000 }; /* how long a tool that may wait does so for a broker */

/* Checks the topics that the streams of the three roles name, "kafka:" the default one. One that is
 * NULL or isn't Kafka's is passed over: who is given one topic by its name doesn't know the others.
 * Without any there is nothing to do. See kafka_topics_check() for `needed`, `timeout_ms` and the
 * statuses. Prints what there is to say, but for the last problem, which the caller prints: it is
 * in *error. */
int kafka_check(const char *const streams[KAFKA_ROLES], unsigned needed, int timeout_ms,
                struct error *error);

/* The same without reading any events: a third of the time, for what serves one request. It doesn't
 * see that partitions were added. */
int kafka_check_quickly(const char *const streams[KAFKA_ROLES], unsigned needed, int timeout_ms,
                        struct error *error);

/* Prints the warnings and the problems, a line each, but for the last problem, which it puts into
 * *error if there is one. */
void kafka_check_say(const struct kafka_topics *topics, struct error *error);

#endif
