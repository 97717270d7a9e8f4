/* FOLDER/commands.count is one line, replaced as a whole:
 *
 *     1 OFFSET RECORDS DIGEST
 *
 * format 1; the records before the offset, where a line ends; the UUIDv5 of that last line. A log that
 * has another line there, or none, is counted anew, and so is any other text: nothing is lost with it. */
#include "tally.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "calc/message.h"

enum {
    COUNT_BYTES = 1 << 28, /* at once: a fraction of a second */
    KEEP_BYTES = 1 << 20   /* worth to be remembered */
};

struct count {
    uint64_t offset, records;
    struct id digest;
};

static int digest_before(struct log_look *log, uint64_t offset, struct id *digest,
                         struct error *error)
{
    struct log_line line;

    if (log_look_before(log, offset, &line, error) < 0)
        return -1;
    id_derive(&calc_namespace, line.data ? line.data : "", line.len, digest);
    return 0;
}

/* Whether it is of this log. */
static bool fits(struct log_look *log, const struct count *count)
{
    struct id digest;
    struct error error;

    return count->offset == 0 ||
           (count->offset <= log->end && digest_before(log, count->offset, &digest, &error) == 0 &&
            id_equal(&digest, &count->digest));
}

static void name_file(const char *folder, const char *suffix, char path[4096])
{
    snprintf(path, 4096, "%.4000s/commands.count%s", folder, suffix);
}

static void recall(const char *folder, struct count *count)
{
    unsigned long long offset, records;
    char path[4096], text[128] = "", digest[ID_TEXT + 1];
    int fd, end = 0;

    name_file(folder, "", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0 &&
        sscanf(text, "1 %19llu %19llu %36[0-9a-f-]%n", &offset, &records, digest, &end) == 3 &&
        strcmp(text + end, "\n") == 0 && id_parse(digest, strlen(digest), &count->digest) == 0) {
        count->offset = offset;
        count->records = records;
    }
    close(fd);
}

/* It may fail: then the next process counts again. */
static void remember(const char *folder, const struct count *count)
{
    char path[4096], fresh[4096], text[128], digest[ID_TEXT];
    int fd, len;

    id_write(&count->digest, digest);
    len = snprintf(text, sizeof text, "1 %llu %llu %.36s\n", (unsigned long long)count->offset,
                   (unsigned long long)count->records, digest);
    name_file(folder, "", path);
    name_file(folder, ".new", fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    if (write(fd, text, (size_t)len) != len || rename(fresh, path) < 0)
        unlink(fresh);
    close(fd);
}

static int count_on(struct log_look *log, const char *folder, struct count *count,
                    struct error *error)
{
    uint64_t more, to;

    if (log_look_count(log, count->offset, COUNT_BYTES, &more, &to, error) < 0)
        return -1;
    if (to == count->offset)
        return count->offset == log->end;
    if (digest_before(log, to, &count->digest, error) < 0)
        return -1;
    count->records += more;
    more = to - count->offset;
    count->offset = to;
    if (more >= KEEP_BYTES)
        remember(folder, count);
    return to == log->end;
}

int tally(struct log_look *log, const char *folder, uint64_t *records, struct error *error)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct count known;
    struct count count;
    int result;

    pthread_mutex_lock(&mutex);
    count = known;
    if (!count.offset)
        recall(folder, &count);
    if (!fits(log, &count))
        count = (struct count){0};
    result = count_on(log, folder, &count, error);
    if (result >= 0)
        known = count;
    *records = count.records;
    pthread_mutex_unlock(&mutex);
    return result;
}
