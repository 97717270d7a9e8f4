/* Of topics the broker knows where they end, and how far the handlers' group is. What it counts as records
 * may be markers of transactions: few of them are told apart by reading. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "deadline.h"
#include "measures.h"
#include "stream/kafka_committed.h"
#include "stream/kafka_cursor.h"

enum {
    ANSWER_MS = 2000, /* for all that brokers are asked, in a scrape */
    READ_RECORDS = 1000 /* of a partition, to be counted */
};

static const enum kafka_role roles[VIEW_LOGS] = {KAFKA_EVENTS, KAFKA_REJECTIONS};

struct topics {
    const char *names[KAFKA_ROLES];
    struct kafka_cursor *cursor;
    int64_t until_ms;
};

static int left_ms(const struct topics *topics)
{
    int64_t left = topics->until_ms - clock_ms();

    return left > 1 ? (int)left : 1;
}

static int64_t timestamp_of(const struct kafka_entry *entry, enum kafka_role role)
{
    struct outcome outcome;
    struct command command;
    struct error error;
    const char *data = entry->line.data;
    size_t len = entry->line.len;

    if (line_fault(&entry->line))
        return TIMESTAMP_NONE;
    if (role == KAFKA_COMMANDS)
        return command_parse(data, len, &command, &error) < 0 ? TIMESTAMP_NONE : command.timestamp;
    return (role == KAFKA_EVENTS ? event_parse : rejection_parse)(data, len, &outcome, &error) < 0
               ? TIMESTAMP_NONE
               : outcome.timestamp;
}

/* Counts what lies between an offset and the end; what is behind READ_RECORDS isn't read. */
static int count_behind(struct topics *topics, enum kafka_role role, int32_t partition,
                        uint64_t offset, uint64_t end, struct lag *lag, struct error *error)
{
    struct kafka_reading *reading;
    struct kafka_entry entry;
    int result;

    *lag = (struct lag){.offset = offset, .timestamp = TIMESTAMP_NONE};
    if (offset >= end)
        return 0;
    if (kafka_reading_start(topics->cursor, topics->names[role], partition, offset, end, &reading,
                            error) < 0)
        return -1;
    kafka_reading_end_at(reading, end);
    while ((result = kafka_reading_next(reading, left_ms(topics), &entry, error)) > 0 &&
           entry.offset < end) {
        if (lag->records++ == 0)
            lag->timestamp = timestamp_of(&entry, role);
        if (lag->records < READ_RECORDS)
            continue;
        lag->records += end - entry.offset - 1;
        break;
    }
    kafka_reading_stop(reading);
    return result < 0 ? -1 : 0;
}

static int measure_partition(struct topics *topics, int32_t number, int64_t committed,
                             const struct view_facts *facts, struct measured *measured,
                             struct error *error)
{
    uint64_t low;

    for (int i = 0; i < VIEW_LOGS; i++) {
        uint64_t next = view_facts_next(facts, (enum view_log)i, number);
        if (kafka_cursor_bounds(topics->cursor, topics->names[roles[i]], number, left_ms(topics), &low,
                                &measured->ends[i], error) < 0 ||
            count_behind(topics, roles[i], number, next > low ? next : low, measured->ends[i],
                         &measured->projected[i], error) < 0)
            return -1;
    }
    if (kafka_cursor_bounds(topics->cursor, topics->names[KAFKA_COMMANDS], number, left_ms(topics),
                            &low, &measured->end, error) < 0)
        return -1;
    return count_behind(topics, KAFKA_COMMANDS, number, committed < 0 ? low : (uint64_t)committed,
                        measured->end, &measured->handled, error);
}

static int measure_all(struct topics *topics, const struct view_facts *facts,
                       struct measures *measures, struct error *error)
{
    int64_t *committed = NULL;
    int result = kafka_committed(KAFKA_COMMANDS, topics->names[KAFKA_COMMANDS], left_ms(topics),
                                 &committed, &measures->count, error);

    if (result == 0) {
        measures->partitions = calloc((size_t)measures->count, sizeof *measures->partitions);
        if (!measures->partitions)
            result = error_memory(error);
    }
    if (result < 0)
        measures->count = 0;
    for (int32_t i = 0; result == 0 && i < measures->count; i++) {
        result = measure_partition(topics, i, committed[i], facts, &measures->partitions[i], error);
        measures->commands += measures->partitions[i].end;
    }
    free(committed);
    measures->counted = measures->outputs = result == 0;
    return result;
}

int measure_topics(struct api *api, const struct view_facts *facts, struct measures *measures,
                   struct error *error)
{
    struct topics topics = {.until_ms = clock_ms() + ANSWER_MS};
    int result;

    topics.names[KAFKA_COMMANDS] = strchr(api->log, ':') + 1;
    for (int i = 0; i < VIEW_LOGS; i++) {
        if (strncmp(api->outputs[i], "kafka:", 6) != 0)
            return error_set(error, EX_CONFIG, "%s is no topic, while the commands are one",
                             api->outputs[i]);
        topics.names[roles[i]] = api->outputs[i] + 6;
    }
    if (kafka_cursor_open(deadline_passed, &topics.cursor, error) < 0)
        return -1;
    result = measure_all(&topics, facts, measures, error);
    kafka_cursor_close(topics.cursor);
    return result;
}
