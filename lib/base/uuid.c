/* Ids that are made. The one place that knows libuuid and nettle; apart from id.c, so that who only reads
 * and writes ids starts without them. */
#include <nettle/sha1.h>
#include <sys/random.h>
#include <time.h>
#include <uuid/uuid.h>

#include "base/bytes.h"
#include "base/id.h"

/* Random bits for an id. The kernel is asked for many at a time: uuid_generate_random() makes five
 * system calls an id, and is what is left if that fails. A thread has its own, and no tool forks. */
static void random_id(struct id *id)
{
    static _Thread_local struct id pool[256]; /* 4 KiB */
    static _Thread_local size_t left;

    if (!left && getrandom(pool, sizeof pool, 0) == (ssize_t)sizeof pool)
        left = sizeof pool / sizeof *pool;
    if (!left) {
        uuid_generate_random(id->bytes);
        return;
    }
    *id = pool[--left];
    id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3f)); /* the variant of RFC 9562 */
}

void id_new(struct id *id)
{
    struct timespec now;
    uint64_t ms;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    random_id(id);
    for (int i = 0; i < 6; i++)
        id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id->bytes[6] = (uint8_t)(0x70 | (id->bytes[6] & 0x0f));
}

/* SHA-1 (FIPS 180-4) of a name that fits into one block with what goes around it, which is what commands
 * have: the block is made here, a fifth less work than by parts that are gathered. */
static void digest_block(const struct id *space, const void *name, size_t len, struct id *id)
{
    uint32_t state[] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t bytes = sizeof space->bytes + len;
    uint8_t block[SHA1_BLOCK_SIZE] = {0};

    memcpy(block, space->bytes, sizeof space->bytes);
    memcpy(block + sizeof space->bytes, name, len);
    block[bytes] = 0x80;
    put_u64(block + sizeof block - 8, bytes * 8);
    nettle_sha1_compress(state, block);
    for (int i = 0; i < 4; i++)
        state[i] = htobe32(state[i]);
    memcpy(id->bytes, state, sizeof id->bytes);
}

static void digest_any(const struct id *space, const void *name, size_t len, struct id *id)
{
    struct sha1_ctx digest;

    sha1_init(&digest);
    sha1_update(&digest, sizeof space->bytes, space->bytes);
    sha1_update(&digest, len, name);
    sha1_digest(&digest, sizeof id->bytes, id->bytes);
}

/* As RFC 9562, 5.5, says. The digest is nettle's: that of libuuid takes twice as long, and was a third of
 * what a command costs. */
void id_derive(const struct id *space, const void *name, size_t len, struct id *id)
{
    if (len <= SHA1_BLOCK_SIZE - sizeof space->bytes - 9)
        digest_block(space, name, len, id);
    else
        digest_any(space, name, len, id);
    id->bytes[6] = (uint8_t)(0x50 | (id->bytes[6] & 0x0f));
    id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3f));
}
