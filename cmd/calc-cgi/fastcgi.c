/* The one file that knows libfcgi. We accept connections ourselves, so that a stop can interrupt
 * that, and give them to libfcgi one by one; it would block in accept(2). */
#include "fastcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "deadline.h"
#include "tool/service.h"
#include "tool/stop.h"

enum {
    WORKING = 64,                    /* requests that wait for one sync together */
    THREADS = WORKING + WAITERS_MAX, /* those that wait for outcomes leave so many over */
    STACK_BYTES = 512 * 1024,
    HEAPS = 4, /* what is freed stays in each: with one a thread, all that all of them ever took */
    LOOK_MS = 1000,    /* how we are, and whether the policy has changed */
    HUNG_MS = 30000,   /* behind its deadline, a thread isn't slow any more */
    GRACE_SECONDS = 5, /* for requests under way when we are stopped */
    EXHAUSTED_MS = 10  /* until a descriptor may be free again */
};

struct server {
    struct api *api;
    int socket;
    _Atomic uint64_t begun, answered;
    pthread_mutex_t mutex;
    struct error error; /* why it ended by itself */
};

/* --- the socket --- */

static bool listens(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static bool is_socket(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static int listen_on_path(const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof address.sun_path)
        return error_set(error, EX_USAGE, "the socket's path is too long: %s", path);
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        close(fd);
        return error_set(error, EX_TEMPFAIL, "another process listens on %s", path);
    }
    if (fd >= 0 && errno == ECONNREFUSED && is_socket(path))
        unlink(path); /* left by one that died */
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    error_errno(error, EX_IOERR, "can't listen on %s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int listen_on_port(const char *where, struct error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const char *port = strrchr(where, ':') + 1;
    char host[256];
    int fd = -1, on = 1, code;

    snprintf(host, sizeof host, "%.*s", (int)(port - 1 - where), where);
    code = getaddrinfo(*host ? host : "127.0.0.1", port, &hints, &found);
    if (code)
        return error_set(error, EX_USAGE, "can't listen on %s: %s", where, gai_strerror(code));
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        error_errno(error, EX_IOERR, "can't listen on %s", where);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static bool is_path(const char *listen_on)
{
    return !strchr(listen_on, ':') || strchr(listen_on, '/');
}

void fastcgi_unlink(const char *listen_on)
{
    if (is_path(listen_on) && is_socket(listen_on))
        unlink(listen_on);
}

int fastcgi_socket(const char *listen_on, struct error *error)
{
    const char *count = getenv("LISTEN_FDS"), *process = getenv("LISTEN_PID");

    if (listen_on)
        return is_path(listen_on) ? listen_on_path(listen_on, error)
                                  : listen_on_port(listen_on, error);
    if (count && atoi(count) >= 1 && process && atol(process) == (long)getpid()) {
        if (listens(3)) /* sd_listen_fds(3): they begin at 3 */
            return 3;
        return error_set(error, EX_USAGE, "LISTEN_FDS is set, but fd 3 doesn't listen");
    }
    return listens(STDIN_FILENO) ? STDIN_FILENO : -2;
}

/* --- a request --- */

static size_t read_fastcgi(void *from, char *to, size_t room)
{
    FCGX_Request *fcgx = from;
    int got = FCGX_GetStr(to, (int)room, fcgx->in);

    return got > 0 ? (size_t)got : 0;
}

/* Whether the web server closed the connection. */
static bool is_gone(void *from)
{
    const FCGX_Request *fcgx = from;
    struct pollfd ask = {.fd = fcgx->ipcFd};

    return poll(&ask, 1, 0) > 0;
}

/* Hands the connection over to the streams, with what was answered so far. */
static void follow(struct api *api, FCGX_Request *fcgx, const struct buffer *head,
                   struct feed *feed)
{
    struct outlet outlet = {.fd = fcgx->ipcFd, .request = fcgx->requestId};

    fcgx->ipcFd = -1;
    streams_add(api->streams, &outlet, head, feed);
}

/* Whether the request was read to its end, so that nothing more will come. */
static bool answer(struct api *api, FCGX_Request *fcgx)
{
    struct request request = {
        .params = fcgx->envp, .read = read_fastcgi, .gone = is_gone, .from = fcgx};
    struct response response = {0};
    struct buffer out = {0};
    bool ended = false;

    api_answer(api, &request, &response);
    response_write(&request, &response, &out);
    buffer_release(&response.body); /* it is in `out`, which the web server may take slowly */
    if (response.feed) {
        follow(api, fcgx, &out, response.feed);
    } else {
        FCGX_PutStr(out.data, (int)out.len, fcgx->out);
        FCGX_FClose(fcgx->err);
        FCGX_FClose(fcgx->out); /* the end of the request is written with the last stream */
        ended = request_ends(&request) && FCGX_GetError(fcgx->in) == 0;
    }
    buffer_release(&out);
    response_release(&response);
    request_release(&request);
    return ended;
}

/* Whether the web server begins its request, before we stop and before its time is up. */
static bool sends_request(int fd)
{
    struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd(), .events = POLLIN}};

    return poll(wait, 2, REQUEST_MS) > 0 && wait[0].revents != 0;
}

/* A connection serves one request: one that a web server keeps open would keep a thread, too.
 *
 * Who closes a connection that was sent something it didn't read loses what it wrote, too. That is why
 * libfcgi waits at its end until the web server closes it. After a whole request we needn't: that wait,
 * and being woken, cost as much as the rest. */
