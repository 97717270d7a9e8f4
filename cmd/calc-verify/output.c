#include "output.h"

#include <string.h>

enum { SHOWN_BYTES = 290 };

static int shown(size_t len)
{
    return (int)(len > SHOWN_BYTES ? SHOWN_BYTES : len);
}

/* Looks at the next record: no handler writes blank ones. */
static int look_ahead(struct output *output, struct error *error)
{
    struct source *source = &output->source;
    char text[STREAM_POSITION_TEXT];
    uint64_t before = source->next;
    int result = source_next(source, &output->next, error);

    output->begun = true;
    output->ended = result == 0;
    if (result < 0)
        return -1;
    if (result > 0 && (source->is_topic ? !output->next.line.blank
                                        : output->next.line.start == before))
        return 0;
    if (result == 0 && (source->is_topic || source->end == before))
        return 0;
    return error_set(error, EX_DATAERR, "%s at %s is blank, which no handler writes", source->name,
                     source_position(source, source->is_topic ? output->next.line.start : before,
                                     text));
}

static int differs(const struct output *output, const struct derived *derived,
                   struct error *error)
{
    const struct line *found = &output->next.line;
    char text[STREAM_POSITION_TEXT];
    size_t same = 0;

    while (same < found->len && same < derived->len && found->data[same] == derived->line[same])
        same++;
    return error_set(error, EX_DATAERR,
                     "%s at %s is not what the commands derive, from its byte %zu on\n"
                     "  command: at %s\n  derived: %.*s\n  found:   %.*s",
                     output->source.name, source_position(&output->source, found->start, text),
                     same, derived->position, shown(derived->len), derived->line,
                     shown(found->len), found->data);
}

/* The key of an outcome in a topic is its value's id, or that of the record that is no command. */
static bool has_key(const struct record *found, const struct derived *derived)
{
    const void *key = derived->command->key;
    size_t len = derived->command->key_len;
    char id[ID_TEXT];

    if (derived->outcome->reason != REASON_MALFORMED) {
        id_write(&derived->outcome->value_id, id);
        key = id;
        len = sizeof id;
    }
    return !found->key == !key && found->key_len == len && (!key || !memcmp(found->key, key, len));
}

/* What a record of a topic has besides its line. */
static int compare_headers(const struct output *output, const struct derived *derived,
                           struct error *error)
{
    const struct record *found = &output->next;
    char text[STREAM_POSITION_TEXT];

    source_position(&output->source, found->line.start, text);
    if (!found->has_position || found->position_partition != derived->command->line.partition ||
        found->position != derived->command->line.start)
        return error_set(error, EX_DATAERR,
                         "%s at %s has the right line and a wrong header position\n"
                         "  derived: %s\n  found:   %d:%llu%s",
                         output->source.name, text, derived->position,
                         (int)found->position_partition, (unsigned long long)found->position,
                         found->has_position ? "" : " (none)");
    if (!has_key(found, derived))
        return error_set(error, EX_DATAERR,
                         "%s at %s has the right line and a wrong key\n  command: at %s\n"
                         "  found:   %.*s",
                         output->source.name, text, derived->position,
                         found->key ? shown(found->key_len) : 0,
                         found->key ? (const char *)found->key : "");
    return 0;
}

static void miss(struct output *output, const struct derived *derived)
{
    if (output->missing++ == 0)
        output->missing_from = derived->command->line.start;
}

int output_take(struct output *output, const struct derived *derived, uint64_t *start,
                struct error *error)
{
    const struct line *found = &output->next.line;
    bool is_topic = output->source.is_topic;

    if (output->given && !output->begun && look_ahead(output, error) < 0)
        return -1;
    *start = is_topic ? UINT64_MAX : output->end;
    if (!output->given || output->ended) {
        output->end += is_topic ? 0 : derived->len + 1;
        miss(output, derived);
        return 0;
    }
    if (found->oversize || found->len != derived->len ||
        memcmp(found->data, derived->line, derived->len) != 0)
        return differs(output, derived, error);
    if (is_topic && compare_headers(output, derived, error) < 0)
        return -1;
    *start = found->start;
    output->end = found->end;
    output->count++;
    return look_ahead(output, error);
}

int output_finish(struct output *output, struct error *error)
{
    char text[STREAM_POSITION_TEXT];

    if (!output->given || (!output->begun && look_ahead(output, error) < 0))
        return output->given ? -1 : 0;
    if (output->ended)
        return 0;
    return error_set(error, EX_DATAERR,
                     "%s at %s goes on behind everything that the commands derive\n  found:   %.*s",
                     output->source.name,
                     source_position(&output->source, output->next.line.start, text),
                     shown(output->next.line.len), output->next.line.data);
}
