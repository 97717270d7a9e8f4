/* Diagnostics on stderr, one line each: "calc-handle: ...". Only programs print; the library
 * reports by struct error. If stderr is the journal, as JOURNAL_STREAM tells, a line begins with its
 * level as sd-daemon(3) has it, "<3>calc-handle: ...", and a text of several lines is one. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

enum diag_level { DIAG_ERROR, DIAG_WARN, DIAG_INFO, DIAG_DEBUG };

/* Names the program and takes the level from LOG_LEVEL: error, warn (the default), info, debug. */
void diag_open(const char *program);

/* From now on a fault is one line, not one a record that it hits: a line like one of the last half
 * minute, numbers aside, is only counted. */
void diag_calm(void);

/* Says how many were counted, once half a minute is over: to be called now and then. The rest is said
 * when the program exits. */
void diag_recall(void);

/* What the calling thread is at from now on, and which one of these: "request", and an id that somebody else
 * gave, of which at most DIAG_ID_TEXT characters are shown, and a question mark for each that could be something
 * else than an id. Its lines begin with that, and are alike whichever it is. Both texts have to live until
 * it is called again; NULL: nothing in particular. */
enum { DIAG_ID_TEXT = 64 };
void diag_about(const char *what, const char *id);

/* Called before a line is written, to make room on a terminal; NULL at first. */
extern void (*diag_before)(void);

/* Writes the line in one write(2) if the level is on. Thread-safe. */
void diag_write(enum diag_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define diag_error(...) diag_write(DIAG_ERROR, __VA_ARGS__)
#define diag_warn(...) diag_write(DIAG_WARN, __VA_ARGS__)
#define diag_info(...) diag_write(DIAG_INFO, __VA_ARGS__)
#define diag_debug(...) diag_write(DIAG_DEBUG, __VA_ARGS__)

#endif
