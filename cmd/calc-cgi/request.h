/* A request as a web server hands it over (RFC 3875). */
#ifndef CALC_CGI_REQUEST_H
#define CALC_CGI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/id.h"

enum { BODY_MAX_BYTES = 65536, DRAIN_MAX_BYTES = 1 << 20 };

/* What a path leads to. */
enum route {
    ROUTE_NONE,
    ROUTE_VALUES,
    ROUTE_VALUE,
    ROUTE_HISTORY,
    ROUTE_COMMAND,
    ROUTE_VALUE_EVENTS,
    ROUTE_EVENTS,
    ROUTE_HEALTH,
    ROUTE_METRICS,
    ROUTE_OPENAPI,
    ROUTE_PAGE, /* and what it is made of: request_file() */
    ROUTES,
};

struct request {
    char **params; /* "NAME=value", ended by NULL: the CGI variables */
    size_t (*read)(void *from, char *to, size_t room); /* the body; 0 at its end */
    bool (*gone)(void *from); /* whether nobody waits for the answer any more; NULL: who knows */
    void *from;

    const char *method;
    struct buffer path;  /* decoded */
    size_t mount;        /* its first bytes are the mount point */
    const char *query;   /* as it came, without its question mark */
    enum route route;
    struct id value_id, command_id;
    struct buffer body; /* with a NUL behind it */
    size_t taken;       /* bytes of the body that were read */
    bool ended;         /* its end was seen */
};

/* A CGI variable; NULL if it is absent or empty. */
const char *request_param(const struct request *request, const char *name);

/* A header by the name of its variable, HTTP_...; NULL if it is absent, and perhaps empty. One that
 * came several times is joined with commas, in *joined, which the caller releases. */
const char *request_header(const struct request *request, const char *name,
                           struct buffer *joined);

/* Takes the path apart: mount point, route and ids. -1 if it can't be decoded. */
int request_route(struct request *request);

/* What follows the mount point in the path. */
const char *request_file(const struct request *request);

/* A parameter of the query, decoded: 1; 0 if it is absent; -1 if it is there twice, can't be decoded,
 * or has no room in `text`. A plus sign is one: nothing that is asked here has a space in it. */
enum { QUERY_TEXT = 128 };
int request_query(const struct request *request, const char *name, char text[QUERY_TEXT]);

/* The same for one that may be long. */
int request_query_long(const struct request *request, const char *name, char *text, size_t room);

/* Reads and lets go, up to a bound, what was announced of the body and not read: a server that is
 * still sending when a CGI program ends may lose the answer. */
void request_drain(struct request *request);

/* Whether a request whose body was read ends there, where its end comes at once: it is waited for. */
bool request_ends(struct request *request);

/* Reads the body that Content-Length announces. 0, or the status to answer with: 400, 408, 411, 413,
 * 503. */
int request_read_body(struct request *request);

void request_release(struct request *request);

#endif
