/* /metrics, in the text format of Prometheus, version 0.0.4. What the logs and the view know is read from
 * them, so that it is the same whoever answers, and whenever that was started; what only a process knows
 * is given by one that stays. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "base/timestamp.h"
#include "deadline.h"
#include "measures.h"
#include "meter.h"

enum { SCRAPE_MS = 3000 }; /* for the logs: who scrapes waits ten seconds, mostly */

static const char *const log_names[VIEW_LOGS] = {"events", "rejections"};

/* --- the format --- */

static void metric_begin(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_number(struct buffer *out, const char *name, const char *type, const char *help,
                       uint64_t number)
{
    metric_begin(out, name, type, help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, number);
}

/* Buckets are of whole seconds in the end, so that nothing has to be divided twice. `labels` are empty, or
 * end with a comma. */
static void put_histogram(struct buffer *out, const char *name, const char *labels,
                          const struct histogram *histogram)
{
    struct histogram_reading reading;
    int len = (int)strlen(labels);

    histogram_read(histogram, &reading);
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
        buffer_printf(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels,
                      (double)histogram_bounds_us[i] / 1e6, reading.up_to[i]);
    buffer_printf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels,
                  reading.up_to[HISTOGRAM_BOUNDS]);
    if (len) { /* without the comma */
        buffer_printf(out, "%s_sum{%.*s} %.6f\n", name, len - 1, labels, (double)reading.sum_us / 1e6);
        buffer_printf(out, "%s_count{%.*s} %" PRIu64 "\n", name, len - 1, labels,
                      reading.up_to[HISTOGRAM_BOUNDS]);
    } else {
        buffer_printf(out, "%s_sum %.6f\n", name, (double)reading.sum_us / 1e6);
        buffer_printf(out, "%s_count %" PRIu64 "\n", name, reading.up_to[HISTOGRAM_BOUNDS]);
    }
}

/* --- what the process counts --- */

static const char *const paths[ROUTES] = {
    [ROUTE_NONE] = "other",
    [ROUTE_VALUES] = "/values",
    [ROUTE_VALUE] = "/values/{value_id}",
    [ROUTE_HISTORY] = "/values/{value_id}/history",
    [ROUTE_COMMAND] = "/values/{value_id}/commands/{command_id}",
    [ROUTE_VALUE_EVENTS] = "/values/{value_id}/events",
    [ROUTE_EVENTS] = "/events",
    [ROUTE_HEALTH] = "/healthz",
    [ROUTE_METRICS] = "/metrics",
    [ROUTE_OPENAPI] = "/openapi.json",
    [ROUTE_PAGE] = "/",
};

static void put_requests(struct buffer *out)
{
    metric_begin(out, "calc_http_requests_total", "counter", "Requests that this process answered.");
    for (int route = 0; route < ROUTES; route++)
        for (int method = 0; method < METER_METHODS; method++)
            for (int status = 0; status < METER_STATUSES; status++) {
                uint64_t count = atomic_load_explicit(&meter.requests[route][method][status],
                                                      memory_order_relaxed);
                if (count)
                    buffer_printf(out,
                                  "calc_http_requests_total{route=\"%s\",method=\"%s\",code=\"%d\"} "
                                  "%" PRIu64 "\n",
                                  paths[route], meter_method(method), meter_status(status), count);
            }
    metric_begin(out, "calc_http_request_duration_seconds", "histogram",
                 "Time that this process took to answer a request, or to begin a stream.");
    for (int route = 0; route < ROUTES; route++) {
        struct histogram_reading reading;
        char labels[96];
        histogram_read(&meter.durations[route], &reading);
        snprintf(labels, sizeof labels, "route=\"%s\",", paths[route]);
        if (reading.up_to[HISTOGRAM_BOUNDS])
            put_histogram(out, "calc_http_request_duration_seconds", labels, &meter.durations[route]);
    }
}

