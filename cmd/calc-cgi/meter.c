#include "meter.h"

#include <stdatomic.h>
#include <string.h>

struct meter meter;

static const char *const methods[METER_METHODS] = {"GET", "POST", "PUT", "HEAD", "OPTIONS", "other"};

/* All that response.c has a phrase for; any other would be counted as 503, as it is answered. */
static const int statuses[METER_STATUSES] = {200, 202, 304, 404, 201, 204, 308, 400, 403, 405, 408,
                                             409, 411, 412, 413, 415, 422, 503, 504};

const char *meter_method(int number)
{
    return methods[number];
}

int meter_status(int number)
{
    return statuses[number];
}

static int method_number(const char *method)
{
    int i = 0;

    while (i < METER_METHODS - 1 && strcmp(methods[i], method) != 0)
        i++;
    return i;
}

static int status_number(int status)
{
    int i = 0;

    while (statuses[i] && statuses[i] != status)
        i++;
    return statuses[i] ? i : status_number(503);
}

void meter_request(const struct request *request, int status, int64_t us)
{
    atomic_fetch_add_explicit(
        &meter.requests[request->route][method_number(request->method)][status_number(status)], 1,
        memory_order_relaxed);
    histogram_add(&meter.durations[request->route], us);
}

void meter_append(enum append_result result, int64_t us)
{
    atomic_fetch_add_explicit(&meter.appends[result], 1, memory_order_relaxed);
    if (result == APPEND_DONE)
        histogram_add(&meter.append_durations, us);
}
