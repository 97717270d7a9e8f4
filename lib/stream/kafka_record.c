#include "stream/kafka_record.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "base/digits.h"

static bool is_blank(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r')
            return false;
    return true;
}

/* data[len] is readable: format 2 of records, the only one that Kafka 4 has, puts the count of
 * headers behind the value. */
void kafka_line(const struct rd_kafka_message_s *message, struct line *line)
{
    size_t len = message->payload ? message->len : 0;

    *line = (struct line){.data = len ? message->payload : "",
                          .len = len > LINE_MAX_BYTES ? LINE_MAX_BYTES : len,
                          .oversize = len > LINE_MAX_BYTES,
                          .partition = message->partition,
                          .start = (uint64_t)message->offset,
                          .end = (uint64_t)message->offset + 1};
    line->blank = is_blank(line->data, len);
    line->multiline = !line->blank && memchr(line->data, '\n', line->len);
}

static bool read_count(const char **at, const char *end, uint64_t most, uint64_t *count)
{
    const char *begin = *at;

    for (*count = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        unsigned digit = (unsigned)(**at - '0');
        if (*count > (most - digit) / 10)
            return false;
        *count = *count * 10 + digit;
    }
    return *at > begin;
}

bool kafka_header_read(const struct rd_kafka_message_s *message, int32_t *partition,
                       uint64_t *offset)
{
    rd_kafka_headers_t *headers;
    const void *value;
    const char *at, *end;
    uint64_t number;
    size_t len;

    if (rd_kafka_message_headers(message, &headers) ||
        rd_kafka_header_get_last(headers, KAFKA_POSITION_HEADER, &value, &len) || !value)
        return false;
    at = value;
    end = at + len;
    if (!read_count(&at, end, INT32_MAX, &number) || at == end || *at++ != ':')
        return false;
    *partition = (int32_t)number;
    return read_count(&at, end, INT64_MAX, offset) && at == end;
}

int kafka_position_write(int32_t partition, uint64_t offset, char *text)
{
    char *at = digits_put(text, (uint64_t)partition);

    *at++ = ':';
    at = digits_put(at, offset);
    *at = '\0';
    return (int)(at - text);
}
