/* Ids that are made. The one place that knows libuuid; apart from id.c, so that who only reads and
 * writes ids starts without it. */
#include <time.h>
#include <uuid/uuid.h>

#include "base/id.h"

void id_new(struct id *id)
{
    struct timespec now;
    uint64_t ms;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uuid_generate_random(id->bytes);
    for (int i = 0; i < 6; i++)
        id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id->bytes[6] = (uint8_t)(0x70 | (id->bytes[6] & 0x0f));
}

void id_derive(const struct id *space, const void *name, size_t len, struct id *id)
{
    uuid_generate_sha1(id->bytes, space->bytes, name, len);
}
