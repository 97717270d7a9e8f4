/* UUIDs (RFC 9562), 16 bytes in network order. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ID_TEXT = 36 }; /* characters of the canonical spelling, without a NUL */

struct id {
    uint8_t bytes[16];
};

/* Reads the 36 characters at text, hyphens in place, either case. Returns 0, or -1 if they are no
 * UUID. The caller has seen to it that 36 characters are there. */
int id_read(const char *text, struct id *id);

/* The same for a text of any length: only exactly 36 characters are a UUID. */
int id_parse(const char *text, size_t len, struct id *id);

/* Writes 36 lower-case characters, no NUL. */
void id_write(const struct id *id, char *text);

/* A new time-ordered id: UUIDv7 with the clock's milliseconds and 74 random bits. */
void id_new(struct id *id);

/* The UUIDv5 of a name under a namespace. */
void id_derive(const struct id *space, const void *name, size_t len, struct id *id);

static inline bool id_equal(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

#endif
