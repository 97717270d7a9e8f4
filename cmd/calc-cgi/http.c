#include "http.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "calc/json.h"

/* --- the request --- */

static const char *find(const struct request *request, const char *name)
{
    size_t len = strlen(name);

    for (char **param = request->params; *param; param++)
        if (strncmp(*param, name, len) == 0 && (*param)[len] == '=')
            return *param + len + 1;
    return NULL;
}

const char *request_param(const struct request *request, const char *name)
{
    const char *value = find(request, name);

    return value && *value ? value : NULL;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes a path up to its query. */
static int decode(const char *text, struct buffer *out)
{
    for (; *text && *text != '?' && *text != '#'; text++) {
        char c = *text;
        if (c == '%') {
            int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
            if (low < 0 || high * 16 + low == 0)
                return -1;
            c = (char)(high * 16 + low);
            text += 2;
        }
        buffer_append(out, &c, 1);
    }
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
    if (decode(uri ? uri : "/", &request->path) < 0)
        return -1;
    buffer_append(&request->path, "", 1);
    if (request->path.failed)
        return -1;
    request->path.len--;
    return 0;
}

/* The first place in a path where a whole segment stands. */
static const char *find_segment(const char *path, const char *segment)
{
    size_t len = strlen(segment);

    while ((path = strstr(path, segment)) && path[len] && path[len] != '/')
        path += len;
    return path;
}

/* The mount point: CALC_BASE, else SCRIPT_NAME. Stock nginx puts the whole path into SCRIPT_NAME:
 * there the route begins at the first "/values". No slash at its end. */
static size_t mount_of(const struct request *request, const char **mount)
{
    const char *base = find(request, "CALC_BASE"), *script = find(request, "SCRIPT_NAME");
    const char *values;
    size_t len;

    if (!base)
        base = getenv("CALC_BASE");
    *mount = base ? base : script ? script : "";
    len = strlen(*mount);
    if (!base && script && !request_param(request, "PATH_INFO") &&
        (values = find_segment(script, "/values")))
        len = (size_t)(values - script);
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

int request_route(struct request *request)
{
    const char *at;
    bool found;

    request->method = request_param(request, "REQUEST_METHOD");
    if (!request->method)
        request->method = "GET";
    request->route = ROUTE_NONE;
    if (read_path(request) < 0 || find_mount(request, &found) < 0)
        return -1;
    if (!found)
        return 0;
    at = request->path.data + request->mount;
    if (strncmp(at, "/values", 7) != 0)
        return 0;
    at += 7;
    if (!*at) {
        request->route = ROUTE_VALUES;
        return 0;
    }
    if (*at != '/' || strlen(++at) < ID_TEXT || id_read(at, &request->value_id) < 0)
        return 0;
    at += ID_TEXT;
    if (!*at)
        request->route = ROUTE_VALUE;
    else if (strncmp(at, "/commands/", 10) == 0 &&
             id_parse(at + 10, strlen(at + 10), &request->command_id) == 0)
        request->route = ROUTE_COMMAND;
    return 0;
}

static size_t read_some(struct request *request, char *to, size_t room)
{
    size_t got = request->read(request->from, to, room);

    request->taken += got;
    request->ended |= got == 0;
    return got;
}

void request_drain(struct request *request)
{
    const char *text = request_param(request, "CONTENT_LENGTH");
    bool chunked = !text && request_param(request, "HTTP_TRANSFER_ENCODING");
    size_t announced = chunked ? SIZE_MAX : text ? strtoull(text, NULL, 10) : 0;
    char scratch[8192];

    if (announced > DRAIN_MAX_BYTES)
        announced = DRAIN_MAX_BYTES;
    while (!request->ended && request->taken < announced) {
        size_t room = announced - request->taken;
        read_some(request, scratch, room < sizeof scratch ? room : sizeof scratch);
    }
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
        if (!got)
            return 400; /* the client left */
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

/* --- the answer --- */

static const char *phrase(int status)
{
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 504: return "Gateway Timeout";
    default: return "Service Unavailable";
    }
}

void response_header(struct response *response, const char *name, const char *format, ...)
{
    va_list args;

    buffer_printf(&response->headers, "%s: ", name);
    va_start(args, format);
    buffer_vprintf(&response->headers, format, args);
    va_end(args);
    buffer_append_text(&response->headers, "\r\n");
}

/* What of the mount point has no meaning of its own in a URI or a header stays as it is. */
static void write_escaped(const char *text, size_t len, struct buffer *out)
{
    static const char plain[] = "/-._~!$&'()*+,=:@"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < len; i++)
        if (text[i] && strchr(plain, text[i]))
            buffer_append(out, text + i, 1);
        else
            buffer_printf(out, "%%%02X", (unsigned char)text[i]);
}

void response_path(const struct request *request, const struct id *value_id,
                   const struct id *command_id, struct buffer *out)
{
    char id[ID_TEXT];

    id_write(value_id, id);
    write_escaped(request->path.data, request->mount, out);
    buffer_printf(out, "/values/%.36s", id);
    if (!command_id)
        return;
    id_write(command_id, id);
    buffer_printf(out, "/commands/%.36s", id);
}

void response_problem(struct response *response, int status, const char *format, ...)
{
    char detail[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    for (char *at = detail; *at; at++)
        if ((unsigned char)*at >= 0x80) /* quoted from a client, perhaps no UTF-8 */
            *at = '?';
    response->status = status;
    response->body.len = 0;
    response_header(response, "Content-Type", "application/problem+json");
    if (status == 503)
        response_header(response, "Retry-After", "1");
    buffer_printf(&response->body,
                  "{\"type\":\"%s\",\"title\":\"%s\",\"status\":%d,\"detail\":",
                  status == 504 ? "outcome-unknown" : "about:blank", phrase(status), status);
    json_write_string(&response->body, detail, strlen(detail));
    buffer_append_text(&response->body, "}");
}

void response_write(const struct request *request, const struct response *response,
                    struct buffer *out)
{
    bool bodyless = response->status == 304 || response->status == 204;

    if (response->headers.failed || response->body.failed) {
        buffer_append_text(out, "Status: 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n");
        return;
    }
    buffer_printf(out, "Status: %d %s\r\n", response->status, phrase(response->status));
    buffer_append(out, response->headers.data, response->headers.len);
    if (!bodyless)
        buffer_printf(out, "Content-Length: %zu\r\n", response->body.len);
    buffer_append_text(out, "\r\n");
    if (!bodyless && strcmp(request->method, "HEAD") != 0)
        buffer_append(out, response->body.data, response->body.len);
}

void response_release(struct response *response)
{
    buffer_release(&response->headers);
    buffer_release(&response->body);
}
