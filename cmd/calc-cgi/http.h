/* A request as a web server hands it over (RFC 3875), and the answer to it. */
#ifndef CALC_CGI_HTTP_H
#define CALC_CGI_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/id.h"

enum { BODY_MAX_BYTES = 65536, DRAIN_MAX_BYTES = 1 << 20 };

/* What a path leads to. */
enum route { ROUTE_NONE, ROUTE_VALUES, ROUTE_VALUE, ROUTE_COMMAND };

struct request {
    char **params; /* "NAME=value", ended by NULL: the CGI variables */
    size_t (*read)(void *from, char *to, size_t room); /* the body; 0 at its end */
    void *from;

    const char *method;
    struct buffer path;  /* decoded */
    size_t mount;        /* its first bytes are the mount point */
    enum route route;
    struct id value_id, command_id;
    struct buffer body; /* with a NUL behind it */
    size_t taken;       /* bytes of the body that were read */
    bool ended;         /* its end was seen */
};

struct response {
    int status;
    struct buffer headers; /* whole lines, each ended by "\r\n"; no Status, no Content-Length */
    struct buffer body;
};

/* A CGI variable; NULL if it is absent or empty. */
const char *request_param(const struct request *request, const char *name);

/* Takes the path apart: mount point, route and ids. -1 if it can't be decoded. */
int request_route(struct request *request);

/* Reads and lets go, up to a bound, what was announced of the body and not read: a server that is
 * still sending when a CGI program ends may lose the answer. */
void request_drain(struct request *request);

/* Reads the body that Content-Length announces. 0, or the status to answer with: 411, 413, 400. */
int request_read_body(struct request *request);

void request_release(struct request *request);

/* Appends a header line. */
void response_header(struct response *response, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The mount point, then a path to a value, or to a command on it (NULL: none): for links. */
void response_path(const struct request *request, const struct id *value_id,
                   const struct id *command_id, struct buffer *out);

/* Makes the answer a problem (RFC 9457) with this status and a sentence that says what and where. */
void response_problem(struct response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends the whole answer as CGI wants it. No body to a HEAD, but its length. */
void response_write(const struct request *request, const struct response *response,
                    struct buffer *out);
void response_release(struct response *response);

#endif
