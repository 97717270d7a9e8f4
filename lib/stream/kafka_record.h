/* A record of Kafka as a line, and the header that every outcome carries: "position", the partition
 * and offset of its command as text, "3:1834". For kafka_*.c only. */
#ifndef STREAM_KAFKA_RECORD_H
#define STREAM_KAFKA_RECORD_H

#include "base/lines.h"

#define KAFKA_POSITION_HEADER "position"

struct rd_kafka_message_s;

/* Describes a record as a line, which points into the message: an empty or null one is blank. */
void kafka_line(const struct rd_kafka_message_s *message, struct line *line);

/* Reads the header; false if the record has none, or one that is no position. */
bool kafka_header_read(const struct rd_kafka_message_s *message, int32_t *partition,
                       uint64_t *offset);

/* "partition:offset" and a NUL; returns the length. */
int kafka_position_write(int32_t partition, uint64_t offset, char *text);

#endif
