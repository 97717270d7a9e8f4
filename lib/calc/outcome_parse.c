#include "calc/message.h"
#include "calc/outcome.h"
#include "calc/scan.h"

/* The canonical spelling of an event. False if the line has any other. */
static bool scan_event(const char *line, size_t len, struct outcome *event)
{
    struct scan scan = {line, line + len};
    bool create = scan_literal(&scan, "{\"action\":\"ValueCreated\",\"id\":\"");

    if (!create && !scan_literal(&scan, "{\"action\":\"ValueUpdated\",\"id\":\""))
        return false;
    if (!scan_id(&scan, &event->id) || !scan_literal(&scan, ",\"parent\":\"") ||
        !scan_id(&scan, &event->parent) || !scan_literal(&scan, ",\"data\":") ||
        !scan_data(&scan, create, &event->value_id, &event->action, &event->value) ||
        !scan_literal(&scan, ",\"version\":") || !scan_count(&scan, &event->version) ||
        !event->version || !scan_literal(&scan, ",\"result\":") ||
        !scan_number(&scan, &event->result))
        return false;
    if (scan_literal(&scan, ",\"timestamp\":\"") && !scan_timestamp(&scan, &event->timestamp))
        return false;
    if (scan_literal(&scan, ",\"actor\":\"") && !scan_actor(&scan, &event->actor))
        return false;
    return scan_literal(&scan, "}") && scan.at == scan.end;
}

static bool text_is(const struct json *value, const char *wanted)
{
    size_t len = 0;
    const char *text = json_text(value, &len);

    return text && len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

static int read_version(const char *line, size_t len, struct outcome *outcome,
                        struct error *error)
{
    if (!json_count(line, len, "version", &outcome->version) || outcome->version == UINT64_MAX ||
        (outcome->version == 0 && outcome->reason == REASON_NONE))
        return error_set(error, EX_DATAERR, "version is no count");
    return 0;
}

/* Members that events and rejections of commands share. */
static int read_decided(const struct json *object, bool create, const char *line, size_t len,
                        struct outcome *outcome, struct error *error)
{
    const struct json *data = json_get(object, "data");

    if (message_read_id(object, "id", &outcome->id, error) < 0 ||
        message_read_id(object, "parent", &outcome->parent, error) < 0 ||
        message_read_id(data, "value_id", &outcome->value_id, error) < 0 ||
        message_read_data(data, create, &outcome->action, &outcome->value, error) < 0 ||
        read_version(line, len, outcome, error) < 0 ||
        message_read_timestamp(object, &outcome->timestamp, error) < 0)
        return -1;
    return message_read_actor(object, "actor", &outcome->actor, error);
}

static int read_event(const struct json *object, const char *line, size_t len,
                      struct outcome *event, struct error *error)
{
    bool create = text_is(json_get(object, "action"), "ValueCreated");

    if (!create && !text_is(json_get(object, "action"), "ValueUpdated"))
        return error_set(error, EX_DATAERR, "action is neither ValueCreated nor ValueUpdated");
    if (read_decided(object, create, line, len, event, error) < 0)
        return -1;
    if (!json_number(json_get(object, "result"), &event->result))
        return error_set(error, EX_DATAERR, "result is no number");
    return 0;
}

static int read_rejection(const struct json *object, const char *line, size_t len,
                          struct outcome *rejection, struct error *error)
{
    const struct json *data = json_get(object, "data");
    size_t text_len = 0;
    const char *text = json_text(json_get(object, "reason"), &text_len);

    if (!text_is(json_get(object, "action"), "CommandRejected"))
        return error_set(error, EX_DATAERR, "action is not CommandRejected");
    if (!text || reason_read(text, text_len, &rejection->reason) < 0)
        return error_set(error, EX_DATAERR, "reason is none that is known");
    if (rejection->reason != REASON_MALFORMED)
        return read_decided(object, !json_get(data, "operation"), line, len, rejection, error);
    text = json_text(json_get(data, "position"), &text_len);
    if (!text || text_len >= sizeof rejection->position)
        return error_set(error, EX_DATAERR, "position is no text");
    memcpy(rejection->position, text, text_len);
    rejection->position[text_len] = '\0';
    return message_read_id(object, "id", &rejection->id, error);
}

typedef int reader(const struct json *object, const char *line, size_t len,
                   struct outcome *outcome, struct error *error);

static int parse(reader *read, const char *line, size_t len, struct outcome *outcome,
                 struct error *error)
{
    struct json *object = json_parse_object(line, len, error);
    int result;

    if (!object)
        return -1;
    outcome->reason = REASON_NONE;
    outcome->timestamp = TIMESTAMP_NONE;
    outcome->actor.len = 0;
    result = read(object, line, len, outcome, error);
    json_free(object);
    return result;
}

int event_parse(const char *line, size_t len, struct outcome *event, struct error *error)
{
    event->reason = REASON_NONE;
    event->timestamp = TIMESTAMP_NONE;
    event->actor.len = 0;
    if (scan_event(line, len, event))
        return 0;
    return parse(read_event, line, len, event, error);
}

int rejection_parse(const char *line, size_t len, struct outcome *rejection, struct error *error)
{
    return parse(read_rejection, line, len, rejection, error);
}
