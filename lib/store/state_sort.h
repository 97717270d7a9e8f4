/* Putting what a checkpoint writes into the order of its keys. For state*.c only. */
#ifndef STORE_STATE_SORT_H
#define STORE_STATE_SORT_H

#include "store/sort.h"
#include "store/state_records.h"

/* Which values changed, in the order of their keys. Zeroed, it can be released. */
struct value_order {
    struct sort_item *items; /* to be freed */
    struct sort_item *sorted;
    size_t count;
    uint32_t *places; /* in `sorted`, counted from 1, by the values' indices; 0: it isn't there */
};

/* Sorts the values that have these indices. -1: no memory. */
int value_order_init(struct value_order *order, const uint32_t *indices, size_t count,
                     const struct table *values);
void value_order_release(struct value_order *order);

/* The number for a command's key: its value's place, which stands for the whole id, and as much of its own
 * id as there is room for. 0 if its value has no place. */
uint64_t value_order_word(const struct value_order *order, const struct command_entry *command);

/* Sorts items of the commands, which have these numbers. Returns where they are: at `items` or right behind
 * them. */
struct sort_item *sort_commands(struct sort_item *items, size_t count,
                                const struct table *commands, const struct table *values);

#endif
