/* Requests that subscribe to events. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "base/diag.h"

enum { CURSOR_TEXT = 1 << 16 };

/* Where to begin: what the client was told last, or what its query says, or now. NULL if that can't be
 * read; it is good as long as *text. */
static const char *find_place(const struct request *request, struct buffer *text)
{
    const char *last = request_param(request, "HTTP_LAST_EVENT_ID");
    char *from;
    int found;

    if (last)
        return last;
    if (!*request->query)
        return "now";
    from = buffer_reserve(text, CURSOR_TEXT);
    found = from ? request_query_long(request, "from", from, CURSOR_TEXT) : -1;
    return found > 0 ? from : found == 0 ? "now" : NULL;
}

static void refuse(const struct error *error, struct response *response)
{
    if (error->status == EX_USAGE) {
        response_problem(response, 400, "%s", error->text);
        return;
    }
    diag_error("%s", error->text);
    response_problem(response, 503, "there is no view to follow now");
}

static void begin(struct feed *feed, struct response *response)
{
    response->status = 200;
    response->endless = true;
    response_header(response, "Content-Type", "text/event-stream");
    response_header(response, "X-Accel-Buffering", "no");
    response->feed = feed;
    if (feed)
        feed_write_begin(feed, &response->body);
}

/* Takes the feed of an answer back. */
static void give_up(struct api *api, struct response *response)
{
    feed_close(response->feed);
    response->feed = NULL;
    if (api->streams)
        streams_give_back(api->streams);
}

static void subscribe(struct api *api, const struct request *request, const struct asker *asker,
                      const char *from, struct response *response)
{
    bool one = request->route == ROUTE_VALUE_EVENTS, head = strcmp(request->method, "HEAD") == 0;
    struct feed *feed;
    struct error error;

    if (feed_open(&api->viewer, from, one ? &request->value_id : NULL, &feed, &error) < 0) {
        refuse(&error, response);
    } else if (head) {
        feed_close(feed);
        begin(NULL, response);
    } else if (api->streams ? !streams_reserve(api->streams) : api->most_streams == 0) {
        feed_close(feed);
        response_problem(response, 503, "no more streams are served now");
    } else {
        feed->asker = *asker;
        begin(feed, response);
        if (response->headers.failed || response->body.failed)
            give_up(api, response);
    }
}

void api_events(struct api *api, const struct request *request, const struct asker *asker,
                struct response *response)
{
    struct buffer text = {0};
    const char *from = find_place(request, &text);

    response->headers.len = 0; /* and nothing of it is to be kept */
    response_header(response, "Cache-Control", "no-store");
    if (text.failed)
        response_problem(response, 503, "out of memory");
    else if (from)
        subscribe(api, request, asker, from, response);
    else
        response_problem(response, 400, "the query takes from once, and it is a cursor, beginning or now");
    buffer_release(&text);
}