static void serve_connection(struct api *api, int fd)
{
    FCGX_Request request;

    deadline_set(REQUEST_MS);
    if (!sends_request(fd)) {
        close(fd);
        return;
    }
    FCGX_InitRequest(&request, -1, 0); /* no socket to accept from: it returns when this one ends */
    request.ipcFd = fd;
    request.keepConnection = 1; /* else FCGX_Accept_r begins by closing it */
    if (FCGX_Accept_r(&request) == 0 && answer(api, &request)) {
        FCGX_Free(&request, 0);
        close(fd);
    } else {
        FCGX_Free(&request, request.ipcFd >= 0);
    }
}

static void count_connection(struct server *server, int fd)
{
    server->begun++;
    serve_connection(server->api, fd);
    server->answered++;
}

/* --- threads --- */

/* Waits for a connection or for a stop. One connection wakes one thread, and of those that wait always
 * the same few, whose caches are warm: see EPOLLEXCLUSIVE in epoll_ctl(2). */
static int wait_descriptor(int socket)
{
    struct epoll_event connection = {.events = EPOLLIN | EPOLLEXCLUSIVE},
                       stop = {.events = EPOLLIN};
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, socket, &connection) == 0 &&
        epoll_ctl(fd, EPOLL_CTL_ADD, stop_fd(), &stop) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Nothing can be accepted any more: ends as if somebody had asked to. */
static void fail(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    error_errno(&server->error, EX_IOERR, "can't accept connections");
    pthread_mutex_unlock(&server->mutex);
    raise(SIGTERM);
}

static void *work(void *argument)
{
    struct server *server = argument;
    int wait = wait_descriptor(server->socket), fd;
    struct epoll_event event;

    if (wait < 0)
        fail(server);
    while (!stop_asked()) {
        if (epoll_wait(wait, &event, 1, -1) <= 0) {
            deadline_set(0); /* the last request's: so long ago, and so seldom, it costs nothing */
            continue;
        }
        fd = accept4(server->socket, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            count_connection(server, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            poll(NULL, 0, EXHAUSTED_MS);
        else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            fail(server);
    }
    if (wait >= 0)
        close(wait);
    return NULL;
}

/* Waits for the threads. What they do takes moments, unless another process holds the log's lock:
 * after a while they are interrupted, so that they give up waiting for it. */
static void join_all(const pthread_t *threads, int count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GRACE_SECONDS;
    for (int i = 0; i < count; i++)
        while (pthread_timedjoin_np(threads[i], NULL, &until) == ETIMEDOUT) {
            for (int j = i; j < count; j++)
                pthread_kill(threads[j], SIGUSR2);
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 50 * 1000000;
            until.tv_sec += until.tv_nsec / 1000000000;
            until.tv_nsec %= 1000000000;
        }
}

static int start_all(struct server *server, pthread_t threads[THREADS])
{
    pthread_attr_t attributes;
    int started = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (started < THREADS &&
           pthread_create(&threads[started], &attributes, work, server) == 0)
        started++;
    pthread_attr_destroy(&attributes);
    return started;
}

/* Each stream has a descriptor, and so have a thread, and the request that it answers. */
static void raise_descriptors(int streams)
{
    rlim_t wanted = (rlim_t)streams + 3 * THREADS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
        diag_warn("only %llu files may be open: too few for %d streams",
                  (unsigned long long)limit.rlim_cur, streams);
}

/* Tells who started us how it goes. A thread that is stuck, in the disk or in our own locks, is as bad
 * as if this one were. */
static void tell(const struct server *server)
{
    uint64_t answered = server->answered, begun = server->begun;
    struct service_progress progress = {
        .behind = UINT64_MAX, .count = answered, .counted = "requests"};
    char place[80];

    if (deadline_overdue_ms() < HUNG_MS)
        service_alive();
    if (!service_is_due())
        return;
    snprintf(place, sizeof place, "%llu requests answered, %llu under way",
             (unsigned long long)answered, (unsigned long long)(begun - answered));
    progress.place = place;
    service_progress(&progress);
}

int fastcgi_serve(struct api *api, int socket, struct error *error)
{
    struct server server = {.api = api, .socket = socket};
    struct pollfd wait = {.events = POLLIN};
    pthread_t threads[THREADS];
    int started;

    pthread_mutex_init(&server.mutex, NULL);
    mallopt(M_ARENA_MAX, HEAPS);
    FCGX_Init();
    stop_install();
    /* who else has the socket may take the connection between our waiting and our accept */
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
    raise_descriptors(api->most_streams);
    access_warn_of_socket(socket);
    if (streams_open(&api->viewer, api->policy, api->most_streams, &api->streams, error) < 0)
        return -1;
    started = start_all(&server, threads);
    if (!started)
        return error_set(error, EX_UNAVAILABLE, "can't start a thread");
    wait.fd = stop_fd();
    service_ready();
    while (!stop_asked()) {
        tell(&server);
        if (policy_file_renew(api->policy))
            streams_wake(api->streams);
        poll(&wait, 1, service_is_on() || api->policy ? LOOK_MS : -1);
    }
    service_stopping();
    join_all(threads, started);
    streams_close(api->streams);
    pthread_mutex_destroy(&server.mutex);
    *error = server.error;
    return error->status ? -1 : 0;
}
