#include "source.h"

#include <stdio.h>
#include <stdlib.h>

#include "calc/message.h"
#include "tool/stats.h"

static void digest(const char *record, size_t len, struct id *id)
{
    id_derive(&calc_namespace, record, len, id);
}

/* A position as the log writes it. */
static const char *place(const struct source *source, int32_t partition, uint64_t offset,
                         char text[STREAM_POSITION_TEXT])
{
    struct line line = {.partition = partition, .start = offset};

    reader_position(source->reader, &line, text);
    return text;
}

static int other_count(const struct source *source, int32_t known, struct error *error)
{
    return error_set(error, EX_CONFIG,
                     "%s has %d partitions, and the view was folded from %d: those that were added "
                     "split the histories of values. Make new topics and write the commands again",
                     reader_name(source->reader), source->count, known);
}

/* Takes over what the view knows of the log. */
static int resume(struct source *source, struct view *view, struct error *error)
{
    struct view_txn *txn;
    int32_t known;
    int result;

    if (view_snapshot(view, &txn, error) < 0)
        return -1;
    result = view_get_partitions(txn, source->log, &known, error);
    source->counted = known != 0;
    if (result == 0 && known && known != source->count)
        result = other_count(source, known, error);
    for (int32_t i = 0; result == 0 && i < source->count; i++) {
        struct source_partition *partition = &source->partitions[i];
        result = view_get_position(txn, source->log, i, &partition->position, error);
        if (!partition->position.begun)
            continue;
        partition->phase = CHECK_FIRST;
        source->unchecked++;
    }
    view_abort(txn);
    return result;
}

int source_open(struct source *source, const char *name, bool follow, struct view *view,
                struct error *error)
{
    if (reader_open(name, follow, &source->reader, error) < 0)
        return -1;
    source->count = reader_partitions(source->reader);
    source->partitions = calloc((size_t)source->count, sizeof *source->partitions);
    if (!source->partitions)
        return error_memory(error);
    for (int32_t i = 0; i < source->count; i++)
        source->partitions[i].phase = CHECKED;
    return view ? resume(source, view, error) : 0;
}

void source_close(struct source *source)
{
    reader_close(source->reader);
    for (int32_t i = 0; source->partitions && i < source->count; i++)
        buffer_release(&source->partitions[i].last);
    free(source->partitions);
}

static int other_log(const struct source *source, const struct line *record, struct error *error)
{
    char text[STREAM_POSITION_TEXT];

    return error_set(error, EX_DATAERR,
                     "%s is another log than the one that the view was folded from: the record "
                     "at %s is not the one it knows; nothing was changed",
                     reader_name(source->reader),
                     place(source, record->partition, record->start, text));
}

static int checked(struct source *source, struct source_partition *partition,
                   struct error *error)
{
    partition->phase = CHECKED;
    if (--source->unchecked)
        return 0;
    for (int32_t i = 0; i < source->count; i++)
        if (source->partitions[i].held &&
            reader_seek(source->reader, i, source->partitions[i].hold, error) < 0)
            return -1;
    return 0;
}

/* Checks a record that was consumed in an earlier run, while any is unchecked. */
static int check(struct source *source, const struct line *record, struct error *error)
{
    struct source_partition *partition = &source->partitions[record->partition];
    struct view_position *position = &partition->position;
    struct id found;

    if (partition->phase == CHECKED) {
        if (!partition->held)
            partition->hold = record->start;
        partition->held = true;
        return 0;
    }
    digest(record->data, record->len, &found);
    if (partition->phase == CHECK_FIRST) {
        if (!id_equal(&found, &position->first_digest))
            return other_log(source, record, error);
        partition->phase = CHECK_LAST;
        if (record->start < position->last)
            return reader_seek(source->reader, record->partition, position->last, error);
    }
    if (record->start < position->last)
        return 0;
    if (record->start != position->last || record->end != position->next ||
        !id_equal(&found, &position->last_digest))
        return other_log(source, record, error);
    return checked(source, partition, error);
}

