/* Requests that ask the view: values, pages of them, their history, and what became of commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/number.h"
#include "deadline.h"
#include "headers.h"

enum { PAGE_MAX = 1000, VALUES_PAGE = 100 };

/* What the query of a path asks for. */
struct query {
    uint64_t version; /* 0: not asked for */
    bool as_of, seen, limited;
    int64_t time; /* as_of */
    struct id seen_id;
    uint64_t limit;
    bool goes_on; /* there is a cursor: the id, or the version, that was told last */
    struct id after_id;
    uint64_t after_version;
};

/* --- reading the query --- */

static bool read_count(const char *text, uint64_t *count)
{
    size_t len = strspn(text, "0123456789");

    if (!len || len > 19 || text[len])
        return false;
    *count = strtoull(text, NULL, 10);
    return *count <= INT64_MAX;
}

static bool read_version(const char *text, struct query *query)
{
    return read_count(text, &query->version) && query->version > 0;
}

static bool read_as_of(const char *text, struct query *query)
{
    query->as_of = true;
    return timestamp_read(text, strlen(text), &query->time) == 0;
}

static bool read_seen(const char *text, struct query *query)
{
    query->seen = true;
    return id_parse(text, strlen(text), &query->seen_id) == 0;
}

static bool read_limit(const char *text, struct query *query)
{
    query->limited = true;
    return read_count(text, &query->limit) && query->limit >= 1 && query->limit <= PAGE_MAX;
}

static bool read_after_id(const char *text, struct query *query)
{
    query->goes_on = true;
    return id_parse(text, strlen(text), &query->after_id) == 0;
}

static bool read_after_version(const char *text, struct query *query)
{
    query->goes_on = true;
    return read_count(text, &query->after_version);
}

static const struct parameter {
    enum route route;
    const char *name, *what;
    bool (*read)(const char *text, struct query *query);
} parameters[] = {
    {ROUTE_VALUES, "limit", "a number from 1 to 1000", read_limit},
    {ROUTE_VALUES, "cursor", "what a page before this one gave", read_after_id},
    {ROUTE_HISTORY, "limit", "a number from 1 to 1000", read_limit},
    {ROUTE_HISTORY, "cursor", "what a page before this one gave", read_after_version},
    {ROUTE_HISTORY, "seen", "the id of a command", read_seen},
    {ROUTE_VALUE, "version", "a number from 1 on", read_version},
    {ROUTE_VALUE, "as_of", "an RFC 3339 time", read_as_of},
    {ROUTE_VALUE, "seen", "the id of a command", read_seen},
};

static int read_query(const struct request *request, struct query *query,
                      struct response *response)
{
    char text[QUERY_TEXT];

    *query = (struct query){.limit = request->route == ROUTE_VALUES ? VALUES_PAGE : PAGE_MAX};
    for (size_t i = 0; *request->query && i < sizeof parameters / sizeof *parameters; i++) {
        const struct parameter *parameter = &parameters[i];
        int found = 0;
        if (parameter->route == request->route)
            found = request_query(request, parameter->name, text);
        if (found < 0 || (found && !parameter->read(text, query))) {
            response_problem(response, 400, "the query takes %s once, and it is %s",
                             parameter->name, parameter->what);
            return -1;
        }
    }
    if (query->version && query->as_of) {
        response_problem(response, 400, "the query takes a version or as_of, not both");
        return -1;
    }
    return 0;
}

/* --- conditions (RFC 9110, 13.2.2) --- */

/* Whether one of the tags in a header is this one: a strong one, or any. 1, 0, -1 if it is no list of
 * tags. */
static int names_tag(const char *text, const char *wanted, bool strong)
{
    struct tag tag;
    int result, found = 0;

    if (tag_is_star(text))
        return 1;
    while ((result = tag_next(&text, &tag)) > 0)
        if (tag.len == strlen(wanted) && memcmp(tag.text, wanted, tag.len) == 0 &&
            !(strong && tag.weak))
            found = 1;
    return result < 0 ? -1 : found;
}

bool api_tag_conditions_hold(const struct request *request, const char *tag,
                             struct response *response)
{
    struct buffer match = {0}, none = {0};
    const char *text = request_header(request, "HTTP_IF_MATCH", &match);
    int matches = text ? names_tag(text, tag, true) : 1, known = 0;

