#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/diag.h"
#include "base/number.h"
#include "calc/message.h"
#include "stream/stream.h"
#include "tool/kafka_check.h"
#include "tool/stop.h"

static int check_topic(const char *commands, int timeout_ms, struct error *error)
{
    const char *streams[KAFKA_ROLES] = {[KAFKA_COMMANDS] = commands};

    return kafka_check(streams, 1u << KAFKA_COMMANDS, timeout_ms, error);
}

int api_open(struct api *api, struct error *error)
{
    static const struct append_questions questions = {.give_up = stop_asked, .check = check_topic};
    const char *commands = getenv("CALC_COMMANDS"), *config = getenv("CALC_KAFKA_CONFIG");

    *api = (struct api){.folder = getenv("CALC_VIEW")};
    pthread_rwlock_init(&api->view_lock, NULL);
    if (!commands || !*commands)
        return error_set(error, EX_CONFIG, "CALC_COMMANDS is not set: the commands log");
    if (!api->folder || !*api->folder)
        return error_set(error, EX_CONFIG, "CALC_VIEW is not set: the view's folder");
    if (config && *config && kafka_load(config, error) < 0) {
        error->status = EX_CONFIG;
        return -1;
    }
    commands = kafka_stream(commands, KAFKA_COMMANDS, api->topic_name);
    if (appender_open(commands, &questions, &api->commands, error) == 0)
        return 0;
    if (error->status != EX_USAGE)
        return -1;
    return error_set(error, EX_CONFIG, "CALC_COMMANDS is no log: %s", commands);
}

void api_close(struct api *api)
{
    appender_close(api->commands);
    view_close(api->view);
    pthread_rwlock_destroy(&api->view_lock);
}

/* --- commands --- */

/* A media type, its parameters aside. No Content-Type means JSON. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;

    if (!type)
        return true;
    if (strncasecmp(type, json, len) != 0)
        return false;
    len += strspn(type + len, " \t");
    return !type[len] || type[len] == ';';
}

static int read_body(struct request *request, struct response *response)
{
    int status = 415;

    if (is_json(request_param(request, "CONTENT_TYPE")))
        status = request_read_body(request);
    switch (status) {
    case 0:
        return 0;
    case 411:
        response_problem(response, status, "the request has no Content-Length");
        break;
    case 413:
        response_problem(response, status, "the body is longer than %d bytes", BODY_MAX_BYTES);
        break;
    case 415:
        response_problem(response, status, "the body has to be application/json");
        break;
    case 400:
        response_problem(response, status,
                         "the body is not as long as Content-Length says, or that is no number");
        break;
    default:
        response_problem(response, status, "out of memory");
    }
    return -1;
}

/* The actor is who the web server says it is, and nobody else. */
static int set_actor(const struct request *request, struct command *command,
                     struct response *response)
{
    const char *user = request_param(request, "REMOTE_USER");

    if (!user || actor_set(&command->actor, user, strlen(user)) == 0)
        return 0;
    response_problem(response, 400, "the user's name is longer than %d bytes", ACTOR_MAX_BYTES);
    return -1;
}

static int read_command(struct request *request, bool create, struct command *command,
                        struct response *response)
{
    struct json *object;
    struct error error;
    int result;

    object = json_parse_object(request->body.data, request->body.len, &error);
    if (!object) {
        response_problem(response, error.status == EX_DATAERR ? 400 : 503,
                         "the body can't be read: %s", error.text);
        return -1;
    }
    result = message_read_data(object, create, &command->action, &command->value, &error);
    json_free(object);
    if (result < 0)
        response_problem(response, 400, "the body is wrong: %s", error.text);
    return result;
}

/* Where the client can ask what became of its command. */
static void link_status(const struct request *request, const struct command *command,
                        struct response *response)
{
    struct buffer path = {0};

    response_path(request, &command->value_id, &command->id, &path);
    response_header(response, "Link", "<%.*s>; rel=\"status\"", (int)path.len,
                    path.data ? path.data : "");
    response->body.failed |= path.failed;
    buffer_release(&path);
}

static void unavailable(struct response *response, const struct error *error)
{
    diag_error("%s", error->text);
    response_problem(response, 503, "the command was not taken; nothing was done");
}

/* Nobody knows whether the log has it: the client may ask what became of it. */
static void outcome_unknown(const struct request *request, const struct command *command,
                            struct response *response, const struct error *error)
{
    diag_error("%s", error->text);
    link_status(request, command, response);
    response_problem(response, 504, "it is not known whether the command was taken");
}

static int append(struct api *api, const struct request *request, const struct command *command,
                  struct response *response)
{
    struct buffer line = {0};
    struct error error;
    uint64_t cut = 0;
    bool unknown = false;
    int result = command_write_checked(command, &line, &error);

    if (result < 0 && error.status == EX_DATAERR) {
        /* only the actor comes from elsewhere than from parsers */
        response_problem(response, 400, "the user's name is no valid actor: %s", error.text);
    } else if (result < 0) {
        unavailable(response, &error);
    } else {
        result = appender_append(api->commands, &command->value_id, line.data, line.len, &cut,
                                 &unknown, &error);
        if (cut)
            diag_warn("cut off a torn tail of %llu bytes of the commands",
                      (unsigned long long)cut);
        if (unknown)
            outcome_unknown(request, command, response, &error);
        else if (result < 0)
            unavailable(response, &error);
    }
    buffer_release(&line);
    return result;
}

