#include "tool/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"

enum { SETTLED_SECONDS = 2 };

struct policy_file {
    const char *path;
    struct stat seen;   /* as it was when it was read; all zero: it couldn't be */
    bool settled;       /* who changes it now can't leave all of that as it is */
    struct buffer text; /* that was read last, good or not */
    struct error told;  /* what was wrong when it was looked at last */

    pthread_rwlock_t lock; /* for what follows */
    struct policy *policy;
    _Atomic unsigned edition;
};

/* --- reading --- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static int read_open(int fd, const char *path, struct buffer *text, struct stat *seen,
                     struct error *error)
{
    ssize_t got = 1;

    if (fstat(fd, seen) < 0)
        return error_errno(error, EX_CONFIG, "can't read the policy %s", path);
    if (!S_ISREG(seen->st_mode))
        return error_set(error, EX_CONFIG, "the policy %s is no regular file", path);
    while (got > 0 && text->len <= POLICY_MAX_BYTES) {
        char *at = buffer_reserve(text, 1 << 16);
        if (!at)
            return error_memory(error);
        got = read(fd, at, 1 << 16);
        if (got < 0)
            return error_errno(error, EX_CONFIG, "can't read the policy %s", path);
        text->len += (size_t)got;
    }
    if (text->len > POLICY_MAX_BYTES)
        return error_set(error, EX_CONFIG, "the policy %s is longer than %d bytes", path,
                         POLICY_MAX_BYTES);
    return buffer_reserve(text, 1) ? 0 : error_memory(error); /* a byte behind its end */
}

/* The file's text, and as which file it was read. */
static int read_file(const char *path, struct buffer *text, struct stat *seen,
                     struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), result;

    *seen = (struct stat){0};
    if (fd < 0)
        return error_errno(error, EX_CONFIG, "can't read the policy %s", path);
    result = read_open(fd, path, text, seen, error);
    close(fd);
    return result;
}

static int parse(const char *path, const struct buffer *text, struct policy **policy,
                 struct error *error)
{
    struct error reason;

    text->data[text->len] = '\0';
    if (policy_parse(text->data, text->len, policy, &reason) == 0)
        return 0;
    if (reason.status != EX_DATAERR)
        return error_set(error, reason.status, "can't read the policy %s: %s", path, reason.text);
    return error_set(error, EX_CONFIG, "%s:%s", path, reason.text);
}

/* --- taking --- */

static void take(struct policy_file *file, struct policy *policy)
{
    struct policy *before;

    pthread_rwlock_wrlock(&file->lock);
    before = file->policy;
    file->policy = policy;
    file->edition++;
    pthread_rwlock_unlock(&file->lock);
    policy_free(before);
}

/* A file that was changed a moment ago may be again without looking any different: clocks have ticks. */
static bool is_settled(const struct stat *seen)
{
    return seen->st_ctim.tv_sec && time(NULL) - seen->st_ctim.tv_sec >= SETTLED_SECONDS;
}

/* Reads it again: *text, which is empty if it can't be read now. */
static int read_again(struct policy_file *file, struct buffer *text, struct error *error)
{
    int result = read_file(file->path, text, &file->seen, error);

    file->settled = result == 0 && is_settled(&file->seen);
    if (result < 0)
        buffer_release(text);
    return result;
}

static bool same_text(const struct buffer *a, const struct buffer *b)
{
    return a->data && b->data && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* As policy_file_look(). What was read last is kept, good or not, unless there was no memory for it. */
static int renew(struct policy_file *file, struct error *error)
{
    struct policy *policy;
    struct buffer text = {0};
    int result = read_again(file, &text, error);

    if (same_text(&text, &file->text)) {
        buffer_release(&text);
        return 0;
    }
    if (result == 0)
        result = parse(file->path, &text, &policy, error);
    if (result < 0 && error->status == EX_TEMPFAIL) {
        file->settled = false;
        buffer_release(&text);
    }
    buffer_release(&file->text);
    file->text = text;
    if (result < 0)
        return -1;
    take(file, policy);
    return 1;
}

int policy_file_look(struct policy_file *file, struct error *error)
{
    struct stat now;
    bool known;
    int result;

    if (!file || (file->settled && stat(file->path, &now) == 0 && same(&now, &file->seen)))
        return 0;
    result = renew(file, error);
    if (result == 0)
        return 0;
    /* a text that is known isn't read again; that none can be read is known by its reason */
    known = result < 0 && !file->text.data && strcmp(error->text, file->told.text) == 0;
    file->told = result < 0 ? *error : (struct error){0};
    return known ? 0 : result;
}

bool policy_file_renew(struct policy_file *file)
{
    struct error error;
    int result = policy_file_look(file, &error);

    if (result < 0)
        diag_error("%s; the policy of before goes on", error.text);
    else if (result > 0)
        diag_info("took the policy anew");
    return result > 0;
}

int policy_file_open(const char *path, struct policy_file **out, struct error *error)
{
    struct policy_file *file = calloc(1, sizeof *file);

    if (!file)
        return error_memory(error);
    file->path = path;
    pthread_rwlock_init(&file->lock, NULL);
    if (renew(file, error) < 0) {
        policy_file_close(file);
        return -1;
    }
    *out = file;
    return 0;
}

void policy_file_close(struct policy_file *file)
{
    if (!file)
        return;
    pthread_rwlock_destroy(&file->lock);
    policy_free(file->policy);
    buffer_release(&file->text);
    free(file);
}

/* --- asking --- */

unsigned policy_file_edition(struct policy_file *file)
{
    return file ? file->edition : 0;
}

bool policy_file_allows(struct policy_file *file, enum deed deed, const struct actor *actor)
{
    bool allowed;

    if (!file)
        return true;
    pthread_rwlock_rdlock(&file->lock);
    allowed = policy_allows(file->policy, deed, actor);
    pthread_rwlock_unlock(&file->lock);
    return allowed;
}

enum refusal policy_file_changes(struct policy_file *file, const struct actor *actor)
{
    enum refusal refusal;

    if (!file)
        return REFUSAL_NONE;
    pthread_rwlock_rdlock(&file->lock);
    refusal = policy_changes(file->policy, actor);
    pthread_rwlock_unlock(&file->lock);
    return refusal;
}

enum refusal policy_file_admit(struct policy_file *file, struct command *command)
{
    enum refusal refusal;

    if (!file)
        return REFUSAL_NONE;
    pthread_rwlock_rdlock(&file->lock);
    refusal = policy_admit(file->policy, command);
    pthread_rwlock_unlock(&file->lock);
    return refusal;
}
