/* A hash table of fixed-size entries that begin with their key.
 *
 * Entries stand densely in an array in the order they came, and are named by their index, which
 * never changes; pointers to them are good until the next insertion. Only those that came last can
 * be removed again. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
    size_t key_size, entry_size; /* bytes; a key is 16 to 32 and begins its entry */
    uint32_t count;
    uint32_t cap;
    unsigned char *entries;
    uint64_t *slots; /* high half of the hash, index + 1; 0 is free */
    uint64_t mask;   /* slots - 1 */
    int shift;       /* a hash begins with the number of its first slot: what is behind that; bits */
    uint64_t seed;   /* random, so that clients can't choose colliding ids */
};

/* An empty table; takes no memory yet. */
void table_init(struct table *table, size_t key_size, size_t entry_size);
void table_release(struct table *table);

/* The entry with this key, or NULL. */
void *table_find(const struct table *table, const void *key);

/* The entry with this key, made with everything behind the key zeroed if it wasn't there (*created
 * tells). NULL when memory ran out. */
void *table_insert(struct table *table, const void *key, bool *created);

/* Looking up is waiting for memory. The first asks for what looking for a key begins with, so that it is
 * there a moment later; the second does the same with the entry that may have the key (nothing but the
 * look itself tells), and says its index, or `count` if none has. */
void table_prefetch(const struct table *table, const void *key);
uint32_t table_prefetch_entry(const struct table *table, const void *key);

/* Removes the entries that came last, so that `count` are left. */
void table_truncate(struct table *table, uint32_t count);

static inline void *table_at(const struct table *table, uint32_t index)
{
    return table->entries + (size_t)index * table->entry_size;
}

static inline uint32_t table_index(const struct table *table, const void *entry)
{
    return (uint32_t)((size_t)((const unsigned char *)entry - table->entries) / table->entry_size);
}

#endif
