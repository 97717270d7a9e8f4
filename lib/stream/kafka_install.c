#include "stream/kafka_client.h"
#include "stream/reader.h"

void kafka_install(void)
{
    static const struct stream_driver driver = {kafka_reader_init, kafka_writer_init, kafka_appender_new,
                                                kafka_appender_append, kafka_appender_free};

    stream_kafka = &driver;
}
