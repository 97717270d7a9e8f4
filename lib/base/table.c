#include "base/table.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define TAG UINT64_C(0xffffffff00000000) /* of a slot: the first bits of the hash */

enum {
    FIRST_BITS = 6, /* of the number of slots */
    GIVEN_BACK = 1 << 16 /* slots at a time, a power of two and whole pages */
};

/* --- memory ---
 *
 * Pages from the kernel. They grow without being copied, those that weren't written take nothing, and a
 * part can be given back: a table that grows is never there twice. */

static void *pages_new(size_t bytes)
{
    void *pages =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

static void *pages_grow(void *pages, size_t bytes, size_t wanted)
{
    if (!pages)
        return pages_new(wanted);
    pages = mremap(pages, bytes, wanted, MREMAP_MAYMOVE);
    return pages == MAP_FAILED ? NULL : pages;
}

static void pages_free(void *pages, size_t bytes)
{
    if (pages)
        munmap(pages, bytes);
}

static size_t entries_bytes(const struct table *table, uint64_t count)
{
    return (size_t)count * table->entry_size;
}

static size_t slots_bytes(const struct table *table)
{
    return (size_t)(table->mask + 1) * sizeof *table->slots;
}

void table_init(struct table *table, size_t key_size, size_t entry_size)
{
    *table = (struct table){.key_size = key_size, .entry_size = entry_size};
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) < 0)
        table->seed = (uintptr_t)table;
}

void table_release(struct table *table)
{
    pages_free(table->entries, entries_bytes(table, table->cap));
    pages_free(table->slots, slots_bytes(table));
    *table = (struct table){.key_size = table->key_size, .entry_size = table->entry_size, .seed = table->seed};
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Multiply and fold (W. Yi's wyhash) over the first and the last 16 bytes, which cover the key. */
static uint64_t hash(const struct table *table, const void *key)
{
    const unsigned char *bytes = key;
    uint64_t word[4];

    memcpy(word, bytes, 16);
    memcpy(word + 2, bytes + table->key_size - 16, 16);
    return mix(mix(word[0] ^ table->seed, word[1] ^ UINT64_C(0xa0761d6478bd642f)) ^ word[2],
               word[3] ^ table->seed ^ UINT64_C(0xe7037ed1a0b428db));
}

/* The slot that holds the key, or the free one where it belongs. */
static uint64_t *find_slot(const struct table *table, const void *key, uint64_t hashed)
{
    for (uint64_t at = hashed >> table->shift;; at = (at + 1) & table->mask) {
        uint64_t slot = table->slots[at];
        if (!slot)
            return table->slots + at;
        if ((slot ^ hashed) >> 32 == 0 &&
            memcmp(table_at(table, (uint32_t)slot - 1), key, table->key_size) == 0)
            return table->slots + at;
    }
}

/* Slots are in the order of their hashes' first bits, which they hold, so they stay in their order, and
 * the entries aren't looked at. It begins behind a free one, where no row of them goes around. None gets
 * in the way of one that came before it: the places between two that were free are doubled. What was moved
 * is given back, but for what is left for the end. */
static void move_slots(const struct table *table, uint64_t *slots, uint64_t mask, int shift)
{
    uint64_t from = 0;

    while (table->slots[from])
        from++;
    for (uint64_t i = 1; i <= table->mask; i++) {
        uint64_t old = (from + i) & table->mask, slot = table->slots[old], at;
        if (old % GIVEN_BACK == 0 && old > from + GIVEN_BACK)
            madvise(table->slots + old - GIVEN_BACK, GIVEN_BACK * sizeof slot, MADV_DONTNEED);
        if (!slot)
            continue;
        for (at = (slot & TAG) >> shift; slots[at]; at = (at + 1) & mask)
            ;
        slots[at] = slot;
    }
}

static bool grow_slots(struct table *table)
{
    int shift = table->slots ? table->shift - 1 : 64 - FIRST_BITS;
    uint64_t mask = (UINT64_C(1) << (64 - shift)) - 1;
    uint64_t *slots = shift < 32 ? NULL : pages_new((size_t)(mask + 1) * sizeof *slots);

    if (!slots)
        return false;
    if (table->slots)
        move_slots(table, slots, mask, shift);
    pages_free(table->slots, slots_bytes(table));
    table->slots = slots;
    table->mask = mask;
    table->shift = shift;
    return true;
}

static bool grow_entries(struct table *table)
{
    uint64_t cap = table->cap ? (uint64_t)table->cap + table->cap / 2 : 64;
    unsigned char *entries;

    if (cap > UINT32_MAX - 1)
        return false;
    entries = pages_grow(table->entries, entries_bytes(table, table->cap), entries_bytes(table, cap));
    if (!entries)
        return false;
    table->entries = entries;
    table->cap = (uint32_t)cap;
    return true;
}

void table_prefetch(const struct table *table, const void *key)
{
    if (table->slots)
        __builtin_prefetch(table->slots + (hash(table, key) >> table->shift));
}

uint32_t table_prefetch_entry(const struct table *table, const void *key)
{
    uint64_t hashed = hash(table, key), slot;

    if (!table->slots)
        return table->count;
    for (uint64_t at = hashed >> table->shift; (slot = table->slots[at]); at = (at + 1) & table->mask)
        if ((slot ^ hashed) >> 32 == 0) {
            __builtin_prefetch(table_at(table, (uint32_t)slot - 1));
            return (uint32_t)slot - 1;
        }
    return table->count;
}

void *table_find(const struct table *table, const void *key)
{
    uint64_t slot;

    if (!table->count)
        return NULL;
    slot = *find_slot(table, key, hash(table, key));
    return slot ? table_at(table, (uint32_t)slot - 1) : NULL;
}

void *table_insert(struct table *table, const void *key, bool *created)
{
    uint64_t hashed = hash(table, key), *slot;
    unsigned char *entry;

    *created = false;
    if ((!table->slots || table->count >= (table->mask + 1) / 4 * 3) && !grow_slots(table))
        return NULL;
    slot = find_slot(table, key, hashed);
    if (*slot)
        return table_at(table, (uint32_t)*slot - 1);
    if (table->count == table->cap && !grow_entries(table))
        return NULL;
    entry = table_at(table, table->count++);
    memset(entry, 0, table->entry_size);
    memcpy(entry, key, table->key_size);
    *slot = (hashed & TAG) | table->count;
    *created = true;
    return entry;
}

/* The entry that came last stands in nobody's way: no other was moved on because of it. */
void table_truncate(struct table *table, uint32_t count)
{
    while (table->count > count) {
        const void *last = table_at(table, table->count - 1);
        *find_slot(table, last, hash(table, last)) = 0;
        table->count--;
    }
}
