/* Points in time: microseconds since 1970-01-01T00:00:00Z, spelled as RFC 3339. */
#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMESTAMP_TEXT = 27 }; /* 2026-11-23T11:00:00.000000Z */

#define TIMESTAMP_NONE INT64_MIN /* no time at all */

/* Reads an RFC 3339 date-time with any offset, `t` and `z` too; digits of a second beyond six are
 * cut. Returns -1 for anything else, a second of 60 and a year outside 0001-9999 in UTC included. */
int timestamp_read(const char *text, size_t len, int64_t *micros);

/* Whether it is a time that can be spelled: in the years 0001-9999. TIMESTAMP_NONE isn't. */
bool timestamp_valid(int64_t micros);

/* Writes TIMESTAMP_TEXT characters, UTC with microseconds, no NUL; of what isn't valid, the valid time
 * next to it. */
void timestamp_write(int64_t micros, char *text);

/* The system's clock. */
int64_t timestamp_now(void);

#endif
