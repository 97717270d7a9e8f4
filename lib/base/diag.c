#include "base/diag.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_TEXT = 2048, FAULTS = 16, CALM_MS = 30000 };

void (*diag_before)(void);

static const char *name = "calc";
static _Thread_local struct {
    const char *what, *id; /* NULL: nothing */
} about;
static enum diag_level threshold = DIAG_WARN;
static bool journal; /* that is what stderr is */

/* What was said lately, and how often it would have been since. */
static struct fault {
    uint64_t hash; /* 0: none */
    int64_t since_ms;
    enum diag_level level;
    unsigned long more;
    char text[160]; /* the last one's beginning */
} faults[FAULTS];
static bool calm;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* "DEVICE:INODE", see systemd.exec(5): stderr may have been sent elsewhere since. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
           status.st_ino == inode;
}

void diag_open(const char *program)
{
    static const char *const level[] = {"error", "warn", "info", "debug"};
    const char *wanted = getenv("LOG_LEVEL");

    name = program;
    journal = is_journal();
    if (!wanted || !*wanted)
        return;
    for (int i = DIAG_ERROR; i <= DIAG_DEBUG; i++)
        if (strcmp(wanted, level[i]) == 0) {
            threshold = (enum diag_level)i;
            return;
        }
    diag_warn("LOG_LEVEL is error, warn, info or debug, not '%s'", wanted);
}

void diag_about(const char *what, const char *id)
{
    about.what = what;
    about.id = id;
}

enum { ABOUT_TEXT = 32 + DIAG_ID_TEXT };

/* What the thread is at, with a colon behind it; empty if that is nothing. */
static const char *tell_about(char text[ABOUT_TEXT])
{
    static const char plain[] = "-_.@+/=:"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len, begin;

    *text = '\0';
    if (!about.what || !about.id)
        return text;
    begin = (size_t)snprintf(text, ABOUT_TEXT, "%.24s ", about.what);
    len = begin + (size_t)snprintf(text + begin, DIAG_ID_TEXT + 1, "%.*s", DIAG_ID_TEXT, about.id);
    if (len > begin + DIAG_ID_TEXT)
        len = begin + DIAG_ID_TEXT;
    for (size_t i = begin; i < len; i++)
        if (!strchr(plain, text[i]))
            text[i] = '?';
    memcpy(text + len, ": ", 3);
    return text;
}

/* The journal would take a text of several lines for several entries: there it is one. */
static void put(enum diag_level level, const char *of, const char *text)
{
    static const char *const prefix[] = {"<3>", "<4>", "<6>", "<7>"};
    const char *begin = journal ? prefix[level] : "";
    char line[LINE_TEXT + 256];
    size_t len = (size_t)snprintf(line, sizeof line, "%s%.64s: %s", begin, name, of);

    for (; *text && len < sizeof line - 8; text++) {
        if (journal && *text == '\n') {
            line[len++] = ';';
            line[len++] = ' ';
            text += strspn(text + 1, " ");
        } else {
            line[len++] = *text;
        }
    }
    line[len++] = '\n';
    if (diag_before)
        diag_before();
    if (write(STDERR_FILENO, line, len) < 0) {
        /* there is nowhere left to say it */
    }
}

/* --- a fault, not a record --- */

static void recall(struct fault *fault)
{
    char text[256];

    if (fault->more) {
        snprintf(text, sizeof text, "and %lu more like it, the last one: %s", fault->more,
                 fault->text);
        put(fault->level, "", text);
    }
    *fault = (struct fault){0};
}

static void recall_older(int64_t than_ms)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < FAULTS; i++)
        if (faults[i].hash && faults[i].since_ms <= than_ms)
            recall(&faults[i]);
    pthread_mutex_unlock(&mutex);
}

void diag_recall(void)
{
    recall_older(clock_ms() - CALM_MS);
}

static void recall_all(void)
{
    recall_older(INT64_MAX);
}

void diag_calm(void)
{
    if (!calm)
        atexit(recall_all);
    calm = true;
}

/* FNV-1a, without decimal digits: positions and counts differ from one to the next. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *text; text++)
        if (*text < '0' || *text > '9')
            hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash | 1;
}

/* Whether it was said lately: then it is counted. */
static bool is_known(enum diag_level level, const char *text)
{
    uint64_t hash = hash_of(text);
    int64_t now = clock_ms();
    struct fault *oldest = faults;
    bool known;

    pthread_mutex_lock(&mutex);
    for (int i = 0; i < FAULTS && oldest->hash != hash; i++)
        if (faults[i].hash == hash || faults[i].since_ms < oldest->since_ms)
            oldest = &faults[i];
    known = oldest->hash == hash && now - oldest->since_ms < CALM_MS;
    if (known) {
        oldest->more++;
    } else {
        recall(oldest);
        *oldest = (struct fault){.hash = hash, .since_ms = now, .level = level};
    }
    snprintf(oldest->text, sizeof oldest->text, "%.*s", (int)sizeof oldest->text - 1, text);
    pthread_mutex_unlock(&mutex);
    return known;
}

void diag_write(enum diag_level level, const char *format, ...)
{
    int saved = errno;
    char text[LINE_TEXT], of[ABOUT_TEXT];
    va_list args;

    if (level > threshold)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!calm || !is_known(level, text))
        put(level, tell_about(of), text);
    errno = saved;
}
