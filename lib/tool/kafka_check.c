#include "tool/kafka_check.h"

#include <string.h>

#include "base/diag.h"
#include "stream/stream.h"

/* Prints each line at that level; with `last` the last one goes there instead. */
static void say(const struct buffer *lines, enum diag_level level, struct error *last)
{
    const char *at = lines->data, *end = lines->data + lines->len;

    while (at < end) {
        int len = (int)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
        if (last && at + len + 1 == end)
            error_set(last, EX_CONFIG, "%.*s", len, at);
        else
            diag_write(level, "%.*s", len, at);
        at += len + 1;
    }
}

void kafka_check_say(const struct kafka_topics *topics, struct error *error)
{
    say(&topics->warnings, DIAG_WARN, NULL);
    say(&topics->problems, DIAG_ERROR, error);
}

static int check(const char *const streams[KAFKA_ROLES], unsigned needed, bool unsampled,
                 int timeout_ms, struct error *error)
{
    struct kafka_topics topics = {
        .needed = needed, .unsampled = unsampled, .timeout_ms = timeout_ms};
    bool any = false;
    int result;

    for (int role = 0; role < KAFKA_ROLES; role++) {
        enum stream_kind kind;
        const char *path;
        if (!streams[role])
            continue;
        if (stream_parse(streams[role], &kind, &path, error) < 0)
            return -1;
        if (kind == STREAM_KAFKA)
            topics.names[role] = kafka_topic(path, (enum kafka_role)role), any = true;
    }
    if (!any)
        return 0;
    result = kafka_topics_check(&topics, error);
    kafka_check_say(&topics, error);
    kafka_topics_release(&topics);
    return result;
}

int kafka_check(const char *const streams[KAFKA_ROLES], unsigned needed, int timeout_ms,
                struct error *error)
{
    return check(streams, needed, false, timeout_ms, error);
}

int kafka_check_quickly(const char *const streams[KAFKA_ROLES], unsigned needed, int timeout_ms,
                        struct error *error)
{
    return check(streams, needed, true, timeout_ms, error);
}
