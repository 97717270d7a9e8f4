/* The HTTP paths: what is answered to a request. */
#ifndef CALC_CGI_API_H
#define CALC_CGI_API_H

#include "response.h"
#include "streams.h"
#include "stream/append.h"
#include "stream/kafka.h"
#include "tool/policy_file.h"
#include "viewer.h"

/* What all requests of a process share. */
struct api {
    const char *log; /* of commands: a stream */
    struct appender *commands;
    char topic_name[KAFKA_STREAM_TEXT];
    const char *outputs[VIEW_LOGS]; /* of the handler: streams; NULL: not told */
    char output_names[VIEW_LOGS][KAFKA_STREAM_TEXT];
    struct policy_file *policy; /* NULL: everything is allowed */
    _Atomic bool warned;        /* that it is */
    struct viewer viewer;
    int64_t started;         /* when; microseconds since 1970 */
    int most_streams;        /* at the same time */
    struct streams *streams; /* NULL: this is plain CGI */
};

/* How long a request may take: to be read and answered, to be appended, and, if it says nothing, to
 * wait for what it wants to see. */
enum { REQUEST_MS = 20000, BODY_MS = 10000, APPEND_MS = 10000, SEEN_MS = 5000 };

/* Whether the commands log can be appended to, and the view read: EX_IOERR and the like with the reason.
 * Nothing is appended (operations.c). */
int api_check_log(struct api *api, struct error *error);
int api_check_view(struct api *api, struct error *error);

/* Takes the settings: CALC_COMMANDS and CALC_VIEW, CALC_POLICY, CALC_KAFKA_CONFIG and CALC_STREAMS; and
 * CALC_EVENTS and CALC_REJECTIONS, which are only needed to measure. EX_CONFIG if one is missing or
 * wrong. */
int api_open(struct api *api, struct error *error);
void api_close(struct api *api);

/* Answers a request, whose params and read are set. Thread-safe. */
void api_answer(struct api *api, struct request *request, struct response *response);

/* --- the parts of it --- */

/* Answers a POST or PUT of a command (commands.c). */
void api_command(struct api *api, struct request *request, struct response *response);

/* Answers a GET or HEAD of what is in the view (queries.c). */
void api_query(struct api *api, const struct request *request, struct response *response);

/* Answers a GET or HEAD of events, as server-sent ones (events.c). The answer may have a feed, which is
 * for the caller to follow, and to close; with it comes a place among the streams, if there are some. */
void api_events(struct api *api, const struct request *request, const struct asker *asker,
                struct response *response);

/* Answers a GET or HEAD of /metrics (metrics.c). */
void api_metrics(struct api *api, const struct request *request, struct response *response);

/* Answers a GET or HEAD of /healthz, and of /openapi.json (operations.c). */
void api_health(struct api *api, const struct request *request, struct response *response);
void api_openapi(const struct request *request, struct response *response);

/* Whether If-Match and If-None-Match let a GET be answered with something that has this version, or
 * has none (0). If not, it is answered (queries.c). */
bool api_conditions_hold(const struct request *request, uint64_t version,
                         struct response *response);

/* The same of something whose tag is a text, or empty. */
bool api_tag_conditions_hold(const struct request *request, const char *tag,
                             struct response *response);

/* Answers a GET or HEAD of the page, or of a file that it is made of (page.c). */
void api_page(const struct request *request, struct response *response);

#endif
