/* What a process counts of the requests that it answers, for /metrics: a few relaxed additions each. */
#ifndef CALC_CGI_METER_H
#define CALC_CGI_METER_H

#include "base/histogram.h"
#include "request.h"

enum {
    METER_METHODS = 6,  /* those that a route may take, and "other" */
    METER_STATUSES = 24 /* that are told apart */
};

/* What became of an append: see appender_append(). */
enum append_result { APPEND_DONE, APPEND_FAILED, APPEND_UNKNOWN, APPEND_RESULTS };

/* The process's own; zeroed at its start. */
struct meter {
    _Atomic uint64_t requests[ROUTES][METER_METHODS][METER_STATUSES];
    struct histogram durations[ROUTES]; /* from when a request is there to its whole answer, a stream's head */
    _Atomic uint64_t appends[APPEND_RESULTS];
    struct histogram append_durations; /* of those that were done, the wait for others included */
};
extern struct meter meter;

void meter_request(const struct request *request, int status, int64_t us);
void meter_append(enum append_result result, int64_t us);

/* The method with a number below METER_METHODS, and the status with one below METER_STATUSES; 0: none has
 * this number. */
const char *meter_method(int number);
int meter_status(int number);

#endif
