/* Putting what a checkpoint writes into the order of its keys. For state*.c only. */
#ifndef STORE_STATE_SORT_H
#define STORE_STATE_SORT_H

#include "base/table.h"

/* An entry of a table by its index, and the first bytes of its key as a number. */
struct sort_item {
    uint64_t word;
    uint32_t index;
};

/* Room for so many items, and as many more for sorting them; to be freed. NULL: no memory. */
struct sort_item *sort_new(size_t count);

/* The number for the first eight bytes of an id. */
uint64_t sort_word(const unsigned char *id);

/* Sorts items of the values, or of the commands, whose words are the values'. Returns where they are:
 * at `items` or right behind them. */
struct sort_item *sort_values(struct sort_item *items, size_t count, const struct table *values);
struct sort_item *sort_commands(struct sort_item *items, size_t count,
                                const struct table *commands, const struct table *values);

#endif
