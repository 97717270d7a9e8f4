/* The answer to a request. */
#ifndef CALC_CGI_RESPONSE_H
#define CALC_CGI_RESPONSE_H

#include "request.h"

struct response {
    int status;
    struct buffer headers; /* whole lines, each ended by "\r\n"; no Status, no Content-Length */
    struct buffer body;
    bool endless;      /* the body has no length: it goes on */
    struct feed *feed; /* with what this tells; NULL: it doesn't */
};

/* Appends a header line. */
void response_header(struct response *response, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Begins a header whose value is a path below the mount point, after `before`: the mount is written,
 * and what follows is for the caller, who ends it with response_path_end(). */
void response_path(const struct request *request, struct response *response, const char *name,
                   const char *before);
void response_path_end(struct response *response, const char *after);

/* Appends the mount point to *out, escaped as a URI wants it. */
void response_mount(const struct request *request, struct buffer *out);

/* Makes the answer a problem (RFC 9457) with this status and a sentence that says what and where. The
 * caller may append members, each with a comma before it, and ends it with problem_end(). */
void response_problem_begin(struct response *response, int status, const char *type,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
void response_problem_end(struct response *response);

/* The same, whole, of no type of our own. */
void response_problem(struct response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends the whole answer as CGI wants it. No body to a HEAD, but its length. */
void response_write(const struct request *request, const struct response *response,
                    struct buffer *out);
void response_release(struct response *response);

#endif
