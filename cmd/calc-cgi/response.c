#include "response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "calc/json.h"

static const char *phrase(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 504: return "Gateway Timeout";
    default: return "Service Unavailable";
    }
}

void response_header(struct response *response, const char *name, const char *format, ...)
{
    va_list args;

    buffer_append_text(&response->headers, name);
    buffer_append_text(&response->headers, ": ");
    va_start(args, format);
    if (strchr(format, '%'))
        buffer_vprintf(&response->headers, format, args);
    else
        buffer_append_text(&response->headers, format);
    va_end(args);
    buffer_append_text(&response->headers, "\r\n");
}

/* What of the mount point has no meaning of its own in a URI or a header stays as it is. */
void response_mount(const struct request *request, struct buffer *out)
{
    static const char plain[] = "/-._~!$&'()*+,=:@"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *text = request->path.data;

    for (size_t i = 0; i < request->mount; i++)
        if (text[i] && strchr(plain, text[i]))
            buffer_append(out, text + i, 1);
        else
            buffer_printf(out, "%%%02X", (unsigned char)text[i]);
}

void response_path(const struct request *request, struct response *response, const char *name,
                   const char *before)
{
    buffer_printf(&response->headers, "%s: %s", name, before);
    response_mount(request, &response->headers);
}

void response_path_end(struct response *response, const char *after)
{
    buffer_append_text(&response->headers, after);
    buffer_append_text(&response->headers, "\r\n");
}

static void begin_problem(struct response *response, int status, const char *type,
                          const char *format, va_list args)
{
    char detail[1024];

    vsnprintf(detail, sizeof detail, format, args);
    for (char *at = detail; *at; at++)
        if ((unsigned char)*at >= 0x80) /* quoted from a client, perhaps no UTF-8 */
            *at = '?';
    response->status = status;
    response->body.len = 0;
    response_header(response, "Content-Type", "application/problem+json");
    if (status == 503)
        response_header(response, "Retry-After", "1");
    buffer_printf(&response->body,
                  "{\"type\":\"%s\",\"title\":\"%s\",\"status\":%d,\"detail\":", type,
                  phrase(status), status);
    json_write_string(&response->body, detail, strlen(detail));
}

void response_problem_begin(struct response *response, int status, const char *type,
                            const char *format, ...)
{
    va_list args;

    va_start(args, format);
    begin_problem(response, status, type, format, args);
    va_end(args);
}

void response_problem_end(struct response *response)
{
    buffer_append_text(&response->body, "}");
}

void response_problem(struct response *response, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    begin_problem(response, status, "about:blank", format, args);
    va_end(args);
    response_problem_end(response);
}

void response_write(const struct request *request, const struct response *response,
                    struct buffer *out)
{
    bool bodyless = response->status == 304 || response->status == 204;
    bool measured = !bodyless && !response->endless;

    if (response->headers.failed || response->body.failed) {
        buffer_append_text(out, "Status: 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n");
        return;
    }
    buffer_printf(out, "Status: %d %s\r\n", response->status, phrase(response->status));
    buffer_append(out, response->headers.data, response->headers.len);
    if (measured)
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
