/* Any CGI variables and any body, answered by calc-cgi's own code: the answer is well formed whatever
 * they are, 202 means that the log has one command more, and anything else that it has none. An input
 * is NAME=VALUE strings, each with a NUL behind it, an empty one, and the body. */
#include <fcntl.h>

#include "../../cmd/calc-cgi/api.h"
#include "../unit/messages.h"
#include "../unit/scratch.h"
#include "calc/json.h"
#include "require.h"

enum { PARAMS = 32, LINE_BYTES = 65536, LOG_MAX = 1 << 22 };

static struct api api;
static size_t logged; /* bytes of the log */

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    return 0;
}

struct upload {
    const uint8_t *at, *end;
};

static size_t read_body(void *from, char *to, size_t room)
{
    struct upload *body = from;
    size_t left = (size_t)(body->end - body->at), count = left < room ? left : room;

    if (count > 7)
        count -= count / 3; /* in pieces */
    memcpy(to, body->at, count);
    body->at += count;
    return count;
}

/* --- a view with a value and two outcomes --- */

static void make_view(void)
{
    static const char event[] =
        "{\"action\":\"ValueCreated\",\"id\":\"0193a000-0000-7000-8000-0000000000e1\","
        "\"parent\":\"0193a000-0000-7000-8000-0000000000c1\",\"data\":{\"value_id\":"
        "\"0193a000-0000-7000-8000-000000000001\",\"value\":7.0},\"version\":1,\"result\":7.0}";
    struct outcome outcome;
    struct view_txn *txn;
    struct error error;
    struct view *view;

    require(event_parse(event, sizeof event - 1, &outcome, &error) == 0, "no event");
    require(view_create("view", &view, &error) == 0, error.text);
    require(view_begin(view, &txn, &error) == 0, error.text);
    require(view_apply_event(txn, &outcome, 0, 0, &error) == 1, error.text);
    outcome.reason = REASON_FORBIDDEN;
    outcome.parent.bytes[15] = 0xc2;
    require(view_apply_rejection(txn, &outcome, 0, 0, &error) == 1, error.text);
    require(view_commit(view, txn, &error) == 0, error.text);
    view_close(view);
}

