#include "base/histogram.h"

#include <stdatomic.h>

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void histogram_add(struct histogram *histogram, int64_t us)
{
    int i = 0;

    while (i < HISTOGRAM_BOUNDS && us > histogram_bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&histogram->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, us > 0 ? (uint64_t)us : 0, memory_order_relaxed);
}

void histogram_read(const struct histogram *histogram, struct histogram_reading *reading)
{
    uint64_t sum = 0;

    reading->sum_us = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        sum += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        reading->up_to[i] = sum;
    }
}
