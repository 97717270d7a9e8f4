#include "request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"

/* --- the request --- */

static bool is_named(const char *param, const char *name, size_t len)
{
    return *param == *name && strncmp(param, name, len) == 0 && param[len] == '=';
}

static const char *find(const struct request *request, const char *name)
{
    size_t len = strlen(name);

    for (char **param = request->params; *param; param++)
        if (is_named(*param, name, len))
            return *param + len + 1;
    return NULL;
}

const char *request_param(const struct request *request, const char *name)
{
    const char *value = find(request, name);

    return value && *value ? value : NULL;
}

const char *request_header(const struct request *request, const char *name,
                           struct buffer *joined)
{
    size_t len = strlen(name);
    const char *first = NULL;

    for (char **param = request->params; *param; param++) {
        const char *value;
        if (!is_named(*param, name, len))
            continue;
        value = *param + len + 1;
        if (!first) {
            first = value;
            continue;
        }
        if (!joined->len)
            buffer_append_text(joined, first);
        buffer_printf(joined, ", %s", value);
    }
    if (joined->len || joined->failed) {
        buffer_append(joined, "", 1);
        return joined->failed ? "" : joined->data;
    }
    return first;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes a character, which may be percent-encoded, and moves behind it. -1 if it is none, or U+0000. */
static int decode_one(const char **at, char *c)
{
    *c = *(*at)++;
    if (*c == '%') {
        int high = hex(**at), low = high < 0 ? -1 : hex((*at)[1]);
        if (low < 0 || high * 16 + low == 0)
            return -1;
        *c = (char)(high * 16 + low);
        *at += 2;
    }
    return 0;
}

/* Percent-decodes a path up to its query, and ends it with a NUL. */
static int decode(const char *text, struct buffer *out)
{
    char *to = buffer_reserve(out, strlen(text) + 1);

    if (!to)
        return -1;
    while (*text && *text != '?' && *text != '#')
        if (decode_one(&text, to++) < 0)
            return -1;
    *to = '\0';
    out->len = (size_t)(to - out->data);
    return 0;
}

/* SCRIPT_NAME and PATH_INFO: decoded, and normalised by the server. */
static int read_server_path(struct request *request)
{
    const char *script = find(request, "SCRIPT_NAME"), *info = find(request, "PATH_INFO");

    request->path.len = 0;
    buffer_append_text(&request->path, script ? script : "");
    buffer_append_text(&request->path, info ? info : "");
    buffer_append(&request->path, "", 1);
    if (request->path.failed)
        return -1;
    request->path.len--;
    return 0;
}

/* The path that the client asked for: REQUEST_URI has it, whatever the server rewrote. */
static int read_path(struct request *request)
{
    const char *uri = request_param(request, "REQUEST_URI"), *rest;

    if (!uri)
        return read_server_path(request);
    rest = *uri == '/' ? NULL : strstr(uri, "://"); /* the absolute form, for proxies */
    if (rest)
        uri = strchr(rest + 3, '/');
    return decode(uri ? uri : "/", &request->path);
}

/* The first place in a path where a whole segment stands. */
static const char *find_segment(const char *path, const char *segment)
{
    size_t len = strlen(segment);

    while ((path = strstr(path, segment)) && path[len] && path[len] != '/')
        path += len;
    return path;
}

/* Where the API begins in a path that has the mount point before it; NULL if it doesn't. The page is a
 * slash at the end. */
static const char *find_api(const char *path)
{
    static const char *const only[] = {"/events", "/healthz", "/metrics", "/openapi.json", "/"};
    const char *values = find_segment(path, "/values"), *page = find_segment(path, "/page");
    size_t len = strlen(path);

    if (values || page)
        return values ? values : page;
    for (size_t i = 0; i < sizeof only / sizeof *only; i++)
        if (len >= strlen(only[i]) && strcmp(path + len - strlen(only[i]), only[i]) == 0)
            return path + len - strlen(only[i]);
    return NULL;
}

/* The mount point: CALC_BASE, else SCRIPT_NAME. Stock nginx puts the whole path into SCRIPT_NAME:
 * there the route begins where the API does. No slash at its end. */
static size_t mount_of(const struct request *request, const char **mount)
{
    const char *base = find(request, "CALC_BASE"), *script = find(request, "SCRIPT_NAME");
    const char *api;
    size_t len;

    if (!base)
        base = getenv("CALC_BASE");
    *mount = base ? base : script ? script : "";
    len = strlen(*mount);
    if (!base && script && !request_param(request, "PATH_INFO") &&
        (api = find_api(script)))
        len = (size_t)(api - script);
    while (len && (*mount)[len - 1] == '/')
        len--;
    return len;
}

static bool begins_with(const struct request *request, const char *mount, size_t len)
{
    const char *path = request->path.data;

    return strncmp(path, mount, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Finds the mount point in the path that was asked for or, where that was rewritten or climbs, in
 * the server's. Without it there is no route. */
static int find_mount(struct request *request, bool *found)
{
    const char *mount;

    request->mount = mount_of(request, &mount);
    *found = begins_with(request, mount, request->mount);
    if (*found)
        return 0;
    if (read_server_path(request) < 0)
        return -1;
    *found = begins_with(request, mount, request->mount);
    if (!*found)
        request->mount = 0;
    return 0;
}

/* Behind "/values". */
static enum route route_values(struct request *request, const char *at)
{
    if (!*at)
        return ROUTE_VALUES;
    if (*at != '/' || strlen(++at) < ID_TEXT || id_read(at, &request->value_id) < 0)
        return ROUTE_NONE;
    at += ID_TEXT;
    if (!*at)
        return ROUTE_VALUE;
    if (strcmp(at, "/history") == 0)
        return ROUTE_HISTORY;
    if (strcmp(at, "/events") == 0)
        return ROUTE_VALUE_EVENTS;
    if (strncmp(at, "/commands/", 10) == 0 &&
        id_parse(at + 10, strlen(at + 10), &request->command_id) == 0)
        return ROUTE_COMMAND;
    return ROUTE_NONE;
}

static const char *find_query(const struct request *request)
{
    const char *query = find(request, "QUERY_STRING"), *uri = find(request, "REQUEST_URI");

    if (query || !uri)
        return query ? query : "";
    query = strchr(uri, '?');
    return query ? query + 1 : "";
}

/* The mount point without a slash, where it is known to be one and not a path that nobody serves. */
static bool is_bare_mount(const struct request *request, const char *at)
{
    return !*at && request->mount && (find(request, "CALC_BASE") || getenv("CALC_BASE"));
}

int request_route(struct request *request)
{
    const char *at;
    bool found;

    request->method = request_param(request, "REQUEST_METHOD");
    if (!request->method)
        request->method = "GET";
    request->route = ROUTE_NONE;
    request->query = find_query(request);
    if (read_path(request) < 0 || find_mount(request, &found) < 0)
        return -1;
    if (!found)
        return 0;
    at = request->path.data + request->mount;
    if (strncmp(at, "/values", 7) == 0)
        request->route = route_values(request, at + 7);
    else if (strcmp(at, "/events") == 0)
        request->route = ROUTE_EVENTS;
    else if (strcmp(at, "/healthz") == 0)
        request->route = ROUTE_HEALTH;
    else if (strcmp(at, "/metrics") == 0)
        request->route = ROUTE_METRICS;
    else if (strcmp(at, "/openapi.json") == 0)
        request->route = ROUTE_OPENAPI;
    else if (strcmp(at, "/") == 0 || strncmp(at, "/page/", 6) == 0 || is_bare_mount(request, at))
        request->route = ROUTE_PAGE;
    return 0;
}

const char *request_file(const struct request *request)
{
    return request->path.data + request->mount;
}

/* --- the query --- */

/* Decodes up to one of the characters in `ends`, and moves there. -1 if it can't be decoded or has no
 * room; it moves there all the same. */
static int decode_part(const char **at, const char *ends, char *text, size_t room)
{
    size_t len = 0;
    int result = 0;
    char c;

    while (**at && **at != '#' && !strchr(ends, **at)) {
        if (decode_one(at, &c) < 0 || len + 1 == room)
            result = -1;
        else
            text[len++] = c;
    }
    text[len] = '\0';
    return result;
}

int request_query_long(const struct request *request, const char *name, char *text, size_t room)
{
    char key[QUERY_TEXT], other[QUERY_TEXT] = "";
    const char *at = request->query;
    int found = 0;

    while (*at && *at != '#') {
        int result = decode_part(&at, "=&", key, sizeof key);
        bool ours = result == 0 && strcmp(key, name) == 0;
        if (ours && found)
            return -1;
        if (ours)
            text[0] = '\0';
        if (*at == '=') {
            at++;
            result = decode_part(&at, "&", ours ? text : other, ours ? room : sizeof other);
        }
        if (*at == '&')
            at++;
        if (ours && result < 0)
            return -1;
        found |= ours;
    }
    return found;
}

int request_query(const struct request *request, const char *name, char text[QUERY_TEXT])
{
    return request_query_long(request, name, text, QUERY_TEXT);
}

/* --- the body --- */

static size_t read_some(struct request *request, char *to, size_t room)
{
    size_t got = request->read(request->from, to, room);

    request->taken += got;
    request->ended |= got == 0;
    return got;
}

static size_t announced(const struct request *request)
{
    const char *text = request_param(request, "CONTENT_LENGTH");

    if (!text)
        return request_param(request, "HTTP_TRANSFER_ENCODING") ? SIZE_MAX : 0;
    return strtoull(text, NULL, 10);
}

void request_drain(struct request *request)
{
    size_t most = announced(request);
    char scratch[8192];

    if (most > DRAIN_MAX_BYTES)
        most = DRAIN_MAX_BYTES;
    while (!request->ended && !deadline_passed() && request->taken < most) {
        size_t room = most - request->taken;
        read_some(request, scratch, room < sizeof scratch ? room : sizeof scratch);
    }
}

bool request_ends(struct request *request)
{
    char more;

    if (!request->ended && request->taken == announced(request))
        read_some(request, &more, 1);
    return request->ended;
}

/* A chunked body that the server decoded as it came (Apache): its end is the end of the input. What
 * a client that left had sent of it is no whole JSON object. */
static int read_to_end(struct request *request)
{
    char *at = buffer_reserve(&request->body, BODY_MAX_BYTES + 2);
    size_t got;

    if (!at)
        return 503;
    while (request->body.len <= BODY_MAX_BYTES &&
           (got = read_some(request, at + request->body.len,
                            BODY_MAX_BYTES + 1 - request->body.len)) > 0)
        request->body.len += got;
    at[request->body.len] = '\0';
    if (request->ended && deadline_passed())
        return 408;
    return request->body.len <= BODY_MAX_BYTES ? 0 : 413;
}

int request_read_body(struct request *request)
{
    const char *text = request_param(request, "CONTENT_LENGTH");
    size_t length, got;
    char *at;

    if (!text)
        return request_param(request, "HTTP_TRANSFER_ENCODING") ? read_to_end(request) : 411;
    if (strspn(text, "0123456789") != strlen(text))
        return 400;
    length = strtoull(text, NULL, 10); /* too large a number saturates */
    if (length > BODY_MAX_BYTES)
        return 413;
    at = buffer_reserve(&request->body, length + 1);
    if (!at)
        return 503;
    while (request->body.len < length) {
        got = read_some(request, at + request->body.len, length - request->body.len);
        if (!got) /* the client left, or is too slow */
            return deadline_passed() ? 408 : 400;
        request->body.len += got;
    }
    at[length] = '\0';
    return 0;
}

void request_release(struct request *request)
{
    buffer_release(&request->path);
    buffer_release(&request->body);
}
