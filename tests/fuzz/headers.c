/* Whatever a client sends as a header, a path or a query is read without a step beyond its end, to its
 * end, and into what the callers rely on. */
#include <stdlib.h>
#include <string.h>

#include "../../cmd/calc-cgi/deadline.c"
#include "../../cmd/calc-cgi/headers.c"
#include "../../cmd/calc-cgi/request.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void take_headers(const char *text)
{
    struct prefer prefer;
    struct tag tag;
    const char *at = text, *before;
    char key[KEY_MAX_BYTES];
    size_t len;

    prefer_read(text, &prefer);
    expect(prefer.wait_seconds >= 0 && prefer.wait_seconds <= WAIT_MAX_SECONDS);
    if (key_read(text, key, &len) == 0)
        expect(len >= 1 && len <= KEY_MAX_BYTES);
    do
        before = at;
    while (tag_next(&at, &tag) > 0 && at > before);
    expect(at >= before && at <= text + strlen(text));
    tag_is_star(text);
}

static void take_path(char *uri, char *header)
{
    static const char *const names[] = {"limit", "cursor", "version", "as_of", "seen"};
    char *params[] = {uri, header, header, NULL}, text[QUERY_TEXT];
    struct request request = {.params = params};
    struct buffer joined = {0};

    if (request_route(&request) == 0)
        expect(request.mount <= request.path.len);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (request_query(&request, names[i], text) > 0)
            expect(strlen(text) < QUERY_TEXT);
    expect(request_header(&request, "HTTP_PREFER", &joined) != NULL);
    buffer_release(&joined);
    request_release(&request);
}

/* Behind a name, in memory of its own, so that a step too far is seen. */
static char *param(const char *name, const uint8_t *data, size_t size)
{
    char *text = malloc(strlen(name) + size + 1);

    strcpy(text, name);
    memcpy(text + strlen(name), data, size);
    text[strlen(name) + size] = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = param("", data, size), *uri = param("REQUEST_URI=", data, size);
    char *header = param("HTTP_PREFER=", data, size);

    take_headers(text);
    take_path(uri, header);
    free(text);
    free(uri);
    free(header);
    return 0;
}
