#include "calc/message.h"
#include "calc/outcome.h"
#include "calc/scan.h"

/* What an event and a rejection of a command may end with. */
static bool scan_asked(struct scan *scan, struct outcome *outcome)
{
    if (scan_literal(scan, ",\"timestamp\":\"") && !scan_timestamp(scan, &outcome->timestamp))
        return false;
    return !scan_literal(scan, ",\"actor\":\"") || scan_actor(scan, &outcome->actor);
}

static bool scan_event(struct scan *scan, struct outcome *event)
{
    bool create = scan_literal(scan, "{\"action\":\"ValueCreated\",\"id\":\"");

    if (!create && !scan_literal(scan, "{\"action\":\"ValueUpdated\",\"id\":\""))
        return false;
    return scan_id(scan, &event->id) && scan_literal(scan, ",\"parent\":\"") &&
           scan_id(scan, &event->parent) && scan_literal(scan, ",\"data\":") &&
           scan_data(scan, create, &event->value_id, &event->action, &event->value) &&
           scan_literal(scan, ",\"version\":") && scan_count(scan, &event->version) &&
           event->version && scan_literal(scan, ",\"result\":") &&
           scan_number(scan, &event->result) && scan_asked(scan, event);
}

static bool scan_reason(struct scan *scan, struct outcome *rejection)
{
    const char *text;
    size_t len;

    return scan_literal(scan, ",\"reason\":\"") && scan_string(scan, &text, &len) &&
           reason_read(text, len, &rejection->reason) == 0;
}

static bool scan_malformed(struct scan *scan, struct outcome *rejection)
{
    const char *text;
    size_t len;

    if (!scan_literal(scan, "{\"position\":\"") || !scan_string(scan, &text, &len) ||
        len >= sizeof rejection->position || !scan_literal(scan, "}"))
        return false;
    memcpy(rejection->position, text, len);
    rejection->position[len] = '\0';
    return scan_reason(scan, rejection) && rejection->reason == REASON_MALFORMED;
}

/* A command's data: the operation tells which. */
static bool scan_command_data(struct scan *scan, struct outcome *rejection)
{
    struct scan begin = *scan;

    if (scan_data(scan, true, &rejection->value_id, &rejection->action, &rejection->value))
        return true;
    *scan = begin;
    return scan_data(scan, false, &rejection->value_id, &rejection->action, &rejection->value);
}

static bool scan_rejection(struct scan *scan, struct outcome *rejection)
{
    if (!scan_literal(scan, "{\"action\":\"CommandRejected\",\"id\":\"") ||
        !scan_id(scan, &rejection->id) || !scan_literal(scan, ",\"parent\":"))
        return false;
    if (scan_literal(scan, "null,\"data\":"))
        return scan_malformed(scan, rejection);
    return scan_literal(scan, "\"") && scan_id(scan, &rejection->parent) &&
           scan_literal(scan, ",\"data\":") && scan_command_data(scan, rejection) &&
           scan_reason(scan, rejection) && rejection->reason != REASON_MALFORMED &&
           scan_literal(scan, ",\"version\":") && scan_count(scan, &rejection->version) &&
           scan_asked(scan, rejection);
}

static void clear(struct outcome *outcome)
{
    outcome->reason = REASON_NONE;
    outcome->timestamp = TIMESTAMP_NONE;
    outcome->actor.len = 0;
}

const char *outcome_scan(const char *line, size_t len, struct outcome *outcome)
{
    struct scan scan = {line, line + len};

    clear(outcome);
    if (scan_event(&scan, outcome))
        return scan.at;
    scan.at = line;
    clear(outcome);
    return scan_rejection(&scan, outcome) ? scan.at : NULL;
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
    clear(outcome);
    result = read(object, line, len, outcome, error);
    json_free(object);
    return result;
}

int event_parse(const char *line, size_t len, struct outcome *event, struct error *error)
{
    struct scan scan = {line, line + len};

    clear(event);
    if (scan_event(&scan, event) && scan_literal(&scan, "}") && scan.at == scan.end)
        return 0;
    return parse(read_event, line, len, event, error);
}

int rejection_parse(const char *line, size_t len, struct outcome *rejection, struct error *error)
{
    struct scan scan = {line, line + len};

    clear(rejection);
    if (scan_rejection(&scan, rejection) && scan_literal(&scan, "}") && scan.at == scan.end)
        return 0;
    return parse(read_rejection, line, len, rejection, error);
}
