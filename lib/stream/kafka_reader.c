/* Reading a topic: every partition of it, from positions that the caller keeps. */
#include "stream/kafka_client.h"
#include "stream/reader.h"

int kafka_reader_init(struct reader *reader, struct error *error)
{
    return error_set(error, EX_USAGE, "%s: topics can't be read yet", reader->name);
}
