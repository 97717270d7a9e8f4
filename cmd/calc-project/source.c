#include "source.h"

#include "calc/message.h"

static void digest(const char *record, size_t len, struct id *id)
{
    id_derive(&calc_namespace, record, len, id);
}

int source_open(struct source *source, const char *name, bool follow, struct error *error)
{
    if (!source->position.begun)
        source->phase = CHECKED;
    return reader_open(name, follow, &source->reader, error);
}

void source_close(struct source *source)
{
    reader_close(source->reader);
    buffer_release(&source->last);
}

static int other_log(const struct source *source, uint64_t offset, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "%s is another log than the one that the view was folded from: the record "
                     "at %llu is not the one it knows; nothing was changed",
                     reader_name(source->reader), (unsigned long long)offset);
}

/* Checks a record that was consumed in an earlier run. */
static int check(struct source *source, const struct line *record, struct error *error)
{
    struct view_position *position = &source->position;
    struct id found;

    digest(record->data, record->len, &found);
    if (source->phase == CHECK_FIRST) {
        if (!id_equal(&found, &position->first_digest))
            return other_log(source, record->start, error);
        source->phase = CHECK_LAST;
        if (record->start < position->last &&
            reader_seek(source->reader, 0, position->last, error) < 0)
            return -1;
    }
    if (record->start < position->last)
        return 0;
    if (record->start != position->last || record->end != position->next ||
        !id_equal(&found, &position->last_digest))
        return other_log(source, record->start, error);
    source->phase = CHECKED;
    return 0;
}

int source_next(struct source *source, struct line *record, struct error *error)
{
    int result;

    while ((result = reader_next(source->reader, record, error)) == READ_RECORD) {
        if (source->phase == CHECKED)
            return READ_RECORD;
        if (check(source, record, error) < 0)
            return -1;
    }
    if (source->phase != CHECKED &&
        (result == READ_END || (result == READ_PAUSE && reader_is_file(source->reader))))
        return error_set(error, EX_DATAERR,
                         "%s ends before %llu, which the view has reached; nothing was changed",
                         reader_name(source->reader),
                         (unsigned long long)source->position.next);
    return result;
}

void source_taken(struct source *source, const struct line *record)
{
    struct view_position *position = &source->position;

    if (!position->begun)
        digest(record->data, record->len, &position->first_digest);
    position->begun = true;
    position->last = record->start;
    position->next = record->end;
    source->last.len = 0;
    buffer_append(&source->last, record->data, record->len);
}

void source_position(struct source *source)
{
    digest(source->last.data, source->last.len, &source->position.last_digest);
}
