#include "store/sort.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { FEW = 32 };

struct sort_item *sort_new(size_t count)
{
    return malloc((2 * count + 1) * sizeof(struct sort_item));
}

uint64_t sort_word(const unsigned char *key)
{
    uint64_t word;

    get_u64(key, &word);
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

/* Of so few that counting would cost more. */
static struct sort_item *insert_by_word(struct sort_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sort_item item = items[i];
        size_t at = i;
        for (; at > 0 && items[at - 1].word > item.word; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
    return items;
}

/* Those with equal words get their order. Mostly they have it: ids grow. */
struct sort_item *sort_items(struct sort_item *items, size_t count,
                             int (*compare)(const void *a, const void *b, void *context),
                             void *context)
{
    struct sort_item *sorted = count <= FEW ? insert_by_word(items, count) : sort_by_word(items, count);

    for (size_t i = 0, end; i < count; i = end) {
        bool ordered = true;
        for (end = i + 1; end < count && sorted[end].word == sorted[i].word; end++)
            ordered = ordered && compare(sorted + end - 1, sorted + end, context) <= 0;
        if (!ordered)
            qsort_r(sorted + i, end - i, sizeof *sorted, compare, context);
    }
    return sorted;
}
