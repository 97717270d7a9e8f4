/* calc-cgi: the HTTP paths behind any web server, by plain CGI or FastCGI. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "deadline.h"
#include "fastcgi.h"
#include "stream/kafka.h"
#include "tool/kafka_options.h"
#include "tool/service.h"

static const char help[] =
    "usage: calc-cgi [--listen PATH|HOST:PORT|:PORT] [-X NAME=VALUE] [-F FILE]\n"
    "\n"
    "Answers HTTP requests that a web server hands over: one by plain CGI, or many by FastCGI\n"
    "if a listening socket is given: by --listen, by LISTEN_FDS (systemd), or as fd 0.\n"
    "\n"
    "      --listen PATH|HOST:PORT|:PORT   a Unix socket, or a port (on 127.0.0.1 by default)\n"
    KAFKA_OPTIONS_HELP
    "      --help, --version\n"
    "\n"
    "Environment: CALC_COMMANDS, the commands log, a file or kafka:TOPIC; CALC_VIEW, the view's\n"
    "folder; CALC_BASE, the mount point; CALC_POLICY, a file that says who may do what;\n"
    "CALC_KAFKA_CONFIG, a file as -F takes it. See calc-cgi(8).\n";

enum { OPTION_LISTEN = OPTION_FIRST };
enum { FEED_BYTES = 1 << 16 }; /* written at once */

extern char **environ;

static size_t read_stdin(void *from, char *to, size_t room)
{
    ssize_t got;

    (void)from;
    while ((got = read(STDIN_FILENO, to, room)) < 0 && errno == EINTR && !deadline_passed())
        ;
    return got > 0 ? (size_t)got : 0;
}

static int write_stdout(const struct buffer *out, struct error *error)
{
    for (size_t done = 0; done < out->len;) {
        ssize_t put = write(STDOUT_FILENO, out->data + done, out->len - done);
        if (put < 0 && errno != EINTR)
            return error_errno(error, EX_IOERR, "can't write the answer");
        if (put > 0)
            done += (size_t)put;
    }
    return 0;
}

/* Waits until the view may have changed, or it is time to say something. Whether the web server still
 * reads: one that doesn't any more has closed the pipe. */
static bool wait_for_change(struct view_waiter *waiter, int64_t beat_ms)
{
    struct pollfd wait[] = {{.fd = waiter->fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    int64_t left_ms = beat_ms - clock_ms(), most_ms = view_wait_most(waiter);

    poll(wait, 2, left_ms < 0 ? 0 : (int)(left_ms < most_ms ? left_ms : most_ms));
    view_wait(waiter, 0);
    return !(wait[1].revents & (POLLERR | POLLHUP));
}

/* Puts what isn't told yet, or some of it. 1 if there may be more, 0 if not yet, -1. */
static int read_feed(struct api *api, struct feed *feed, struct buffer *out, struct error *error)
{
    struct view_txn *txn;
    int result;

    if (viewer_begin(&api->viewer, &txn, error) < 0)
        return 0; /* it will be there again */
    result = feed_place(&api->viewer, txn, feed, error);
    if (result < 0 && error->status == EX_TEMPFAIL)
        result = 0; /* it is folded anew, and will come there */
    else if (result == 0)
        result = feed_read(txn, feed, FEED_BYTES, out, error);
    viewer_end(&api->viewer, txn);
    return result;
}

/* A stream, until the web server ends it. */
static int follow(struct api *api, struct feed *feed, struct error *error)
{
    int64_t beat_ms = clock_ms() + FEED_BEAT_MS;
    struct view_waiter waiter;
    struct buffer out = {0};
    int result = 0;

    view_waiter_open(&waiter, api->viewer.folder);
    while (result >= 0) {
        policy_file_renew(api->policy);
        if (!access_lasts(api->policy, &feed->asker))
            break;
        out.len = 0;
        result = read_feed(api, feed, &out, error);
        if (result == 0 && !out.len && clock_ms() >= beat_ms)
            feed_write_beat(feed, &out);
        if (out.len)
            beat_ms = clock_ms() + FEED_BEAT_MS;
        if (result >= 0 && write_stdout(&out, error) < 0)
            result = -1;
        if (result == 0 && !wait_for_change(&waiter, beat_ms))
            break;
    }
    view_waiter_close(&waiter);
    buffer_release(&out);
    return result;
}

/* One request, described by the environment. Wrong settings are an answer, too. */
static int serve_cgi(struct api *api, const struct error *settings, struct error *error)
{
    struct request request = {.params = environ, .read = read_stdin, .method = "GET"};
    struct response response = {0};
    struct buffer out = {0};
    int result;

    deadline_set(REQUEST_MS);
    if (settings->status)
        response_problem(&response, 503, "the calculator isn't set up; its log says why");
    else
        api_answer(api, &request, &response);
    deadline_set(0); /* nobody else waits for us */
    response_write(&request, &response, &out);
    result = write_stdout(&out, error);
    if (result == 0 && response.feed)
        result = follow(api, response.feed, error);
    feed_close(response.feed);
    buffer_release(&out);
    response_release(&response);
    request_release(&request);
    return result;
}

/* Whether a web server started us for one request. The words of its query may be our arguments then
 * (RFC 3875, 4.4): a client would choose our options. */
static bool is_request(void)
{
    return getenv("GATEWAY_INTERFACE") || getenv("REQUEST_METHOD");
}

int main(int argc, char **argv)
{
    static const struct option longer[] = {{"listen", required_argument, NULL, OPTION_LISTEN},
                                           OPTIONS_COMMON};
    struct error error = {0}, settings = {0};
    const char *listen_on = NULL;
    struct options options;
    struct api api;
    int option, socket, status;

    kafka_install();
    deadline_install();
    options_open(&options, is_request() ? 1 : argc, argv, "+:" KAFKA_OPTION_LETTERS, longer, help);
    while ((option = options_next(&options)) != OPTION_END)
        if (option == OPTION_LISTEN)
            listen_on = optarg;
        else
            kafka_option(option, optarg);
    if (options.operand_count)
        options_bad("unexpected argument '%s'", options.operands[0]);
    socket = listen_on ? -1 : fastcgi_socket(NULL, &error);
    if (listen_on || socket >= 0)
        service_open();
    if (socket == -2 && !is_request())
        options_bad("this is no CGI request, and no socket to listen on was given");
    if (api_open(&api, &settings) < 0)
        diag_error("%s", settings.text);
    else if (listen_on)
        socket = fastcgi_socket(listen_on, &error);
    status = settings.status;
    if (socket == -2)
        serve_cgi(&api, &settings, &error);
    else if (socket >= 0 && !settings.status)
        fastcgi_serve(&api, socket, &error);
    if (error.status) {
        diag_error("%s", error.text);
        status = error.status;
    } else if (listen_on && !status) {
        fastcgi_unlink(listen_on);
    }
    api_close(&api);
    return status;
}