static int check_ends(const struct source *source, struct error *error)
{
    char text[STREAM_POSITION_TEXT];

    for (int32_t i = 0; i < source->count; i++)
        if (source->partitions[i].phase != CHECKED && reader_ended(source->reader, i))
            return error_set(error, EX_DATAERR,
                             "%s ends before %s, which the view has reached; nothing was changed",
                             reader_name(source->reader),
                             place(source, i, source->partitions[i].position.next, text));
    return 0;
}

int source_next(struct source *source, struct line *record, struct error *error)
{
    int result;

    do {
        bool unchecked = source->unchecked > 0;
        result = reader_next(source->reader, record, error);
        if (result < 0 || !unchecked)
            return result;
        if ((result == READ_RECORD && check(source, record, error) < 0) ||
            check_ends(source, error) < 0)
            return -1;
    } while (result == READ_RECORD);
    return result;
}

size_t source_place(const struct source *source, char *text, size_t room, uint64_t *behind)
{
    char at[STREAM_POSITION_TEXT];
    size_t len = 0;

    for (int32_t i = 0; i < source->count; i++) {
        uint64_t next = source->partitions[i].position.next;
        uint64_t end = reader_known_end(source->reader, i);
        if (len < room)
            len += (size_t)snprintf(text + len, room - len, " %s", place(source, i, next, at));
        if (reader_ended(source->reader, i))
            continue;
        if (end == UINT64_MAX || *behind == UINT64_MAX)
            *behind = UINT64_MAX;
        else
            *behind += end > next ? end - next : 0;
    }
    return len < room ? len : room - 1;
}

/* How far a partition is behind; UINT64_MAX: unknown. */
static uint64_t left_of(const struct source *source, int32_t number)
{
    uint64_t next = source->partitions[number].position.next;
    uint64_t end = reader_is_file(source->reader) ? reader_end(source->reader, number)
                                                  : reader_known_end(source->reader, number);

    if (reader_ended(source->reader, number) && !reader_is_file(source->reader))
        return 0;
    return end == UINT64_MAX ? end : end > next ? end - next : 0;
}

void source_write_positions(const struct source *source, struct buffer *out)
{
    buffer_append_text(out, "{");
    for (int32_t i = 0; i < source->count; i++)
        buffer_printf(out, "%s\"%d\":%llu", i ? "," : "", (int)i,
                      (unsigned long long)source->partitions[i].position.next);
    buffer_append_text(out, "}");
}

void source_write_lags(const struct source *source, struct buffer *out)
{
    const char *unit = reader_is_file(source->reader) ? "bytes" : "records";
    bool any = false;

    buffer_append_text(out, "{");
    for (int32_t i = 0; i < source->count; i++) {
        uint64_t left = left_of(source, i);
        if (left == UINT64_MAX)
            continue;
        buffer_printf(out, "%s\"%d\":{\"%s\":%llu,\"seconds\":", any ? "," : "", (int)i, unit,
                      (unsigned long long)left);
        stats_age(out, left ? source->timestamp : TIMESTAMP_NONE);
        buffer_append_text(out, "}");
        any = true;
    }
    buffer_append_text(out, "}");
}

/* What lies between the positions and where the partitions end, by that function. */
static uint64_t left(const struct source *source,
                     uint64_t (*end_of)(const struct reader *reader, int32_t partition))
{
    uint64_t sum = 0;

    for (int32_t i = 0; i < source->count; i++) {
        uint64_t end = end_of(source->reader, i), next = source->partitions[i].position.next;
        if (end != UINT64_MAX && end > next)
            sum += end - next;
    }
    return sum;
}

uint64_t source_left(const struct source *source)
{
    return left(source, reader_end);
}

uint64_t source_ahead(const struct source *source, const struct line *record)
{
    uint64_t sum = left(source, reader_known_end);

    return reader_is_file(source->reader) ? sum / (record->end - record->start) : sum;
}

