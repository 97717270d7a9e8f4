/* Putting what is written into the order of its keys: numbers first, then who is equal in them. For
 * lib/store only. */
#ifndef STORE_SORT_H
#define STORE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Something by its index, and the first bytes of its key as a number. */
struct sort_item {
    uint64_t word;
    uint32_t index;
};

/* Room for so many items, and as many more for sorting them; to be freed. NULL: no memory. */
struct sort_item *sort_new(size_t count);

/* The number for the first eight bytes of a key. */
uint64_t sort_word(const unsigned char *key);

/* Sorts items by their words, and those with the same one by `compare`, as qsort_r() does. Returns
 * where they are: at `items` or right behind them. */
struct sort_item *sort_items(struct sort_item *items, size_t count,
                             int (*compare)(const void *a, const void *b, void *context),
                             void *context);

#endif