static void start(void)
{
    struct error error;

    scratch_enter();
    make_view();
    setenv("CALC_COMMANDS", "commands", 1);
    setenv("CALC_VIEW", "view", 1);
    unsetenv("CALC_BASE");
    require(api_open(&api, &error) == 0, error.text);
    close(open("commands", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

/* --- what must hold of an answer --- */

/* The header lines: a name, a colon and a space, and no control character in the value, which could
 * end the line. Returns what follows the empty one. */
static const char *check_headers(const char *at, const char *end, long *length)
{
    *length = -1;
    while (end - at < 2 || memcmp(at, "\r\n", 2) != 0) {
        const char *line = memmem(at, (size_t)(end - at), "\r\n", 2), *colon;
        require(line, "the headers don't end");
        colon = memmem(at, (size_t)(line - at), ": ", 2);
        require(colon && colon > at, "a header line without a name");
        for (const char *c = at; c < line; c++)
            require((unsigned char)*c >= 0x20 && *c != 0x7f, "a control character in a header");
        if (strncmp(at, "Content-Length: ", 16) == 0)
            *length = strtol(at + 16, NULL, 10);
        at = line + 2;
    }
    return at + 2;
}

/* What a stream begins with: a place to go on from, and no length. */
static void check_stream(const struct request *request, const struct response *response,
                         const char *body, size_t len, long length)
{
    bool head = strcmp(request->method, "HEAD") == 0;

    require(length < 0 && response->status == 200, "a stream with a length");
    require(head == !response->feed && head == !len, "a stream that doesn't begin, or that begins on HEAD");
    require(head || memmem(body, len, "\nid: 1.", 7), "a stream without a place");
}

/* The page's files are what they are; whatever else is answered is JSON. */
static bool is_of_page(const struct response *response)
{
    const struct buffer *headers = &response->headers;

    return memmem(headers->data, headers->len, "\r\nContent-Type: text/", 21) ||
           memmem(headers->data, headers->len, "\r\nContent-Type: image/", 22) ||
           strncmp(headers->data, "Content-Type: text/", 19) == 0 ||
           strncmp(headers->data, "Content-Type: image/", 20) == 0;
}

static void check_body(const struct request *request, const struct response *response,
                       const char *body, size_t len, long length)
{
    bool none = response->status == 204 || response->status == 304;
    struct buffer wrapped = {0};
    struct error error;
    struct json *object;

    require(none ? length < 0 : length == (long)response->body.len, "another Content-Length");
    if (none || strcmp(request->method, "HEAD") == 0)
        require(!len, "a body where there is none");
    else
        require((long)len == length, "the body isn't as long as Content-Length says");
    if (!len || is_of_page(response))
        return;
    /* a new value's id and a page of values are no objects */
    buffer_append_text(&wrapped, "{\"answer\":");
    buffer_append(&wrapped, body, len);
    buffer_append(&wrapped, "}", 2);
    object = json_parse_object(wrapped.data, wrapped.len - 1, &error);
    require(object, error.text);
    json_free(object);
    buffer_release(&wrapped);
}

static void check_answer(const struct request *request, const struct response *response)
{
    static const int known[] = {200, 202, 204, 304, 308, 400, 404, 405, 411, 412, 413, 415, 503};
    struct buffer out = {0};
    const char *body;
    bool found = false;
    long length;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found |= response->status == known[i];
    require(found, "a status that is none of ours");
    response_write(request, response, &out);
    require(strncmp(out.data, "Status: ", 8) == 0, "no status");
    body = check_headers(out.data, out.data + out.len, &length);
    if (response->endless)
        check_stream(request, response, body, (size_t)(out.data + out.len - body), length);
    else
        check_body(request, response, body, (size_t)(out.data + out.len - body), length);
    buffer_release(&out);
}

/* --- and of the log --- */

static void check_command(const struct request *request, const char *line, size_t len)
{
    const char *user = request_param(request, "REMOTE_USER");
    struct command command;
    struct error error;

    require(len && line[len - 1] == '\n' && memchr(line, '\n', len) == line + len - 1,
            "not one whole line");
    require(command_parse(line, len - 1, &command, &error) == 0, error.text);
    require(command.actor.len == (user ? strlen(user) : 0) &&
                (!user || memcmp(command.actor.text, user, command.actor.len) == 0),
            "another actor than the web server's");
    require(request->route == ROUTE_VALUES ? command.action == ACTION_CREATE
                                           : request->route == ROUTE_VALUE &&
                                                 command.action != ACTION_CREATE &&
                                                 id_equal(&command.value_id, &request->value_id),
            "another command than its path's");
    require((!command.has_expected_version || request_param(request, "HTTP_IF_MATCH")) &&
                !command.expected_owner.len,
            "a precondition that nobody set");
}

static void check_log(const struct request *request, int status)
{
    static char line[LINE_BYTES];
    struct stat now;
    int fd = open("commands", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    require(fd >= 0 && fstat(fd, &now) == 0, "the log is gone");
    require((status == 202) == ((size_t)now.st_size > logged) && (size_t)now.st_size >= logged,
            "202 and no command, or a command and no 202");
    got = pread(fd, line, sizeof line, (off_t)logged);
    if (got > 0)
        check_command(request, line, (size_t)got);
    close(fd);
    logged = (size_t)now.st_size;
    if (logged > LOG_MAX) {
        require(truncate("commands", 0) == 0, "the log can't be cut");
        logged = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy, *at, *params[PARAMS + 1] = {NULL};
    struct upload body = {data, data + size};
    struct response response = {0};
    struct request request = {.params = params, .read = read_body, .from = &body, .method = "GET"};
    int count = 0;

    if (!*scratch_folder)
        start();
    copy = malloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (at = copy; at < copy + size && *at && count < PARAMS; at += strlen(at) + 1)
        params[count++] = at;
    body.at = data + (at < copy + size ? at - copy + 1 : (ptrdiff_t)size);
    api_answer(&api, &request, &response);
    check_answer(&request, &response);
    check_log(&request, response.status);
    feed_close(response.feed);
    response_release(&response);
    request_release(&request);
    free(copy);
    return 0;
}