void source_taken(struct source *source, const struct line *record)
{
    struct source_partition *partition = &source->partitions[record->partition];
    struct view_position *position = &partition->position;

    if (!position->begun)
        digest(record->data, record->len, &position->first_digest);
    position->begun = true;
    position->last = record->start;
    position->next = record->end;
    partition->taken = true;
    partition->last.len = 0;
    buffer_append(&partition->last, record->data, record->len);
}

static bool any_taken(const struct source *source)
{
    for (int32_t i = 0; i < source->count; i++)
        if (source->partitions[i].taken)
            return true;
    return false;
}

/* The log comes first: the view doesn't outlive its cause. */
int source_keep(struct source *source, struct view_txn *txn, struct error *error)
{
    if (!any_taken(source))
        return 0;
    if (reader_sync(source->reader, error) < 0 ||
        (!source->counted && view_set_partitions(txn, source->log, source->count, error) < 0))
        return -1;
    for (int32_t i = 0; i < source->count; i++) {
        struct source_partition *partition = &source->partitions[i];
        if (!partition->taken)
            continue;
        if (partition->last.failed)
            return error_memory(error);
        digest(partition->last.data, partition->last.len, &partition->position.last_digest);
        if (view_set_position(txn, source->log, i, &partition->position, error) < 0)
            return -1;
    }
    return 0;
}

void source_kept(struct source *source)
{
    if (!any_taken(source))
        return;
    source->counted = true;
    for (int32_t i = 0; i < source->count; i++) {
        struct source_partition *partition = &source->partitions[i];
        if (partition->taken && !source->quiet)
            reader_publish(source->reader, i, partition->position.next);
        partition->taken = false;
    }
}

/* --- beside a view in use --- */

static bool is_behind(const struct source_partition *partition)
{
    return partition->mark.begun &&
           (!partition->position.begun || partition->position.next < partition->mark.next);
}

int source_mark(struct source *source, struct view_txn *in_use, struct error *error)
{
    int32_t known = 0;

    if (in_use && view_get_partitions(in_use, source->log, &known, error) < 0)
        return -1;
    if (known && known != source->count)
        return other_count(source, known, error);
    source->marked_end = !in_use;
    for (int32_t i = 0; i < source->count; i++) {
        struct source_partition *partition = &source->partitions[i];
        partition->mark = (struct view_position){0};
        if (!in_use) {
            partition->end = reader_end(source->reader, i);
            continue;
        }
        if (view_get_position(in_use, source->log, i, &partition->mark, error) < 0)
            return -1;
        /* the end that a topic's partition was at may be one of long before the mark */
        if (is_behind(partition) && !reader_is_file(source->reader) && !source->ended &&
            reader_ended(source->reader, i) &&
            reader_seek(source->reader, i, partition->position.next, error) < 0)
            return -1;
    }
    return 0;
}

static int not_the_log(const struct source *source, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "%s is another log than the one that the view in use was folded from; that "
                     "one stays in use",
                     reader_name(source->reader));
}

static int reached(const struct source *source, int32_t number, struct error *error)
{
    const struct source_partition *partition = &source->partitions[number];
    const struct view_position *position = &partition->position, *mark = &partition->mark;
    char text[STREAM_POSITION_TEXT];

    if (source->marked_end)
        return position->next >= partition->end || reader_ended(source->reader, number);
    if (mark->begun && position->begun &&
        (!id_equal(&mark->first_digest, &position->first_digest) ||
         (mark->next == position->next && !id_equal(&mark->last_digest, &position->last_digest))))
        return not_the_log(source, error);
    if (is_behind(partition) && reader_ended(source->reader, number))
        return error_set(error, EX_DATAERR,
                         "%s ends before %s, which the view in use has reached; that one stays in use",
                         reader_name(source->reader), place(source, number, mark->next, text));
    return !is_behind(partition);
}

int source_reached(const struct source *source, struct error *error)
{
    for (int32_t i = 0; i < source->count; i++) {
        int result = reached(source, i, error);
        if (result <= 0)
            return result;
    }
    return 1;
}