static void put_appends(const struct api *api, struct buffer *out)
{
    static const char *const results[APPEND_RESULTS] = {"done", "failed", "unknown"};
    const struct histogram *commits = appender_commits(api->commands);

    metric_begin(out, "calc_appends_total", "counter",
                 "Commands that this process tried to append, by what became of that.");
    for (int i = 0; i < APPEND_RESULTS; i++)
        buffer_printf(out, "calc_appends_total{result=\"%s\"} %" PRIu64 "\n", results[i],
                      atomic_load_explicit(&meter.appends[i], memory_order_relaxed));
    metric_begin(out, "calc_append_duration_seconds", "histogram",
                 "Time until a command of this process was durable in the log.");
    put_histogram(out, "calc_append_duration_seconds", "", &meter.append_durations);
    if (!commits)
        return;
    metric_begin(out, "calc_commit_duration_seconds", "histogram",
                 "Time to write a batch of commands and sync it, of this process.");
    put_histogram(out, "calc_commit_duration_seconds", "", commits);
}

static void put_process(struct api *api, struct buffer *out)
{
    put_number(out, "calc_open_streams", "gauge", "Streams of server-sent events that are open.",
               (uint64_t)streams_count(api->streams));
    put_number(out, "calc_open_streams_limit", "gauge", "How many may be open at the same time.",
               (uint64_t)api->most_streams);
    metric_begin(out, "process_start_time_seconds", "gauge",
                 "Start time of the process since unix epoch in seconds.");
    buffer_printf(out, "process_start_time_seconds %.3f\n", (double)api->started / 1e6);
    put_requests(out);
    put_appends(api, out);
}

/* --- what the view has --- */

static void put_totals(const struct view_totals *totals, struct buffer *out)
{
    static const char *const actions[VIEW_ACTIONS] = {"create", "add", "multiply"};

    metric_begin(out, "calc_events_total", "counter", "Events that are in the view, by what they did.");
    for (int i = 0; i < VIEW_ACTIONS; i++)
        buffer_printf(out, "calc_events_total{action=\"%s\"} %" PRIu64 "\n", actions[i],
                      totals->events[i]);
    metric_begin(out, "calc_rejections_total", "counter",
                 "Rejections that are in the view, by reason.");
    for (int i = REASON_NONE + 1; i < VIEW_REASONS; i++)
        buffer_printf(out, "calc_rejections_total{reason=\"%s\"} %" PRIu64 "\n",
                      reason_text((enum reason)i), totals->rejections[i]);
}

static void put_offsets(const struct view_facts *facts, struct buffer *out)
{
    metric_begin(out, "calc_projector_offset", "gauge",
                 "Where the view is in a log: bytes of a file, records of a topic.");
    for (int log = 0; log < VIEW_LOGS; log++)
        for (int32_t i = 0; i < facts->counts[log] || i == 0; i++) /* unread, it is at 0 */
            buffer_printf(out,
                          "calc_projector_offset{log=\"%s\",partition=\"%d\"} %" PRIu64 "\n",
                          log_names[log], (int)i, view_facts_next(facts, (enum view_log)log, i));
}

/* --- what the logs have --- */

static double seconds_since(int64_t timestamp)
{
    int64_t us = timestamp == TIMESTAMP_NONE ? 0 : timestamp_now() - timestamp;

    return us > 0 ? (double)us / 1e6 : 0;
}

static void put_ends(const struct measures *measures, struct buffer *out)
{
    metric_begin(out, "calc_log_end_offset", "gauge",
                 "Where a log ends: bytes of a file, records of a topic.");
    for (int32_t i = 0; i < measures->count; i++) {
        const struct measured *measured = &measures->partitions[i];
        buffer_printf(out, "calc_log_end_offset{log=\"commands\",partition=\"%d\"} %" PRIu64 "\n",
                      (int)i, measured->end);
        for (int log = 0; log < VIEW_LOGS && measures->outputs; log++)
            buffer_printf(out, "calc_log_end_offset{log=\"%s\",partition=\"%d\"} %" PRIu64 "\n",
                          log_names[log], (int)i, measured->ends[log]);
    }
}

/* A lag of each partition: it stands at this place in struct measured. */
static void put_lag_of(const struct measures *measures, size_t place, const char *name,
                       const char *log, bool seconds, struct buffer *out)
{
    for (int32_t i = 0; i < measures->count; i++) {
        const void *at = (const char *)&measures->partitions[i] + place;
        const struct lag *lag = at;
        buffer_printf(out, "%s{log=\"%s\",partition=\"%d\"} ", name, log, (int)i);
        if (seconds)
            buffer_printf(out, "%.6f\n", seconds_since(lag->timestamp));
        else
            buffer_printf(out, "%" PRIu64 "\n", lag->records);
    }
}

