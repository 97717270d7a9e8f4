/* The answer to a FastCGI request, written without ever blocking: libfcgi can't. The one file that has
 * the records of the FastCGI specification, 1.0:
 *
 *     version:1 type:1 request:2 length:2 padding:1 reserved:1 content:length padding
 *
 * Answers are STDOUT records; an empty one and END_REQUEST are their end. */
#ifndef CALC_CGI_OUTLET_H
#define CALC_CGI_OUTLET_H

#include "base/buffer.h"

struct outlet {
    int fd;      /* the connection; closed with the outlet */
    int request; /* its id on it */
    struct buffer rest; /* of a record that was begun */
};

/* Whether something of what was put has yet to be written. */
static inline bool outlet_is_full(const struct outlet *outlet)
{
    return outlet->rest.len > 0;
}

/* Writes bytes, when it isn't full. What the socket doesn't take is kept. -1 if the connection is gone, or
 * memory ran out. */
int outlet_put(struct outlet *outlet, const void *data, size_t len);

/* Writes what was kept, as far as the socket takes it. -1 if the connection is gone. */
int outlet_flush(struct outlet *outlet);

/* Whether the other side has closed it. What it sends is let go: an answer was begun. */
bool outlet_is_gone(const struct outlet *outlet);

/* Ends the answer, as far as the socket takes that, and closes the connection. */
void outlet_close(struct outlet *outlet);

#endif
