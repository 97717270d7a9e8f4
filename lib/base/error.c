#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int status, const char *format, ...)
{
    va_list args;

    error->status = status;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return -1;
}

int error_errno(struct error *error, int status, const char *format, ...)
{
    int number = errno;
    va_list args;
    size_t len;

    error->status = status;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    len = strlen(error->text);
    snprintf(error->text + len, sizeof error->text - len, ": %s", strerror(number));
    return -1;
}

int error_memory(struct error *error)
{
    return error_set(error, EX_TEMPFAIL, "out of memory");
}
