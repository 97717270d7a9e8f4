/* What a filter has done and where it is, as a line of JSON: on stderr when SIGUSR1 comes, and in a file.
 * The names are those of calc-cgi's /metrics, see calc-metrics(7). */
#ifndef TOOL_STATS_H
#define TOOL_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/histogram.h"
#include "calc/outcome.h"

/* For --help. */
#define STATS_OPTION_HELP                                                                          \
    "      --stats FILE         keep statistics in FILE, a line of JSON (SIGUSR1: on stderr)\n"

/* From now on SIGUSR1 asks for the line instead of killing, and interrupts nothing that isn't made to be:
 * to be called first of all. */
void stats_install(void);

/* Who is asked for the line's own members, each with a comma before it; and the file, or NULL. */
void stats_open(const char *file, void (*write)(void *context, struct buffer *out), void *context);

/* From the loop that does the work, often: writes the line if it was asked for, and the file, which is
 * replaced as a whole, once a second. */
void stats_tick(void);

/* The file, at the end. */
void stats_close(void);

/* --- members --- */

/* ,"NAME":NUMBER */
void stats_number(struct buffer *out, const char *name, uint64_t number);

/* ,"NAME":{"buckets":{"0.0001":N,...,"+Inf":N},"sum":SECONDS,"count":N} */
void stats_histogram(struct buffer *out, const char *name, const struct histogram *histogram);

/* ,"rejections":{"malformed":N,...}, of each reason. */
void stats_reasons(struct buffer *out, const uint64_t counts[REASON_OUT_OF_RANGE + 1]);

/* How old something is that has this timestamp, as a number of seconds; 0 if it has none. */
void stats_age(struct buffer *out, int64_t timestamp);

#endif
