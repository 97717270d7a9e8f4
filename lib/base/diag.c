#include "base/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *name = "calc";
static enum diag_level threshold = DIAG_WARN;

void diag_open(const char *program)
{
    static const char *const level[] = {"error", "warn", "info", "debug"};
    const char *wanted = getenv("LOG_LEVEL");

    name = program;
    if (!wanted || !*wanted)
        return;
    for (int i = DIAG_ERROR; i <= DIAG_DEBUG; i++)
        if (strcmp(wanted, level[i]) == 0) {
            threshold = (enum diag_level)i;
            return;
        }
    diag_warn("LOG_LEVEL is error, warn, info or debug, not '%s'", wanted);
}

void diag_write(enum diag_level level, const char *format, ...)
{
    int saved = errno, len;
    char line[2048];
    va_list args;

    if (level > threshold)
        return;
    len = snprintf(line, sizeof line, "%s: ", name);
    va_start(args, format);
    len += vsnprintf(line + len, sizeof line - (size_t)len, format, args);
    va_end(args);
    if ((size_t)len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)len) < 0) {
        /* there is nowhere left to say it */
    }
    errno = saved;
}
