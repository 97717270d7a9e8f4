#include "stream/append.h"

#include <stdlib.h>

#include "stream/group.h"
#include "stream/reader.h"

/* One of the two is there. */
struct appender {
    struct group *group;
    struct kafka_appender *kafka;
};

int appender_open(const char *name, const struct append_questions *questions, struct appender **out,
                  struct error *error)
{
    struct appender *appender;
    enum stream_kind kind;
    const char *path;

    if (stream_parse(name, &kind, &path, error) < 0)
        return -1;
    if (kind == STREAM_STDIO)
        return error_set(error, EX_USAGE, "%s is no log", name);
    appender = calloc(1, sizeof *appender);
    if (!appender)
        return error_memory(error);
    if (kind == STREAM_KAFKA)
        appender->kafka = stream_kafka->appender_new(name, path, questions);
    else
        appender->group = group_new(path, questions->give_up);
    if (!appender->kafka && !appender->group) {
        free(appender);
        return error_memory(error);
    }
    *out = appender;
    return 0;
}

void appender_close(struct appender *appender)
{
    if (!appender)
        return;
    group_free(appender->group);
    if (appender->kafka)
        stream_kafka->appender_free(appender->kafka);
    free(appender);
}

int appender_append(struct appender *appender, const struct id *key, const char *line, size_t len,
                    uint64_t *cut, bool *unknown, struct error *error)
{
    uint64_t offset;

    *cut = 0;
    if (appender->kafka)
        return stream_kafka->appender_append(appender->kafka, key, line, len, unknown, error);
    return group_append(appender->group, line, len, &offset, cut, unknown, error);
}

const struct histogram *appender_commits(const struct appender *appender)
{
    return appender->group ? group_commits(appender->group) : NULL;
}

bool appender_is_poisoned(struct appender *appender)
{
    return appender->group && group_is_poisoned(appender->group);
}
