#include "store/state_sort.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/state_records.h"

struct tables {
    const struct table *commands, *values;
};

struct sort_item *sort_new(size_t count)
{
    return malloc((2 * count + 1) * sizeof(struct sort_item));
}

uint64_t sort_word(const unsigned char *id)
{
    uint64_t word;

    get_u64(id, &word);
    return word;
}

/* Byte by byte, from the last one (LSD radix sort). Ids of one time begin with the same bytes, which
 * are passed over. */
static struct sort_item *sort_by_word(struct sort_item *items, size_t count)
{
    enum { BYTES = 8, SIZE = 256 };
    struct sort_item *spare = items + count, *swapped;
    size_t counts[BYTES][SIZE] = {{0}};

    for (size_t i = 0; i < count; i++)
        for (int byte = 0; byte < BYTES; byte++)
            counts[byte][items[i].word >> 8 * byte & 0xff]++;
    for (int byte = 0; byte < BYTES; byte++) {
        size_t places[SIZE], sum = 0;
        if (count == 0 || counts[byte][items[0].word >> 8 * byte & 0xff] == count)
            continue;
        for (int i = 0; i < SIZE; i++) {
            places[i] = sum;
            sum += counts[byte][i];
        }
        for (size_t i = 0; i < count; i++)
            spare[places[items[i].word >> 8 * byte & 0xff]++] = items[i];
        swapped = items;
        items = spare;
        spare = swapped;
    }
    return items;
}

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

/* Those with equal words get their order. Mostly they have it: ids grow. */
static struct sort_item *sort(struct sort_item *items, size_t count, struct tables *tables,
                              int (*compare)(const void *a, const void *b, void *context))
{
    struct sort_item *sorted = sort_by_word(items, count);

    for (size_t i = 0, end; i < count; i = end) {
        bool ordered = true;
        for (end = i + 1; end < count && sorted[end].word == sorted[i].word; end++)
            ordered = ordered && compare(sorted + end - 1, sorted + end, tables) <= 0;
        if (!ordered)
            qsort_r(sorted + i, end - i, sizeof *sorted, compare, tables);
    }
    return sorted;
}

struct sort_item *sort_values(struct sort_item *items, size_t count, const struct table *values)
{
    return sort(items, count, &(struct tables){NULL, values}, by_value);
}

struct sort_item *sort_commands(struct sort_item *items, size_t count,
                                const struct table *commands, const struct table *values)
{
    return sort(items, count, &(struct tables){commands, values}, by_command);
}
