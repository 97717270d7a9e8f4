/* The time that only goes forward, for deadlines and for how long something takes. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock; microseconds. */
int64_t clock_ms(void);
int64_t clock_us(void);

#endif
