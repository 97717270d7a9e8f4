/* The protocol of sd_notify(3): a datagram of NAME=VALUE lines to the Unix socket that NOTIFY_SOCKET
 * names, which its manual page and systemd's "Portability and Stability Promise" promise for ever.
 * libsystemd would do the same, at the price of five more libraries in every process and a quarter
 * more time to start: the tools that are services are filters and CGI programs, too. */
#include "tool/service.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "tool/stop.h"

enum {
    STATUS_MS = 1000,
    STEP_MS = 60000,   /* how much time we ask for at once, before we are ready and when we stop */
    LONG_MS = 600000,  /* and for what takes long */
    MESSAGE_TEXT = 512
};

static struct sockaddr_un manager;
static socklen_t manager_len; /* 0: there is none */
static int manager_fd = -1;

static int64_t watchdog_ms; /* 0: none watches */
static _Atomic int64_t told_ms; /* when we last said that we are alive */
static _Atomic bool took_long;
static _Atomic enum phase { STARTING, READY, STOPPING } phase;

static int64_t due_ms;
static char status[MESSAGE_TEXT];
static struct {
    uint64_t count;
    int64_t ms;
} before; /* at the last status */

static void send_lines(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void send_lines(const char *format, ...)
{
    char text[MESSAGE_TEXT + 64];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= (int)sizeof text)
        len = (int)sizeof text - 1;
    if (sendto(manager_fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&manager,
               manager_len) < 0)
        diag_debug("can't tell the service manager: %m");
}

/* A path, or with '@' a name in the abstract namespace, which begins with a NUL. */
static void find_manager(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name ? strlen(name) : 0;

    if (len < 2 || (*name != '/' && *name != '@') || len >= sizeof manager.sun_path)
        return;
    manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager_fd < 0)
        return;
    manager.sun_family = AF_UNIX;
    memcpy(manager.sun_path, name, len + 1);
    manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (*name == '@')
        manager.sun_path[0] = '\0';
    else
        manager_len++; /* with its NUL */
}

/* sd_watchdog_enabled(3): it may be meant for another process. */
static void find_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (usec && (!pid || atol(pid) == (long)getpid()))
        watchdog_ms = atoll(usec) / 1000;
}

void service_open(void)
{
    find_manager();
    if (manager_len)
        find_watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    before.ms = clock_ms();
    if (manager_len)
        diag_calm();
    service_takes_long();
}

bool service_is_on(void)
{
    return manager_len != 0;
}

/* --- being alive --- */

/* A quarter of the watchdog's time, so that one call that comes late is none too late. */
static int64_t pace(void)
{
    return (watchdog_ms && watchdog_ms < STEP_MS ? watchdog_ms : STEP_MS) / 4;
}

void service_alive(void)
{
    int64_t now;
    bool was_long;

    if (!manager_len)
        return;
    now = clock_ms();
    was_long = took_long;
    if (now - told_ms < pace() && !was_long)
        return;
    told_ms = now;
    took_long = false;
    if (phase != READY)
        send_lines("EXTEND_TIMEOUT_USEC=%d000", STEP_MS);
    else if (watchdog_ms && was_long)
        send_lines("WATCHDOG_USEC=%lld000\nWATCHDOG=1", (long long)watchdog_ms);
    else if (watchdog_ms)
        send_lines("WATCHDOG=1");
}

void service_takes_long(void)
{
    if (!manager_len || took_long)
        return;
    took_long = true;
    if (phase != READY)
        send_lines("EXTEND_TIMEOUT_USEC=%d000", LONG_MS);
    else if (watchdog_ms && watchdog_ms < LONG_MS)
        send_lines("WATCHDOG_USEC=%d000", LONG_MS);
}

void service_ready(void)
{
    if (!manager_len || phase != STARTING)
        return;
    phase = READY;
    send_lines("READY=1");
    due_ms = 0; /* the status is another one now */
}

void service_stopping(void)
{
    if (!manager_len || phase == STOPPING)
        return;
    phase = STOPPING;
    send_lines("STOPPING=1");
}

bool service_gives_up(void)
{
    service_alive();
    return stop_asked();
}

/* --- the status --- */

bool service_is_due(void)
{
    int64_t now;

    if (!manager_len)
        return false;
    now = clock_ms();
    if (now < due_ms)
        return false;
    due_ms = now + STATUS_MS;
    diag_recall();
    return true;
}

void service_progress(const struct service_progress *progress)
{
    int64_t now = clock_ms(), passed = now - before.ms;
    double rate = passed > 0 ? 1000.0 * (double)(progress->count - before.count) / (double)passed : 0;
    char text[MESSAGE_TEXT], behind[64] = "";

    if (!manager_len)
        return;
    if (progress->behind != UINT64_MAX)
        snprintf(behind, sizeof behind, ", %llu %s behind", (unsigned long long)progress->behind,
                 progress->units);
    snprintf(text, sizeof text, "%s%s%s, %.0f %s/s", phase == STARTING ? "catching up: " : "",
             progress->place, behind, rate, progress->counted);
    before.count = progress->count;
    before.ms = now;
    if (strcmp(text, status) == 0)
        return;
    memcpy(status, text, sizeof status);
    send_lines("STATUS=%s", status);
}