static void put_lags(const struct measures *measures, struct buffer *out)
{
    if (measures->visible) {
        metric_begin(out, "calc_outcome_lag_records", "gauge",
                     "Commands whose outcome is not in the view.");
        put_lag_of(measures, offsetof(struct measured, visible), "calc_outcome_lag_records", "commands", false, out);
        metric_begin(out, "calc_outcome_lag_seconds", "gauge",
                     "Age of the oldest command whose outcome is not in the view.");
        put_lag_of(measures, offsetof(struct measured, visible), "calc_outcome_lag_seconds", "commands", true, out);
    }
    if (!measures->outputs)
        return;
    metric_begin(out, "calc_handler_lag_records", "gauge", "Commands that are not decided.");
    put_lag_of(measures, offsetof(struct measured, handled), "calc_handler_lag_records", "commands", false, out);
    metric_begin(out, "calc_handler_lag_seconds", "gauge",
                 "Age of the oldest command that is not decided.");
    put_lag_of(measures, offsetof(struct measured, handled), "calc_handler_lag_seconds", "commands", true, out);
    metric_begin(out, "calc_projector_lag_records", "gauge", "Outcomes that are not in the view.");
    for (int i = 0; i < VIEW_LOGS; i++)
        put_lag_of(measures, offsetof(struct measured, projected[i]), "calc_projector_lag_records", log_names[i], false,
                   out);
    metric_begin(out, "calc_projector_lag_seconds", "gauge",
                 "Age of the command whose outcome is the oldest that is not in the view.");
    for (int i = 0; i < VIEW_LOGS; i++)
        put_lag_of(measures, offsetof(struct measured, projected[i]), "calc_projector_lag_seconds", log_names[i], true,
                   out);
}

static void put_measures(const struct measures *measures, struct buffer *out)
{
    if (measures->counted)
        put_number(out, "calc_commands_total", "counter", "Records in the commands log.",
                   measures->commands);
    put_ends(measures, out);
    if (measures->outputs) {
        metric_begin(out, "calc_handler_offset", "gauge",
                     "Where the handler is in the commands: bytes of a file, records of a topic.");
        for (int32_t i = 0; i < measures->count; i++)
            if (!measures->partitions[i].handled.lost)
                buffer_printf(out,
                              "calc_handler_offset{log=\"commands\",partition=\"%d\"} %" PRIu64 "\n",
                              (int)i, measures->partitions[i].handled.offset);
    }
    put_lags(measures, out);
}

/* --- all of it --- */

static void put_parts(struct api *api, struct buffer *out)
{
    struct error error;

    metric_begin(out, "calc_part_up", "gauge",
                 "Whether the commands log can be appended to, and the view read.");
    buffer_printf(out, "calc_part_up{part=\"commands\"} %d\n", api_check_log(api, &error) == 0);
    buffer_printf(out, "calc_part_up{part=\"view\"} %d\n", api_check_view(api, &error) == 0);
}

static void put_all(struct api *api, struct buffer *out)
{
    struct measures measures = {0};
    struct view_facts facts;
    struct error error;
    int result;

    metric_begin(out, "calc_build_info", "gauge", "The version of calc-cgi.");
    buffer_printf(out, "calc_build_info{version=\"%s\"} 1\n", CALC_VERSION);
    put_parts(api, out);
    deadline_set(SCRAPE_MS);
    if (api->streams)
        put_process(api, out);
    result = view_facts_read(api, &facts, &error);
    if (result == 0) {
        put_totals(&facts.totals, out);
        put_offsets(&facts, out);
        result = measure(api, &facts, &measures, &error);
    }
    view_facts_release(&facts);
    if (result == 0)
        put_measures(&measures, out);
    else
        diag_error("/metrics has less: %s", error.text);
    measures_release(&measures);
}

void api_metrics(struct api *api, const struct request *request, struct response *response)
{
    if (!api_conditions_hold(request, 0, response))
        return;
    response->status = 200;
    response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    put_all(api, &response->body);
    deadline_set(REQUEST_MS);
}
