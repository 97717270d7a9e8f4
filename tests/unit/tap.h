/* What a test says, in TAP (testanything.org): a line a sentence, and how many there were. */
#ifndef UNIT_TAP_H
#define UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failures, tap_notes;

/* The sentence is true or it isn't. Returns whether it is. */
#define ok(condition, ...) tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)

/* One of many facts below a sentence: silent where it holds, and only the first few that don't are
 * told. Returns 1 where it doesn't hold, so that a loop can add them up. */
#define wrong(condition, ...) tap_wrong((condition), __VA_ARGS__)

static inline void tap_say(FILE *out, const char *format, va_list args)
{
    char text[1024];

    vsnprintf(text, sizeof text, format, args);
    for (char *at = text; *at; at++)
        if (*at == '\n' || *at == '#')
            *at = ' '; /* would end the line, or begin a directive */
    fputs(text, out);
    putc('\n', out);
}

static inline bool __attribute__((format(printf, 4, 5)))
tap_ok(bool condition, const char *file, int line, const char *format, ...)
{
    va_list args;

    printf("%s %d - ", condition ? "ok" : "not ok", ++tap_count);
    va_start(args, format);
    tap_say(stdout, format, args);
    va_end(args);
    if (!condition) {
        tap_failures++;
        printf("# at %s:%d\n", file, line);
    }
    fflush(stdout);
    tap_notes = 0;
    return condition;
}

static inline int __attribute__((format(printf, 2, 3)))
tap_wrong(bool condition, const char *format, ...)
{
    va_list args;

    if (condition)
        return 0;
    if (tap_notes++ < 10) {
        fputs("# ", stdout);
        va_start(args, format);
        tap_say(stdout, format, args);
        va_end(args);
    }
    return 1;
}

/* The plan, and the exit status: `return tap_done();` ends every main. */
static inline int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failures > 0;
}

#endif
