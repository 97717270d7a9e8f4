/* What went wrong, said once, where it happened. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <sysexits.h>

/* EX_USAGE 64, EX_DATAERR 65, EX_UNAVAILABLE 69, EX_SOFTWARE 70, EX_IOERR 74, EX_TEMPFAIL 75
 * and EX_CONFIG 78 are sysexits.h's; EXIT_NO is a clean "no": unknown, rejected. */
enum { EXIT_OK = 0, EXIT_NO = 1 };

/* An error is the exit status it deserves and a sentence without a final newline. */
struct error {
    int status;
    char text[768];
};

/* Fills *error and returns -1, so that a function can end with `return error_set(...)`. */
int error_set(struct error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with ": " and strerror(errno) behind it. */
int error_errno(struct error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "out of memory", status EX_TEMPFAIL: nothing was done. Returns -1. */
int error_memory(struct error *error);

#endif
