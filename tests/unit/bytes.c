#include "base/bytes.h"

#include "random.h"
#include "tap.h"

/* How many bytes a number takes, if it is read as it was written, and not from fewer bytes; else 0. */
static size_t round_trip(uint64_t number)
{
    unsigned char bytes[COUNT_BYTES + 1];
    const unsigned char *end = put_count(bytes, number);
    size_t len = (size_t)(end - bytes);
    uint64_t back;

    if (len > COUNT_BYTES || get_count(bytes, end, &back) != end || back != number)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (get_count(bytes, bytes + i, &back))
            return 0;
    return len;
}

int main(void)
{
    static const unsigned char large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    static const unsigned char endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    struct random random = {1};
    uint64_t number;
    int bad = 0;

    for (int bits = 0; bits < 64; bits++)
        for (int i = 0; i < 1000; i++) {
            number = (uint64_t)1 << bits | (random_u64(&random) & (((uint64_t)1 << bits) - 1));
            bad += wrong(round_trip(number) == (size_t)bits / 7 + 1, "%llx", (unsigned long long)number);
        }
    ok(!bad, "a count is read as it was written, a byte for each seven bits");
    ok(round_trip(0) == 1 && round_trip(UINT64_MAX) == COUNT_BYTES, "the least and the largest too");
    ok(!get_count(large, large + sizeof large, &number), "one that is larger is none");
    ok(!get_count(endless, endless + sizeof endless, &number), "nor is one that is longer");
    ok(!get_count(NULL, NULL, &number), "after one that was none, none is read");
    return tap_done();
}
