#include "tool/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"

enum { FIRST_MS = 1000, AGAIN_MS = 200, LOOK_COUNT = 1024, LINE_TEXT = 160 };

static struct progress *current; /* what a diagnostic wipes out */

static void put(const char *line, int len)
{
    if (len >= LINE_TEXT)
        len = LINE_TEXT - 1;
    if (write(STDERR_FILENO, line, (size_t)len) < 0) {
        /* it was only for the eye */
    }
}

static void wipe(void)
{
    if (current && current->shown)
        put("\r\033[K", 4);
    if (current)
        current->shown = false;
}

void progress_begin(struct progress *progress, const char *what, const char *units, uint64_t total)
{
    *progress = (struct progress){.what = what,
                                  .units = units,
                                  .total = total,
                                  .begun_ms = clock_ms(),
                                  .enabled = isatty(STDERR_FILENO) == 1};
    progress->said_ms = progress->begun_ms + FIRST_MS - AGAIN_MS;
    current = progress->enabled ? progress : NULL;
    diag_before = wipe;
}

/* "\r\033[K" goes to the beginning of the line and clears it (ECMA-48). */
static void show(struct progress *progress, int64_t now)
{
    double seconds = (double)(now - progress->begun_ms) / 1000;
    char line[LINE_TEXT], left[48] = "";

    if (progress->done && progress->done <= progress->total)
        snprintf(left, sizeof left, ", %.0f%%, %.0f s left",
                 100.0 * (double)progress->done / (double)progress->total,
                 seconds * (double)(progress->total - progress->done) / (double)progress->done);
    put(line, snprintf(line, sizeof line, "\r\033[K%s: %llu %s, %.0f/s%s", progress->what,
                       (unsigned long long)progress->count, progress->units,
                       seconds > 0 ? (double)progress->count / seconds : 0, left));
    progress->said_ms = now;
    progress->shown = true;
}

void progress_tick(struct progress *progress)
{
    int64_t now;

    if (!progress->enabled)
        return;
    now = clock_ms();
    if (now - progress->said_ms >= AGAIN_MS)
        show(progress, now);
}

void progress_add(struct progress *progress, uint64_t done, uint64_t count)
{
    uint64_t before = progress->count / LOOK_COUNT;

    if (!progress->enabled)
        return;
    progress->done += done;
    progress->count += count;
    if (progress->count / LOOK_COUNT != before)
        progress_tick(progress);
}

void progress_end(struct progress *progress)
{
    if (!progress->enabled)
        return;
    wipe();
    progress->enabled = false;
    current = NULL;
}
