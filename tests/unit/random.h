/* Random numbers that are the same in every run, so that a failure comes again: xorshift64* (S.
 * Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"). */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"

struct random {
    uint64_t state; /* not 0 */
};

/* With CHECK_SLOW=1 everything is slowed down, by the tool that it runs under. */
static inline bool slow(void)
{
    const char *is = getenv("CHECK_SLOW");

    return is && *is == '1';
}

/* How often to try what is tried on random input: as often as that, or slowly a hundredth of it. */
static inline int often(int count)
{
    return slow() ? count / 100 : count;
}

/* The same for what takes long each time. */
static inline int some(int count)
{
    return slow() ? count / 10 : count;
}

static inline uint64_t random_u64(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* From 0 to below - 1. */
static inline uint64_t random_below(struct random *random, uint64_t below)
{
    return (random_u64(random) >> 11) % below;
}

static inline double random_double(struct random *random)
{
    double number;
    uint64_t bits;

    do
        bits = random_u64(random);
    while ((bits >> 52 & 0x7ff) == 0x7ff); /* infinite, or none */
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline void random_id(struct random *random, struct id *id)
{
    uint64_t half[2] = {random_u64(random), random_u64(random)};

    memcpy(id->bytes, half, sizeof id->bytes);
}

#endif
