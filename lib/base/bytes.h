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
