/* What clients say in headers about their requests. */
#ifndef CALC_CGI_HEADERS_H
#define CALC_CGI_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An entity tag (RFC 9110, 8.8.3). Ours are versions: "3". */
struct tag {
    bool weak;
    const char *text; /* between its quotes */
    size_t len;
    bool ours;        /* it is spelled as we spell versions */
    uint64_t version; /* if it is ours */
};

/* The next tag of a list, *at moved behind it: 1; 0 at the end; -1 if something else stands there. */
int tag_next(const char **at, struct tag *tag);

/* Whether a header is a star, which stands for whatever there is. */
bool tag_is_star(const char *text);

/* The preferences that we know (RFC 7240). What can't be read is passed over, as that wants it; of one
 * that comes twice, the first counts. */
enum { WAIT_MAX_SECONDS = 30 };
struct prefer {
    bool waits;
    int wait_seconds; /* WAIT_MAX_SECONDS at most */
    bool respond_async;
};
void prefer_read(const char *text, struct prefer *prefer);

/* An Idempotency-Key: a string of 1 to KEY_MAX_BYTES characters of printable ASCII, in quotes as a
 * structured field has them (RFC 8941, 3.3.3), or without if it has no spaces, quotes, backslashes,
 * commas and semicolons. Puts it into `key` without quotes. -1 if it is none. */
enum { KEY_MAX_BYTES = 256 };
int key_read(const char *text, char key[KEY_MAX_BYTES], size_t *len);

#endif
