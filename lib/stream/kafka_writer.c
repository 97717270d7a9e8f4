/* Writing to a topic: each record to its value's partition, by an idempotent producer. */
#include "stream/kafka_client.h"
#include "stream/writer.h"

int kafka_writer_init(struct writer *writer, struct error *error)
{
    return error_set(error, EX_USAGE, "%s: topics can't be written yet", writer->name);
}
