#include "store/state_sort.h"

#include <string.h>

#include "store/state_records.h"

struct tables {
    const struct table *commands, *values;
};

static int by_value(const void *a, const void *b, void *context)
{
    const struct sort_item *one = a, *other = b;
    const struct table *values = ((const struct tables *)context)->values;

    return memcmp(table_at(values, one->index), table_at(values, other->index),
                  sizeof(struct id));
}

static int by_command(const void *a, const void *b, void *context)
{
    const struct tables *tables = context;
    const struct sort_item *one = a, *other = b;
    const struct command_entry *first = table_at(tables->commands, one->index),
                               *second = table_at(tables->commands, other->index);
    int order = 0;

    if (first->key.value != second->key.value)
        order = memcmp(table_at(tables->values, first->key.value),
                       table_at(tables->values, second->key.value), sizeof(struct id));
    return order ? order
                 : memcmp(first->key.id.bytes, second->key.id.bytes, sizeof first->key.id.bytes);
}

struct sort_item *sort_values(struct sort_item *items, size_t count, const struct table *values)
{
    return sort_items(items, count, by_value, &(struct tables){NULL, values});
}

struct sort_item *sort_commands(struct sort_item *items, size_t count,
                                const struct table *commands, const struct table *values)
{
    return sort_items(items, count, by_command, &(struct tables){commands, values});
}
