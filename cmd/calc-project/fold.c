#include "fold.h"

#include <stdlib.h>

#include "calc/calculator.h"
#include "calc/projection.h"

struct folded {
    struct id id;
    struct value value;
    int64_t timestamp;
    bool any_next;
};

struct applied {
    struct {
        struct id id;
        uint64_t version;
    } key;
    struct id event;
};

void fold_init(struct fold *fold)
{
    *fold = (struct fold){0};
    table_init(&fold->values, sizeof(struct id), sizeof(struct folded));
    table_init(&fold->history, sizeof((struct applied *)0)->key, sizeof(struct applied));
}

void fold_release(struct fold *fold)
{
    table_release(&fold->values);
    table_release(&fold->history);
}

static int known(struct fold *fold, const struct outcome *event, struct error *error)
{
    struct applied entry = {.key = {event->value_id, event->version}};
    struct applied *there = table_find(&fold->history, &entry.key);
    char id[ID_TEXT];

    if (there && id_equal(&there->event, &event->id))
        return 0;
    id_write(&event->value_id, id);
    return error_set(error, EX_DATAERR,
                     "a fork: version %llu of value %.36s is there already, by another event",
                     (unsigned long long)event->version, id);
}

int fold_apply(struct fold *fold, const struct outcome *event, struct error *error)
{
    struct applied entry = {.key = {event->value_id, event->version}}, *applied;
    struct folded *value;
    char id[ID_TEXT];
    bool created;

    value = table_insert(&fold->values, &event->value_id, &created);
    if (!value)
        return error_memory(error);
    value->any_next |= created && fold->midway;
    switch (projection_judge(value->value.version, event->version,
                             (struct allowance){value->any_next, &fold->unplaced})) {
    case PROJECTION_KNOWN:
        return known(fold, event, error);
    case PROJECTION_GAP:
        id_write(&event->value_id, id);
        return error_set(error, EX_DATAERR,
                         "a gap: version %llu of value %.36s comes after version %llu",
                         (unsigned long long)event->version, id,
                         (unsigned long long)value->value.version);
    case PROJECTION_APPLY:
        break;
    }
    applied = table_insert(&fold->history, &entry.key, &created);
    if (!applied)
        return error_memory(error);
    applied->event = event->id;
    calculator_evolve(&value->value, event);
    value->timestamp = event->timestamp;
    value->any_next = false;
    return 1;
}

int fold_skip(struct fold *fold, const struct outcome *event, struct error *error)
{
    struct folded *value;
    bool created;

    if (!event) {
        fold->unplaced++;
        return 0;
    }
    value = table_insert(&fold->values, &event->value_id, &created);
    if (!value)
        return error_memory(error);
    value->any_next = true;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct id));
}

int fold_write(struct fold *fold, struct buffer *out, struct error *error)
{
    struct folded *value = (struct folded *)fold->values.entries;

    if (fold->values.count) /* the table isn't looked up any more: its entries may move */
        qsort(value, fold->values.count, sizeof *value, by_id);
    for (uint32_t i = 0; i < fold->values.count; i++)
        if (value[i].value.version)
            value_write(&value[i].id, &value[i].value, value[i].timestamp, out);
    return out->failed ? error_memory(error) : 0;
}