static void accepted(const struct request *request, const struct command *command,
                     struct response *response)
{
    struct buffer path = {0};
    char id[ID_TEXT];

    response->status = 202;
    link_status(request, command, response);
    if (command->action == ACTION_CREATE) {
        response_path(request, &command->value_id, NULL, &path);
        response_header(response, "Location", "%.*s", (int)path.len, path.data ? path.data : "");
        response_header(response, "Content-Type", "application/json");
        id_write(&command->value_id, id);
        buffer_printf(&response->body, "\"%.36s\"", id);
    }
    response->body.failed |= path.failed;
    buffer_release(&path);
}

static void post_command(struct api *api, struct request *request, struct response *response)
{
    struct command command = {.timestamp = timestamp_now()};
    bool create = request->route == ROUTE_VALUES;

    if (read_body(request, response) < 0 || set_actor(request, &command, response) < 0 ||
        read_command(request, create, &command, response) < 0)
        return;
    id_new(&command.id);
    if (create)
        id_new(&command.value_id);
    else
        command.value_id = request->value_id;
    if (append(api, request, &command, response) == 0)
        accepted(request, &command, response);
}

/* --- queries --- */

/* A snapshot of the view, with its lock held shared; snapshot_end gives both back. */
static int snapshot_begin(struct api *api, struct view_txn **txn, struct error *error)
{
    int result = 0;

    pthread_rwlock_rdlock(&api->view_lock);
    while (result == 0 && (!api->view || view_replaced(api->view))) {
        pthread_rwlock_unlock(&api->view_lock);
        pthread_rwlock_wrlock(&api->view_lock);
        result = view_refresh(api->folder, &api->view, error); /* nobody else uses it now */
        pthread_rwlock_unlock(&api->view_lock);
        pthread_rwlock_rdlock(&api->view_lock);
    }
    if (result == 0)
        result = view_snapshot(api->view, txn, error);
    if (result < 0)
        pthread_rwlock_unlock(&api->view_lock);
    return result;
}

static void snapshot_end(struct api *api, struct view_txn *txn)
{
    view_abort(txn);
    pthread_rwlock_unlock(&api->view_lock);
}

/* Whether If-None-Match names this version: by weak comparison, among several. */
static bool none_match(const struct request *request, uint64_t version)
{
    const char *tags = request_param(request, "HTTP_IF_NONE_MATCH"), *found;
    char tag[32];
    size_t len = (size_t)snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long)version);

    if (!tags)
        return false;
    if (tags[strspn(tags, " \t")] == '*')
        return true;
    for (found = tags; (found = strstr(found, tag)); found += len) {
        bool begins = found == tags || strchr(", \t/", found[-1]);
        if (begins && strchr(", \t", found[len]))
            return true;
    }
    return false;
}

static void put_value(const struct request *request, const struct view_value *value,
                      struct response *response)
{
    char number[NUMBER_TEXT];

    response_header(response, "ETag", "\"%llu\"", (unsigned long long)value->value.version);
    if (none_match(request, value->value.version)) {
        response->status = 304;
        return;
    }
    response->status = 200;
    response_header(response, "Content-Type", "application/json");
    buffer_printf(&response->body, "{\"value\":%.*s}",
                  (int)number_write(value->value.number, number), number);
}

static void put_status(const struct outcome *outcome, struct response *response)
{
    response->status = 200;
    response_header(response, "Content-Type", "application/json");
    buffer_append_text(&response->body, "{");
    outcome_write_status(outcome, &response->body);
    buffer_append_text(&response->body, "}");
}

static void get(struct api *api, const struct request *request, struct response *response)
{
    struct view_value value;
    struct outcome outcome;
    struct view_txn *txn = NULL;
    struct error error = {0};
    int result = snapshot_begin(api, &txn, &error);

    if (result == 0) {
        if (request->route == ROUTE_VALUE)
            result = view_get_value(txn, &request->value_id, &value, &error);
        else
            result = view_get_outcome(txn, &request->value_id, &request->command_id, &outcome,
                                      &error);
        snapshot_end(api, txn);
    }
    if (result < 0) {
        diag_error("%s", error.text);
        response_problem(response, 503, "the view can't be read now");
    } else if (request->route == ROUTE_COMMAND) {
        put_status(result ? &outcome : NULL, response);
    } else if (result) {
        put_value(request, &value, response);
    } else {
        char id[ID_TEXT];
        id_write(&request->value_id, id);
        response_problem(response, 404, "there is no value %.36s, or not yet", id);
    }
}

/* --- methods --- */

static const char *allowed(enum route route)
{
    switch (route) {
    case ROUTE_VALUES:
        return "POST, OPTIONS";
    case ROUTE_VALUE:
        return "GET, HEAD, PUT, POST, OPTIONS";
    case ROUTE_COMMAND:
        return "GET, HEAD, OPTIONS";
    case ROUTE_NONE:
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

static void answer(struct api *api, struct request *request, struct response *response)
{
    const char *methods;
    int routed = request_route(request);

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
        post_command(api, request, response);
    } else {
        get(api, request, response);
    }
}

void api_answer(struct api *api, struct request *request, struct response *response)
{
    answer(api, request, response);
    request_drain(request);
}
