#include "source.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool/inputs.h"

enum { ANSWER_MS = 60000, KNOWN_MS = 10000, AGAIN_US = 20000 };

/* --- opening --- */

/* A transaction is committed a moment before its records can be seen. */
static int open_topic(struct source *source, uint64_t known, struct error *error)
{
    const char *topic = source->name + strlen("kafka:");
    int64_t deadline = clock_ms() + KNOWN_MS;
    char text[STREAM_POSITION_TEXT];
    uint64_t low;

    for (;;) {
        if (kafka_cursor_bounds(source->cursor, topic, source->partition, ANSWER_MS, &low,
                                &source->end, error) < 0)
            return -1;
        if (source->end >= known || clock_ms() >= deadline)
            break;
        usleep(AGAIN_US);
    }
    if (low == 0)
        return 0;
    return error_set(error, EX_DATAERR, "%s begins at %s: what was before is lost", source->name,
                     source_position(source, low, text));
}

int source_open(struct source *source, const char *name, int32_t partition,
                struct kafka_cursor *cursor, uint64_t known, struct error *error)
{
    *source = (struct source){.name = name, .partition = partition, .cursor = cursor};
    source->is_topic = strncmp(name, "kafka:", 6) == 0;
    if (source->is_topic)
        return open_topic(source, known, error);
    if (reader_open(name, false, &source->reader, error) < 0)
        return -1;
    return reader_bound(source->reader, &source->end, error);
}

void source_close(struct source *source)
{
    reader_close(source->reader);
    kafka_reading_stop(source->reading);
    source->reader = NULL;
    source->reading = NULL;
}

/* --- reading --- */

static int next_of_topic(struct source *source, struct record *record, struct error *error)
{
    struct kafka_entry entry;
    int result;

    if (!source->end)
        return 0;
    if (!source->reading) {
        if (kafka_reading_start(source->cursor, source->name + strlen("kafka:"),
                                source->partition, 0, source->end, &source->reading, error) < 0)
            return -1;
        kafka_reading_end_at(source->reading, source->end);
    }
    result = kafka_reading_next(source->reading, ANSWER_MS, &entry, error);
    if (result > 0)
        *record = (struct record){.line = entry.line,
                                  .key = entry.key,
                                  .key_len = entry.key_len,
                                  .has_position = entry.has_position,
                                  .position_partition = entry.position_partition,
                                  .position = entry.position};
    return result;
}

int source_next(struct source *source, struct record *record, struct error *error)
{
    int result;

    if (source->is_topic) {
        result = next_of_topic(source, record, error);
    } else {
        do {
            result = reader_next(source->reader, &record->line, error);
            if (result == READ_PAUSE)
                inputs_wait(&source->reader, 1);
        } while (result == READ_PAUSE || result == READ_INTERRUPTED);
        result = result == READ_RECORD ? 1 : result == READ_END ? 0 : -1;
    }
    if (result > 0)
        source->next = record->line.end;
    else if (result == 0 && source->end == UINT64_MAX)
        source->end = reader_offset(source->reader);
    return result;
}

/* --- saying where --- */

const char *source_position(const struct source *source, uint64_t offset,
                            char text[STREAM_POSITION_TEXT])
{
    if (source->is_topic)
        snprintf(text, STREAM_POSITION_TEXT, "%d:%llu", (int)source->partition,
                 (unsigned long long)offset);
    else
        snprintf(text, STREAM_POSITION_TEXT, "%llu", (unsigned long long)offset);
    return text;
}

uint64_t source_torn(const struct source *source)
{
    return source->reader ? reader_torn(source->reader) : 0;
}
