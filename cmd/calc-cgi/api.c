#include "api.h"

#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/timestamp.h"
#include "deadline.h"
#include "meter.h"
#include "stream/stream.h"
#include "tool/kafka_check.h"
#include "tool/stop.h"

enum { STREAMS = 1024 };

static int check_topic(const char *commands, int timeout_ms, struct error *error)
{
    const char *streams[KAFKA_ROLES] = {[KAFKA_COMMANDS] = commands};

    return kafka_check(streams, 1u << KAFKA_COMMANDS, timeout_ms, error);
}

static bool give_up(void)
{
    return stop_asked() || deadline_passed();
}

/* How many streams may be served at the same time. */
static int read_streams(int *most, struct error *error)
{
    const char *text = getenv("CALC_STREAMS");

    *most = STREAMS;
    if (!text || !*text)
        return 0;
    if (strspn(text, "0123456789") == strlen(text) && strlen(text) <= 6) {
        *most = atoi(text);
        return 0;
    }
    return error_set(error, EX_CONFIG, "CALC_STREAMS is no number: %s", text);
}

/* The handler's outputs: where the commands are a topic, by default the topics beside it. */
static void read_outputs(struct api *api)
{
    static const char *const names[VIEW_LOGS] = {"CALC_EVENTS", "CALC_REJECTIONS"};
    static const enum kafka_role roles[VIEW_LOGS] = {KAFKA_EVENTS, KAFKA_REJECTIONS};

    for (int i = 0; i < VIEW_LOGS; i++) {
        const char *name = getenv(names[i]);
        if ((!name || !*name) && strncmp(api->log, "kafka:", 6) == 0)
            name = "kafka:";
        if (name && *name)
            api->outputs[i] = kafka_stream(name, roles[i], api->output_names[i]);
    }
}

int api_open(struct api *api, struct error *error)
{
    static const struct append_questions questions = {.give_up = give_up, .check = check_topic};
    const char *commands = getenv("CALC_COMMANDS"), *config = getenv("CALC_KAFKA_CONFIG");
    const char *policy = getenv("CALC_POLICY");

    *api = (struct api){.started = timestamp_now()};
    viewer_init(&api->viewer, getenv("CALC_VIEW"));
    if (!commands || !*commands)
        return error_set(error, EX_CONFIG, "CALC_COMMANDS is not set: the commands log");
    if (!api->viewer.folder || !*api->viewer.folder)
        return error_set(error, EX_CONFIG, "CALC_VIEW is not set: the view's folder");
    if (read_streams(&api->most_streams, error) < 0 ||
        (policy && *policy && policy_file_open(policy, &api->policy, error) < 0))
        return -1;
    if (config && *config && kafka_load(config, error) < 0) {
        error->status = EX_CONFIG;
        return -1;
    }
    api->log = kafka_stream(commands, KAFKA_COMMANDS, api->topic_name);
    read_outputs(api);
    if (appender_open(api->log, &questions, &api->commands, error) == 0)
        return 0;
    if (error->status != EX_USAGE)
        return -1;
    return error_set(error, EX_CONFIG, "CALC_COMMANDS is no log: %s", api->log);
}

void api_close(struct api *api)
{
    appender_close(api->commands);
    policy_file_close(api->policy);
    viewer_release(&api->viewer);
}

static const char *allowed(enum route route)
{
    switch (route) {
    case ROUTE_VALUES:
        return "GET, HEAD, POST, OPTIONS";
    case ROUTE_VALUE:
        return "GET, HEAD, PUT, POST, OPTIONS";
    case ROUTE_HISTORY:
    case ROUTE_COMMAND:
    case ROUTE_EVENTS:
    case ROUTE_VALUE_EVENTS:
    case ROUTE_HEALTH:
    case ROUTE_METRICS:
    case ROUTE_OPENAPI:
    case ROUTE_PAGE:
        return "GET, HEAD, OPTIONS";
    case ROUTE_NONE:
    case ROUTES:
        break;
    }
    return "";
}

/* Whether a method is in a list like that. */
static bool allows(const char *list, const char *method)
{
    size_t len = strlen(method);

    for (const char *at = list; *at; at += strcspn(at, ","), at += strspn(at, ", "))
        if (strcspn(at, ",") == len && strncmp(at, method, len) == 0)
            return true;
    return false;
}

/* Operations and the page are for everybody. */
static bool may_get(struct api *api, const struct request *request, struct asker *asker,
                    struct response *response)
{
    enum route route = request->route;
    bool watches = route == ROUTE_EVENTS || route == ROUTE_VALUE_EVENTS;

    asker->actor.len = 0;
    asker->edition = policy_file_edition(api->policy);
    if (!api->policy || route == ROUTE_HEALTH || route == ROUTE_OPENAPI || route == ROUTE_PAGE)
        return true;
    return access_actor(request, &asker->actor, response) == 0 &&
           access_may(api, &asker->actor, watches ? DEED_WATCH : DEED_READ, response);
}

static void get(struct api *api, const struct request *request, struct response *response)
{
    struct asker asker;

    if (!may_get(api, request, &asker, response))
        return;
    if (request->route == ROUTE_EVENTS || request->route == ROUTE_VALUE_EVENTS)
        api_events(api, request, &asker, response);
    else if (request->route == ROUTE_HEALTH)
        api_health(api, request, response);
    else if (request->route == ROUTE_METRICS)
        api_metrics(api, request, response);
    else if (request->route == ROUTE_OPENAPI)
        api_openapi(request, response);
    else if (request->route == ROUTE_PAGE)
        api_page(request, response);
    else
        api_query(api, request, response);
}

static void answer(struct api *api, struct request *request, struct response *response)
{
    const char *methods;
    int routed = request_route(request);

    access_warn(api, request);
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
        response_header(response, "Cache-Control", "no-cache");
    methods = allowed(request->route);
    if (request->path.failed) {
        response_problem(response, 503, "out of memory");
    } else if (routed < 0) {
        response_problem(response, 400, "the path can't be decoded");
    } else if (request->route == ROUTE_NONE) {
        response_problem(response, 404, "there is nothing here");
    } else if (!allows(methods, request->method)) {
        response_header(response, "Allow", "%s", methods);
        response_problem(response, 405, "this takes %s", methods);
    } else if (strcmp(request->method, "OPTIONS") == 0) {
        response->status = 204;
        response_header(response, "Allow", "%s", methods);
    } else if (*request->method == 'P') {
        api_command(api, request, response);
    } else {
        get(api, request, response);
    }
}

/* The web server's id of a request, in its own log, too: nginx's $request_id, Apache's mod_unique_id. A header
 * isn't asked for: a client could choose what stands in our log. */
static void name_request(const struct request *request)
{
    const char *id = request_param(request, "REQUEST_ID");

    diag_about("request", id ? id : request_param(request, "UNIQUE_ID"));
}

void api_answer(struct api *api, struct request *request, struct response *response)
{
    int64_t begun_us = clock_us(), took_us;

    name_request(request);
    answer(api, request, response);
    request_drain(request);
    took_us = clock_us() - begun_us;
    diag_debug("answered with %d after %lld us", response->status, (long long)took_us);
    diag_about(NULL, NULL);
    meter_request(request, response->status, took_us);
}