    text = request_header(request, "HTTP_IF_NONE_MATCH", &none);
    if (text)
        known = names_tag(text, tag, false);
    buffer_release(&match);
    buffer_release(&none);
    if (matches < 0)
        response_problem(response, 400, "If-Match is no list of entity tags");
    else if (!matches)
        response_problem(response, 412, "this has another entity tag, or none");
    if (matches <= 0)
        return false;
    if (*tag)
        response_header(response, "ETag", "\"%s\"", tag);
    if (known > 0)
        response->status = 304;
    return known <= 0;
}

bool api_conditions_hold(const struct request *request, uint64_t version,
                         struct response *response)
{
    char tag[24] = "";

    if (version)
        snprintf(tag, sizeof tag, "%llu", (unsigned long long)version);
    return api_tag_conditions_hold(request, tag, response);
}

/* --- answers --- */

static void begin_body(struct response *response)
{
    response->status = 200;
    response_header(response, "Content-Type", "application/json");
}

static int not_there(const struct request *request, const struct query *query,
                     struct response *response)
{
    char id[ID_TEXT];

    id_write(&request->value_id, id);
    response_problem(response, 404, "there is no value %.36s%s, or not yet", id,
                     query->version ? " of this version" : query->as_of ? " as of then" : "");
    return 0;
}

static int get_value(struct view_txn *txn, const struct request *request,
                     const struct query *query, struct response *response, struct error *error)
{
    char number[NUMBER_TEXT];
    struct value found;
    int result;

    if (query->version || query->as_of) {
        struct outcome event;
        result = query->as_of
                     ? view_get_as_of(txn, &request->value_id, query->time, &event, error)
                     : view_get_event(txn, &request->value_id, query->version, &event, error);
        if (result > 0)
            found = (struct value){.number = event.result, .version = event.version};
    } else {
        struct view_value value;
        result = view_get_value(txn, &request->value_id, &value, error);
        found = value.value;
    }
    if (result < 0)
        return -1;
    if (result == 0)
        return not_there(request, query, response);
    if (!api_conditions_hold(request, found.version, response))
        return 0;
    begin_body(response);
    buffer_append_text(&response->body, "{\"value\":");
    buffer_append(&response->body, number, number_write(found.number, number));
    buffer_append_text(&response->body, "}");
    return 0;
}

static int get_command(struct view_txn *txn, const struct request *request,
                       struct response *response, struct error *error)
{
    struct outcome outcome;
    int result =
        view_get_outcome(txn, &request->value_id, &request->command_id, &outcome, error);

    if (result < 0)
        return -1;
    if (!api_conditions_hold(request, 0, response))
        return 0;
    begin_body(response);
    buffer_append_text(&response->body, "{");
    outcome_write_status(result ? &outcome : NULL, &response->body);
    buffer_append_text(&response->body, "}");
    return 0;
}

/* --- pages --- */

/* Takes the newline of a line that was appended away, for a list. */
static void end_element(struct buffer *body)
{
    if (body->len && body->data[body->len - 1] == '\n')
        body->len--;
}

/* The path of the next page, up to its cursor. */
static void begin_next(const struct request *request, const struct query *query,
                       struct response *response, const char *path)
{
    response_path(request, response, "Link", "<");
    buffer_printf(&response->headers, "%s?", path);
    if (query->limited)
        buffer_printf(&response->headers, "limit=%llu&", (unsigned long long)query->limit);
    buffer_append_text(&response->headers, "cursor=");
}

static int get_values(struct view_txn *txn, const struct request *request,
                      const struct query *query, struct response *response, struct error *error)
{
    const struct id *after = query->goes_on ? &query->after_id : NULL;
    struct view_value value;
    struct id last;
    char id[ID_TEXT];
    int result = 0;

    if (!api_conditions_hold(request, 0, response))
        return 0;
    begin_body(response);
    buffer_append_text(&response->body, "[");
    for (uint64_t count = 0; (result = view_next_value(txn, after, &value, error)) > 0; count++) {
        if (count == query->limit) {
            id_write(&last, id);
            begin_next(request, query, response, "/values");
            buffer_append(&response->headers, id, sizeof id);
            response_path_end(response, ">; rel=\"next\"");
            break;
        }
        if (count)
            buffer_append_text(&response->body, ",");
        value_write(&value.id, &value.value, value.timestamp, &response->body);
        end_element(&response->body);
        last = value.id;
        after = &last;
    }
    buffer_append_text(&response->body, "]");
    return result < 0 ? -1 : 0;
}

