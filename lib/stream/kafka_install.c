#include "stream/kafka_client.h"
#include "stream/reader.h"

void kafka_install(void)
{
    static const struct stream_driver driver = {kafka_reader_init, kafka_writer_init};

    stream_kafka = &driver;
}
