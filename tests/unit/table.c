#include "base/table.h"

#include <stdlib.h>

#include "random.h"
#include "tap.h"

enum { KEYS = 20000, PAYLOAD = 12 };

struct known {
    unsigned char key[32];
    uint32_t index;
};

static size_t key_size;

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, key_size);
}

/* Keys that differ only in a few bytes, at one end or the other. */
static void make_key(struct random *random, int kind, unsigned char *key)
{
    uint32_t number = (uint32_t)random_below(random, KEYS);

    memset(key, kind, 32);
    memcpy(key + (kind % 2 ? 0 : key_size - sizeof number), &number, sizeof number);
}

/* One insertion into both. */
static int insert(struct table *table, struct known *known, size_t *count, const void *key)
{
    static const unsigned char zero[PAYLOAD];
    struct known wanted = {{0}, 0}, *there;
    bool created;
    unsigned char *entry = table_insert(table, key, &created);

    memcpy(wanted.key, key, key_size);
    there = bsearch(&wanted, known, *count, sizeof *known, compare);
    if (there)
        return wrong(!created && table_index(table, entry) == there->index &&
                         entry[key_size] == 0xaa,
                     "entry %u moved", there->index);
    if (wrong(created && table_index(table, entry) == table->count - 1 &&
                  memcmp(entry, key, key_size) == 0 && memcmp(entry + key_size, zero, PAYLOAD) == 0,
              "a new entry is not new"))
        return 1;
    memset(entry + key_size, 0xaa, PAYLOAD);
    wanted.index = table_index(table, entry);
    size_t at = *count;
    for (size_t low = 0, high = *count; low < high;) {
        size_t middle = (low + high) / 2;
        if (compare(&known[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
        at = high;
    }
    memmove(known + at + 1, known + at, (*count - at) * sizeof *known);
    known[at] = wanted;
    ++*count;
    return 0;
}

static void test_model(size_t size, int kind)
{
    struct random random = {size};
    struct known *known = calloc(KEYS + 1, sizeof *known);
    unsigned char key[32];
    struct table table;
    size_t count = 0;
    int bad = 0;

    key_size = size;
    table_init(&table, size, size + PAYLOAD);
    for (int i = 0, tries = often(12000); i < tries; i++) {
        make_key(&random, kind, key);
        bad += insert(&table, known, &count, key);
    }
    for (int i = 0, tries = often(12000); i < tries; i++) {
        struct known *there, wanted = {{0}, 0};
        unsigned char *found;
        make_key(&random, kind, wanted.key);
        there = bsearch(&wanted, known, count, sizeof *known, compare);
        found = table_find(&table, wanted.key);
        bad += wrong(there ? found && table_index(&table, found) == there->index : !found,
                     "a key is found, or not, wrongly");
    }
    bad += wrong(table.count == count, "%u entries, not %zu", table.count, count);
    ok(!bad, "a table of keys of %zu bytes, alike but for %s, is what a sorted array is", size,
       kind % 2 ? "their beginning" : "their end");
    table_release(&table);
    free(known);
}

/* Entries come and the last ones go, while the table grows: those that are left are found, no others. */
static void test_truncate(void)
{
    enum { MOST = 30000 };
    struct random random = {3};
    struct table table;
    unsigned char key[16];
    bool created;
    uint64_t first = 1;
    uint64_t *numbers = calloc(MOST, sizeof *numbers);
    int bad = 0;

    table_init(&table, sizeof key, sizeof key);
    memset(key, 0, sizeof key);
    for (int turn = 0, turns = often(20000); turn < turns; turn++) {
        uint32_t before = table.count, some = (uint32_t)random_below(&random, 40), kept;
        for (uint32_t i = 0; i < some && table.count < MOST; i++) {
            numbers[table.count] = first++;
            memcpy(key, &numbers[table.count], sizeof *numbers);
            bad += wrong(table_insert(&table, key, &created) && created, "%llu was there",
                         (unsigned long long)first - 1);
        }
        kept = before > 20 && random_below(&random, 50) == 0
                   ? (uint32_t)random_below(&random, before)
                   : before + (uint32_t)random_below(&random, table.count - before + 1);
        before = table.count;
        table_truncate(&table, kept);
        for (uint32_t i = 0; i < 40; i++) {
            uint32_t at = before ? (uint32_t)random_below(&random, before) : 0;
            const void *found;
            memcpy(key, &numbers[at], sizeof *numbers);
            found = table_find(&table, key);
            bad += wrong(at < kept ? found && table_index(&table, found) == at : !found,
                         "entry %u of %u, turn %d", at, kept, turn);
        }
    }
    ok(!bad, "when the last ones go, the others are found, and only they");
    table_release(&table);
    free(numbers);
}

/* Small tables that have just grown, often with a row that went around the end: emptied one by one from
 * behind, which finds out an entry that got in the way of one before it. */
static void test_truncate_grown(void)
{
    enum { JUST = 49 }; /* the first growth */
    struct random random = {4};
    int bad = 0;

    for (int i = 0, tables = often(1000); i < tables; i++) {
        unsigned char key[16] = {0};
        struct table table;
        bool created;
        table_init(&table, sizeof key, sizeof key);
        table.seed = random_u64(&random);
        for (uint32_t number = 0; number < JUST; number++) {
            memcpy(key, &number, sizeof number);
            bad += wrong(table_insert(&table, key, &created) && created, "%u was there", number);
        }
        for (uint32_t left = JUST; left-- > 0;) {
            table_truncate(&table, left);
            for (uint32_t number = 0; number < JUST; number++) {
                const void *found;
                memcpy(key, &number, sizeof number);
                found = table_find(&table, key);
                bad += wrong(number < left ? found && table_index(&table, found) == number : !found,
                             "entry %u of %u, table %d", number, left, i);
            }
        }
        table_release(&table);
    }
    ok(!bad, "nor are they lost by a table that has just grown");
}

static void test_empty(void)
{
    struct table table;
    unsigned char key[16] = {0};
    bool created;

    table_init(&table, 16, 16);
    ok(!table_find(&table, key), "an empty table finds nothing");
    ok(table_insert(&table, key, &created) && created && table_find(&table, key),
       "a key of zeros is a key");
    table_release(&table);
    ok(!table_find(&table, key) && !table.count, "a released table is empty");
    ok(table_insert(&table, key, &created) && created, "and can be used again");
    table_release(&table);
}

int main(void)
{
    for (size_t size = 16; size <= 32; size += 4) {
        test_model(size, 0);
        test_model(size, 1);
    }
    test_truncate();
    test_truncate_grown();
    test_empty();
    return tap_done();
}