static void link_history(const struct request *request, const struct query *query,
                         uint64_t version, struct response *response)
{
    char id[ID_TEXT], path[64];

    id_write(&request->value_id, id);
    snprintf(path, sizeof path, "/values/%.36s/history", id);
    begin_next(request, query, response, path);
    buffer_printf(&response->headers, "%llu", (unsigned long long)version);
    response_path_end(response, ">; rel=\"next\"");
}

/* The events behind `version`, up to the limit. */
static int write_history(struct view_txn *txn, const struct request *request,
                         const struct query *query, struct response *response,
                         struct error *error)
{
    struct outcome events[VIEW_HISTORY_PAGE];
    uint64_t version = query->after_version, told = 0;
    int count;

    do {
        if (view_get_history(txn, &request->value_id, version, events, &count, error) < 0)
            return -1;
        for (int i = 0; i < count; i++, told++) {
            if (told == query->limit) {
                link_history(request, query, version, response);
                return 0;
            }
            if (told)
                buffer_append_text(&response->body, ",");
            outcome_write(&events[i], &response->body);
            end_element(&response->body);
            version = events[i].version;
        }
    } while (count);
    return 0;
}

static int get_history(struct view_txn *txn, const struct request *request,
                       const struct query *query, struct response *response, struct error *error)
{
    struct view_value value;
    int result = view_get_value(txn, &request->value_id, &value, error);

    if (result < 0)
        return -1;
    if (result == 0)
        return not_there(request, query, response);
    if (!api_conditions_hold(request, 0, response))
        return 0;
    begin_body(response);
    buffer_append_text(&response->body, "[");
    result = write_history(txn, request, query, response, error);
    buffer_append_text(&response->body, "]");
    return result;
}

/* --- any --- */

/* A snapshot that has what the client wants to see, or an answer: then *txn is NULL. */
static void wait_for_seen(struct api *api, const struct request *request,
                          const struct query *query, struct response *response,
                          struct view_txn **txn)
{
    struct buffer joined = {0};
    struct awaited awaited = {.value_id = &request->value_id, .command_id = &query->seen_id};
    struct prefer prefer;
    struct error error;
    enum seen seen;

    prefer_read(request_header(request, "HTTP_PREFER", &joined), &prefer);
    buffer_release(&joined);
    awaited.deadline_ms =
        clock_ms() + (prefer.waits ? prefer.wait_seconds * INT64_C(1000) : SEEN_MS);
    deadline_set(0);
    seen = viewer_await(&api->viewer, request, &awaited, &error);
    deadline_set(REQUEST_MS);
    *txn = awaited.txn;
    if (prefer.waits && (seen == SEEN || seen == SEEN_NOT))
        response_header(response, "Preference-Applied", "wait=%d", prefer.wait_seconds);
    if (seen == SEEN_NOT) {
        response_problem(response, 503, "the outcome of that command is not visible yet");
    } else if (seen == SEEN_BUSY) {
        response_problem(response, 503, "the outcome of that command is not visible yet, and too "
                                        "many requests wait already");
    } else if (seen == SEEN_ERROR) {
        diag_error("%s", error.text);
        response_problem(response, 503, "the view can't be read now");
    }
}

static void unreadable(struct response *response, const struct error *error)
{
    diag_error("%s", error->text);
    response->headers.len = 0; /* those of the answer that was begun */
    response_header(response, "Cache-Control", "no-cache");
    response_problem(response, 503, "the view can't be read now");
}

void api_query(struct api *api, const struct request *request, struct response *response)
{
    struct view_txn *txn = NULL;
    struct query query;
    struct error error;
    int result;

    if (read_query(request, &query, response) < 0)
        return;
    if (query.seen) {
        wait_for_seen(api, request, &query, response, &txn);
        if (!txn)
            return;
    } else if (viewer_begin(&api->viewer, &txn, &error) < 0) {
        unreadable(response, &error);
        return;
    }
    if (request->route == ROUTE_VALUES)
        result = get_values(txn, request, &query, response, &error);
    else if (request->route == ROUTE_HISTORY)
        result = get_history(txn, request, &query, response, &error);
    else if (request->route == ROUTE_COMMAND)
        result = get_command(txn, request, response, &error);
    else
        result = get_value(txn, request, &query, response, &error);
    viewer_end(&api->viewer, txn);
    if (result < 0)
        unreadable(response, &error);
}
