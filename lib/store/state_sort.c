#include "store/state_sort.h"

#include <stdlib.h>
#include <string.h>


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

int value_order_init(struct value_order *order, const uint32_t *indices, size_t count,
                     const struct table *values)
{
    struct tables tables = {NULL, values};

    *order = (struct value_order){.items = sort_new(count), .count = count,
                                  .places = calloc((size_t)values->count + 1, sizeof(uint32_t))};
    if (!order->items || !order->places)
        return -1;
    for (size_t i = 0; i < count; i++)
        order->items[i] = (struct sort_item){sort_word(table_at(values, indices[i])), indices[i]};
    order->sorted = sort_items(order->items, count, by_value, &tables);
    for (size_t i = 0; i < count; i++)
        order->places[order->sorted[i].index] = (uint32_t)i + 1;
    return 0;
}

void value_order_release(struct value_order *order)
{
    free(order->items);
    free(order->places);
}

uint64_t value_order_word(const struct value_order *order, const struct command_entry *command)
{
    int bits = __builtin_clzll(order->count | 1); /* that no place needs */
    uint64_t place = order->places[command->key.value];

    return place ? place << bits | sort_word(command->key.id.bytes) >> (64 - bits) : 0;
}

struct sort_item *sort_commands(struct sort_item *items, size_t count,
                                const struct table *commands, const struct table *values)
{
    return sort_items(items, count, by_command, &(struct tables){commands, values});
}
