#include "tool/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"

enum { FILE_MS = 1000 };

static volatile sig_atomic_t asked;
static struct {
    const char *file;
    void (*write)(void *context, struct buffer *out);
    void *context;
    int64_t begun_ms, written_ms;
    struct buffer line;
    bool failed; /* and it was said */
} stats;

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

/* Waits by poll(2) and the like end early, as they do for a stop; everything else goes on. */
void stats_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigaction(SIGUSR1, &action, NULL);
}

void stats_open(const char *file, void (*write)(void *context, struct buffer *out), void *context)
{
    stats.file = file;
    stats.write = write;
    stats.context = context;
    stats.begun_ms = stats.written_ms = clock_ms();
}

/* --- the line --- */

static void compose(struct buffer *out)
{
    char time[TIMESTAMP_TEXT];

    out->len = 0;
    timestamp_write(timestamp_now(), time);
    buffer_printf(out, "{\"tool\":\"%s\",\"version\":\"%s\",\"pid\":%d,\"time\":\"%.*s\","
                  "\"uptime_seconds\":%.3f",
                  program_invocation_short_name, CALC_VERSION, (int)getpid(), TIMESTAMP_TEXT, time,
                  (double)(clock_ms() - stats.begun_ms) / 1000);
    stats.write(stats.context, out);
    buffer_append_text(out, "}\n");
}

static void say(void)
{
    compose(&stats.line);
    if (diag_before)
        diag_before();
    if (stats.line.failed || write(STDERR_FILENO, stats.line.data, stats.line.len) < 0) {
        /* there is nobody to tell */
    }
}

/* What is no regular file, as a pipe, a terminal, or a symbolic link like /dev/stderr, isn't replaced: a line
 * is added to it. */
static int put_file(const char *path, const struct buffer *line)
{
    char fresh[4096];
    struct stat status;
    bool replace = lstat(path, &status) < 0 || S_ISREG(status.st_mode);
    int fd, result;

    if (line->failed || snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return -1;
    fd = open(replace ? fresh : path, O_WRONLY | O_CLOEXEC | (replace ? O_CREAT | O_TRUNC : O_APPEND), 0666);
    if (fd < 0)
        return -1;
    result = write(fd, line->data, line->len) == (ssize_t)line->len ? 0 : -1;
    close(fd);
    if (result == 0 && replace)
        result = rename(fresh, path);
    if (result < 0 && replace)
        unlink(fresh);
    return result;
}

/* That nobody can be told is no reason not to work. */
static void keep(void)
{
    compose(&stats.line);
    stats.written_ms = clock_ms();
    if (put_file(stats.file, &stats.line) == 0)
        stats.failed = false;
    else if (!stats.failed) {
        diag_warn("can't write statistics to %s: %s", stats.file, strerror(errno));
        stats.failed = true;
    }
}

void stats_tick(void)
{
    bool was_asked = asked;

    if (!stats.write)
        return;
    if (was_asked) {
        asked = 0;
        say();
    }
    if (stats.file && (was_asked || clock_ms() - stats.written_ms >= FILE_MS))
        keep();
}

void stats_close(void)
{
    if (!stats.write)
        return;
    if (asked)
        say();
    if (stats.file)
        keep();
    asked = 0;
    buffer_release(&stats.line);
    stats.write = NULL;
}

/* --- members --- */

void stats_number(struct buffer *out, const char *name, uint64_t number)
{
    buffer_printf(out, ",\"%s\":%" PRIu64, name, number);
}

void stats_histogram(struct buffer *out, const char *name, const struct histogram *histogram)
{
    struct histogram_reading reading;

    histogram_read(histogram, &reading);
    buffer_printf(out, ",\"%s\":{\"buckets\":{", name);
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
        buffer_printf(out, "\"%g\":%" PRIu64 ",", (double)histogram_bounds_us[i] / 1e6,
                      reading.up_to[i]);
    buffer_printf(out, "\"+Inf\":%" PRIu64 "},\"sum\":%.6f,\"count\":%" PRIu64 "}",
                  reading.up_to[HISTOGRAM_BOUNDS], (double)reading.sum_us / 1e6,
                  reading.up_to[HISTOGRAM_BOUNDS]);
}

void stats_reasons(struct buffer *out, const uint64_t counts[REASON_OUT_OF_RANGE + 1])
{
    buffer_append_text(out, ",\"rejections\":{");
    for (int i = REASON_NONE + 1; i <= REASON_OUT_OF_RANGE; i++)
        buffer_printf(out, "%s\"%s\":%" PRIu64, i > REASON_NONE + 1 ? "," : "",
                      reason_text((enum reason)i), counts[i]);
    buffer_append_text(out, "}");
}

void stats_age(struct buffer *out, int64_t timestamp)
{
    int64_t us = timestamp == TIMESTAMP_NONE ? 0 : timestamp_now() - timestamp;

    buffer_printf(out, "%.6f", us > 0 ? (double)us / 1e6 : 0);
}
