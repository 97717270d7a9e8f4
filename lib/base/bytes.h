/* Numbers in bytes, big-endian, as everything that goes to disk has them. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Each writes or reads 8 bytes and returns the place behind them. */
static inline unsigned char *put_u64(unsigned char *at, uint64_t number)
{
    number = htobe64(number);
    memcpy(at, &number, sizeof number);
    return at + sizeof number;
}

static inline const unsigned char *get_u64(const unsigned char *at, uint64_t *number)
{
    memcpy(number, at, sizeof *number);
    *number = be64toh(*number);
    return at + sizeof *number;
}

/* A double as its bits, a time as its two's complement. */
static inline unsigned char *put_double(unsigned char *at, double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return put_u64(at, bits);
}

static inline const unsigned char *get_double(const unsigned char *at, double *number)
{
    uint64_t bits;

    at = get_u64(at, &bits);
    memcpy(number, &bits, sizeof bits);
    return at;
}

static inline const unsigned char *get_i64(const unsigned char *at, int64_t *number)
{
    return get_u64(at, (uint64_t *)number);
}

/* A number that is mostly small, in 1 to 10 bytes: seven bits each, the lowest first, the top bit says
 * that more follow (LEB128). Reading returns NULL if it doesn't end before `end`, or is too large. */
enum { COUNT_BYTES = 10 };
static inline unsigned char *put_count(unsigned char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *at++ = (unsigned char)(number | 0x80);
    *at++ = (unsigned char)number;
    return at;
}

static inline const unsigned char *get_count(const unsigned char *at, const unsigned char *end,
                                             uint64_t *number)
{
    *number = 0;
    for (int shift = 0; at && at < end && shift < 64; shift += 7, at++) {
        if (shift == 63 && *at > 1)
            return NULL;
        *number |= (uint64_t)(*at & 0x7f) << shift;
        if (*at < 0x80)
            return at + 1;
    }
    return NULL;
}

/* Runs of bytes. */
static inline unsigned char *put_bytes(unsigned char *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static inline const unsigned char *get_bytes(const unsigned char *at, void *bytes, size_t len)
{
    memcpy(bytes, at, len);
    return at + len;
}

#endif
