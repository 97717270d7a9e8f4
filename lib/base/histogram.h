/* How long something took, by buckets: counted by many threads, read by any. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 16 };

/* The upper bounds of the buckets, in microseconds; what took longer is in one more. */
extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

/* Zeroed it is empty. */
struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS + 1];
    _Atomic uint64_t sum_us;
};

/* Counts one that took so long. It allocates nothing and waits for nobody. */
void histogram_add(struct histogram *histogram, int64_t us);

/* What it holds: how many in or below each bucket, all of them last, and their sum. The counts agree with
 * each other, whoever counts meanwhile. */
struct histogram_reading {
    uint64_t up_to[HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};
void histogram_read(const struct histogram *histogram, struct histogram_reading *reading);

#endif
