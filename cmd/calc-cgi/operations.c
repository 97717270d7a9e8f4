/* Requests of those who run it: whether it works, and what it promises. */
#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api.h"
#include "base/diag.h"
#include "deadline.h"
#include "stream/log_look.h"
#include "stream/stream.h"
#include "tool/kafka_check.h"

enum { BROKER_MS = 2000, LOCK_MS = 1000 };

/* --- /healthz --- */

/* A writer whose append failed so that nobody knows where the log ends keeps its lock. */
static int check_lock(const char *path, struct error *error)
{
    struct log_look look;
    int result;

    deadline_set(LOCK_MS);
    do
        result = log_look_open(&look, path, error);
    while (result < 0 && error->status == EX_TEMPFAIL && !deadline_passed());
    deadline_set(REQUEST_MS);
    if (result == 0)
        log_look_close(&look);
    return result;
}

static int check_room(const char *path, struct error *error)
{
    struct statvfs system;

    if (statvfs(path, &system) == 0 && system.f_bavail == 0) {
        errno = ENOSPC;
        return error_errno(error, EX_IOERR, "can't append to %s", path);
    }
    return 0;
}

/* A log that isn't there yet is made by the first command. */
static int check_file(const char *path, struct error *error)
{
    char folder[4096];

    if (access(path, F_OK) == 0) {
        if (access(path, R_OK | W_OK) < 0)
            return error_errno(error, EX_IOERR, "can't append to %s", path);
        return check_room(path, error) < 0 ? -1 : check_lock(path, error);
    }
    if (strlen(path) >= sizeof folder)
        return error_set(error, EX_IOERR, "the name of the log is too long");
    if (access(dirname(strcpy(folder, path)), W_OK | X_OK) < 0)
        return error_errno(error, EX_IOERR, "can't make %s", path);
    return check_room(folder, error);
}

int api_check_log(struct api *api, struct error *error)
{
    const char *streams[KAFKA_ROLES] = {[KAFKA_COMMANDS] = api->log};
    enum stream_kind kind;
    const char *path;

    if (stream_parse(api->log, &kind, &path, error) < 0)
        return -1;
    if (appender_is_poisoned(api->commands))
        return error_set(error, EX_IOERR, "%s could not be brought to a known end after a failed append",
                         api->log);
    if (kind == STREAM_FILE)
        return check_file(path, error);
    return kafka_check_quickly(streams, 1u << KAFKA_COMMANDS, BROKER_MS, error);
}

int api_check_view(struct api *api, struct error *error)
{
    struct view_txn *txn;

    if (viewer_begin(&api->viewer, &txn, error) < 0)
        return -1;
    viewer_end(&api->viewer, txn);
    return 0;
}

void api_health(struct api *api, const struct request *request, struct response *response)
{
    struct error error = {0};
    bool log = api_check_log(api, &error) == 0, view = true;

    if (!log)
        diag_error("%s", error.text);
    if (api_check_view(api, &error) < 0) {
        diag_error("%s", error.text);
        view = false;
    }
    if (!log || !view) {
        response_problem_begin(response, 503, "about:blank", "%s%s%s",
                               log ? "" : "the commands log can't be appended to",
                               log || view ? "" : ", and ", view ? "" : "the view can't be read");
        buffer_printf(&response->body, ",\"commands\":%s,\"view\":%s", log ? "true" : "false",
                      view ? "true" : "false");
        response_problem_end(response);
    } else if (api_conditions_hold(request, 0, response)) {
        response->status = 200;
        response_header(response, "Content-Type", "application/json");
        buffer_append_text(&response->body, "{\"commands\":true,\"view\":true}");
    }
}

/* --- /openapi.json --- */

/* The document as it stands in the sources; its server is the mount point. */
__asm__(".pushsection .rodata\n"
        "openapi_begin: .incbin \"cmd/calc-cgi/openapi.json\"\n"
        "openapi_end: .byte 0\n"
        ".popsection\n");
extern const char openapi_begin[], openapi_end[];

void api_openapi(const struct request *request, struct response *response)
{
    static const char before[] = "\"servers\": [{\"url\": \"";
    const char *server = strstr(openapi_begin, before);

    if (!api_conditions_hold(request, 0, response))
        return;
    response->status = 200;
    response_header(response, "Content-Type", "application/json");
    server += sizeof before - 1;
    buffer_append(&response->body, openapi_begin, (size_t)(server - openapi_begin));
    response_mount(request, &response->body);
    if (request->mount)
        server++; /* the slash of the root */
    buffer_append(&response->body, server, (size_t)(openapi_end - server));
}
