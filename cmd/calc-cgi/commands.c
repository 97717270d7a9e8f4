/* Requests that are commands: from the body to what became of it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "api.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/number.h"
#include "calc/message.h"
#include "deadline.h"
#include "headers.h"
#include "meter.h"

enum { LARGE_BYTES = 4096 }; /* of a body */

/* A command on its way, and what its request says of it besides. */
struct order {
    struct command command;
    struct prefer prefer;
    bool conditional; /* there is an If-Match: a value that doesn't exist doesn't match */
};

/* --- reading --- */

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
    case 408:
        response_problem(response, status, "the body didn't come within %d seconds",
                         BODY_MS / 1000);
        break;
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

/* Who asks, and whether they may do anything of the kind: which it is stands in the body. */
static int set_actor(struct api *api, const struct request *request, struct command *command,
                     struct response *response)
{
    const struct actor *actor = &command->actor;

    if (access_actor(request, &command->actor, response) < 0)
        return -1;
    if (request->route == ROUTE_VALUES)
        return access_may(api, actor, DEED_CREATE, response) ? 0 : -1;
    return access_may_change(api, actor, response) ? 0 : -1;
}

static int parse_command(const struct request *request, bool create, struct command *command,
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

/* Parsed, a body may take a hundred times its size. No large one has any use: one at a time bounds what
 * all threads take together. */
static int read_command(const struct request *request, bool create, struct command *command,
                        struct response *response)
{
    static pthread_mutex_t large = PTHREAD_MUTEX_INITIALIZER;
    int result;

    if (request->body.len <= LARGE_BYTES)
        return parse_command(request, create, command, response);
    pthread_mutex_lock(&large);
    result = parse_command(request, create, command, response);
    pthread_mutex_unlock(&large);
    return result;
}

/* --- ids --- */

/* The UUIDv5 of a word, the path, the actor, and the key, a line each. */
static int derive(const char *word, const struct request *request, const struct actor *actor,
                  const char *key, size_t len, struct id *id)
{
    struct buffer name = {0};
    char text[ID_TEXT];

    buffer_printf(&name, "%s\n/values", word);
    if (request->route == ROUTE_VALUE) {
        id_write(&request->value_id, text);
        buffer_printf(&name, "/%.36s", text);
    }
    buffer_append_text(&name, "\n");
    buffer_append(&name, actor->text, actor->len);
    buffer_append_text(&name, "\n");
    buffer_append(&name, key, len);
    buffer_append_text(&name, "\n");
    if (!name.failed)
        id_derive(&calc_namespace, name.data, name.len, id);
    len = name.failed;
    buffer_release(&name);
    return len ? -1 : 0;
}

/* The ids of a command, and of a new value: new ones, or those that the key stands for. */
static int set_ids(const struct request *request, struct command *command,
                   struct response *response)
{
    bool create = request->route == ROUTE_VALUES;
    struct buffer joined = {0};
    const char *text = request_header(request, "HTTP_IDEMPOTENCY_KEY", &joined);
    char key[KEY_MAX_BYTES];
    size_t len;
    int result = 0;

    command->value_id = request->value_id;
    if (!text) {
        id_new(&command->id);
        if (create)
            id_new(&command->value_id);
    } else if (!joined.failed && key_read(text, key, &len) < 0) {
        response_problem(response, 400,
                         "Idempotency-Key is no string of 1 to %d printable ASCII characters",
                         KEY_MAX_BYTES);
        result = -1;
    } else if (joined.failed ||
               derive("command", request, &command->actor, key, len, &command->id) < 0 ||
               (create &&
                derive("value", request, &command->actor, key, len, &command->value_id) < 0)) {
        response_problem(response, 503, "out of memory");
        result = -1;
    }
    buffer_release(&joined);
    return result;
}

/* --- conditions (RFC 9110, 13) --- */

static int fails(struct response *response, const char *why)
{
    response_problem(response, 412, "%s", why);
    return -1;
}

/* If-Match on a value is decided where the command is: at its place in the log. Here it only has to be
 * one that can hold. */
static int match_value(const char *text, struct order *order, struct response *response)
{
    struct tag tag, another;
    int result;

    order->conditional = true;
    if (tag_is_star(text))
        return 0;
    result = tag_next(&text, &tag);
    if (result > 0 && tag_next(&text, &another) == 0) {
        if (tag.weak || !tag.ours)
            return fails(response, "no version of a value has this entity tag");
        order->command.has_expected_version = true;
        order->command.expected_version = tag.version;
        return 0;
    }
    response_problem(response, 400, "If-Match has to be one entity tag, or *");
    return -1;
}

/* The list of values is always there and has no entity tag. */
static int match_values(const char *text, struct response *response)
{
    struct tag tag;
    int count = 0, result;

    if (tag_is_star(text))
        return 0;
    while ((result = tag_next(&text, &tag)) > 0)
        count++;
    if (result == 0 && count == 1)
        return fails(response, "the list of values has no entity tag");
    response_problem(response, 400, "If-Match has to be one entity tag, or *");
    return -1;
}

static int none_match(const char *text, bool create, struct response *response)
{
    struct tag tag;
    int result;

    if (tag_is_star(text))
        return fails(response, create ? "the list of values is always there"
                                      : "only a value that is there can be changed");
    while ((result = tag_next(&text, &tag)) > 0)
        if (!create && tag.ours)
            break;
    if (result == 0) /* none of them is of ours */
        return 0;
    response_problem(response, 400, result < 0
                                        ? "If-None-Match is no list of entity tags"
                                        : "an update takes no version in If-None-Match: use If-Match");
    return -1;
}

static int read_conditions(const struct request *request, struct order *order,
                           struct response *response)
{
    struct buffer match = {0}, none = {0}, prefer = {0};
    const char *text = request_header(request, "HTTP_IF_MATCH", &match);
    bool create = request->route == ROUTE_VALUES;
    int result = 0;

    if (text)
        result = create ? match_values(text, response) : match_value(text, order, response);
    text = request_header(request, "HTTP_IF_NONE_MATCH", &none);
    if (text && result == 0)
        result = none_match(text, create, response);
    prefer_read(request_header(request, "HTTP_PREFER", &prefer), &order->prefer);
    if (result == 0 && (match.failed || none.failed || prefer.failed)) {
        response_problem(response, 503, "out of memory");
        result = -1;
    }
    buffer_release(&match);
    buffer_release(&none);
    buffer_release(&prefer);
    return result;
}

/* --- the log --- */

/* Where the client can ask what became of its command. */
static void link_status(const struct request *request, const struct command *command,
                        struct response *response)
{
    char value[ID_TEXT], id[ID_TEXT];

    id_write(&command->value_id, value);
    id_write(&command->id, id);
    response_path(request, response, "Link", "<");
    buffer_printf(&response->headers, "/values/%.36s/commands/%.36s", value, id);
    response_path_end(response, ">; rel=\"status\"");
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
    response_problem_begin(response, 504, "outcome-unknown",
                           "it is not known whether the command was taken");
    response_problem_end(response);
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
        int64_t begun_us = clock_us();
        deadline_set(APPEND_MS);
        result = appender_append(api->commands, &command->value_id, line.data, line.len, &cut,
                                 &unknown, &error);
        deadline_set(0);
        meter_append(unknown ? APPEND_UNKNOWN : result < 0 ? APPEND_FAILED : APPEND_DONE,
                     clock_us() - begun_us);
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

/* --- answers --- */

static void put_location(const struct request *request, const struct command *command,
                         struct response *response)
{
    char id[ID_TEXT];

    id_write(&command->value_id, id);
    response_path(request, response, "Location", "");
    buffer_printf(&response->headers, "/values/%.36s", id);
    response_path_end(response, "");
}

/* It is in the log, and not decided yet as far as we know. */
static void accepted(const struct request *request, const struct command *command,
                     struct response *response)
{
    char id[ID_TEXT];

    response->status = 202;
    if (command->action != ACTION_CREATE)
        return;
    put_location(request, command, response);
    response_header(response, "Content-Type", "application/json");
    id_write(&command->value_id, id);
    buffer_printf(&response->body, "\"%.36s\"", id);
}

/* The value as the command left it, which may be another by now: Content-Location says which it is. */
static void applied(const struct request *request, const struct command *command,
                    const struct outcome *outcome, struct response *response)
{
    unsigned long long version = outcome->version;
    char id[ID_TEXT], number[NUMBER_TEXT];

    response->status = 200;
    if (command->action == ACTION_CREATE) {
        response->status = 201;
        put_location(request, command, response);
    }
    id_write(&command->value_id, id);
    response_path(request, response, "Content-Location", "");
    buffer_printf(&response->headers, "/values/%.36s?version=%llu", id, version);
    response_path_end(response, "");
    response_header(response, "ETag", "\"%llu\"", version);
    response_header(response, "Content-Type", "application/json");
    buffer_printf(&response->body, "{\"value\":%.*s}",
                  (int)number_write(outcome->result, number), number);
}

static void rejected(const struct order *order, enum reason reason, uint64_t version,
                     struct response *response)
{
    static const struct {
        int status;
        const char *detail;
    } answers[] = {
        [REASON_ID_REUSED] = {422, "this key was used for another command"},
        [REASON_VALUE_EXISTS] = {409, "the value exists already"},
        [REASON_UNKNOWN_VALUE] = {404, "there was no such value"},
        [REASON_FORBIDDEN] = {403, "the value is somebody else's"},
        [REASON_VERSION_CONFLICT] = {412, "the value was at another version"},
        [REASON_OUT_OF_RANGE] = {422, "the result would be no finite number"},
    };
    int status = answers[reason].status;

    if (reason == REASON_UNKNOWN_VALUE && order->conditional)
        status = 412;
    response_problem_begin(response, status, reason_text(reason), "%s", answers[reason].detail);
    buffer_printf(&response->body, ",\"reason\":\"%s\"", reason_text(reason));
    if (reason != REASON_ID_REUSED)
        buffer_printf(&response->body, ",\"version\":%llu", (unsigned long long)version);
    response_problem_end(response);
}

/* What the outcome that the command's ids have means for this command: with another body the ids were
 * used before. */
static void decided(const struct request *request, const struct order *order,
                    const struct outcome *outcome, struct response *response)
{
    const struct command *command = &order->command;
    struct body asked, done;

    body_of(command->action, command->value, &command->actor, &asked);
    body_of(outcome->action, outcome->value, &outcome->actor, &done);
    if (!body_equal(&asked, &done))
        rejected(order, REASON_ID_REUSED, 0, response);
    else if (outcome->reason == REASON_NONE)
        applied(request, command, outcome, response);
    else
        rejected(order, outcome->reason, outcome->version, response);
}

static void preference_applied(const struct prefer *prefer, bool waited,
                               struct response *response)
{
    bool async = prefer->respond_async && response->status == 202;
    char wait[16] = "";

    if (waited)
        snprintf(wait, sizeof wait, "wait=%d", prefer->wait_seconds);
    if (waited || async)
        response_header(response, "Preference-Applied", "%s%s%s", async ? "respond-async" : "",
                        async && waited ? ", " : "", wait);
}

/* The command is in the log: the answer can't be less than that, whatever the view does. */
static void answer(struct api *api, const struct request *request, const struct order *order,
                   struct response *response)
{
    const struct prefer *prefer = &order->prefer;
    struct awaited awaited = {.value_id = &order->command.value_id,
                              .command_id = &order->command.id,
                              .deadline_ms = clock_ms() + prefer->wait_seconds * INT64_C(1000)};
    enum seen seen = SEEN_BUSY;
    struct error error;

    link_status(request, &order->command, response);
    /* who may not read isn't told the value in this way either */
    if (prefer->waits && policy_file_allows(api->policy, DEED_READ, &order->command.actor))
        seen = viewer_await(&api->viewer, request, &awaited, &error);
    if (seen == SEEN) {
        viewer_end(&api->viewer, awaited.txn);
        decided(request, order, &awaited.outcome, response);
    } else {
        accepted(request, &order->command, response);
    }
    if (seen == SEEN_ERROR)
        diag_error("%s", error.text);
    preference_applied(prefer, seen == SEEN || seen == SEEN_NOT, response);
}

void api_command(struct api *api, struct request *request, struct response *response)
{
    struct order order = {.command = {.timestamp = timestamp_now()}};
    bool create = request->route == ROUTE_VALUES;

    deadline_set(BODY_MS);
    if (set_actor(api, request, &order.command, response) < 0 ||
        read_body(request, response) < 0 ||
        read_command(request, create, &order.command, response) < 0 ||
        !access_admits(api, &order.command, response) ||
        set_ids(request, &order.command, response) < 0 ||
        read_conditions(request, &order, response) < 0)
        return;
    if (append(api, request, &order.command, response) == 0)
        answer(api, request, &order, response);
    deadline_set(REQUEST_MS); /* for the web server to take the answer */
}
