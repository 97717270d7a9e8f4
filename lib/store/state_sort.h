/* Putting what a checkpoint writes into the order of its keys. For state*.c only. */
#ifndef STORE_STATE_SORT_H
#define STORE_STATE_SORT_H

#include "base/table.h"
#include "store/sort.h"

/* Sorts items of the values, or of the commands, whose words are the values'. Returns where they are:
 * at `items` or right behind them. */
struct sort_item *sort_values(struct sort_item *items, size_t count, const struct table *values);
struct sort_item *sort_commands(struct sort_item *items, size_t count,
                                const struct table *commands, const struct table *values);

#endif
