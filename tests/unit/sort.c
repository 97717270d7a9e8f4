#include "store/sort.h"

#include <stdlib.h>

#include "random.h"
#include "tap.h"

/* Equal words by their indices. */
static int by_index(const void *a, const void *b, void *context)
{
    const struct sort_item *one = a, *other = b;

    (void)context;
    return (one->index > other->index) - (one->index < other->index);
}

static int plain(const void *a, const void *b)
{
    const struct sort_item *one = a, *other = b;

    return one->word != other->word ? (one->word > other->word) - (one->word < other->word) : by_index(a, b, NULL);
}

/* Words of which some bytes are all the same and some words are equal, in any order. */
static bool sorts(struct random *random, size_t count)
{
    struct sort_item *items = sort_new(count), *wanted = calloc(count + 1, sizeof *wanted), *sorted;
    uint64_t mask = random_below(random, 2) ? UINT64_MAX : UINT64_C(0xff00000000000007);
    bool result = items && wanted;

    for (size_t i = 0; result && i < count; i++)
        items[i] = wanted[i] = (struct sort_item){
            (random_below(random, UINT32_MAX) << 32 | random_below(random, UINT32_MAX)) & mask,
            (uint32_t)(count - i)};
    if (result) {
        qsort(wanted, count, sizeof *wanted, plain);
        sorted = sort_items(items, count, by_index, NULL);
        for (size_t i = 0; i < count; i++)
            result = result && sorted[i].word == wanted[i].word && sorted[i].index == wanted[i].index;
    }
    free(items);
    free(wanted);
    return result;
}

int main(void)
{
    struct random random = {1};
    size_t few = 0, many = 0;

    while (few < 200 && sorts(&random, few))
        few++;
    ok(few == 200, "few items are sorted as qsort does it: up to %zu", few);
    while (many < 20 && sorts(&random, 200 + (size_t)random_below(&random, 5000)))
        many++;
    ok(many == 20, "and so are many");
    return tap_done();
}
