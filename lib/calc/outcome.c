#include "calc/outcome.h"

#include "base/lines.h"
#include "calc/message.h"
#include "calc/scan.h"

static const char *const reasons[] = {
    [REASON_MALFORMED] = "malformed",
    [REASON_MISPLACED] = "misplaced",
    [REASON_ID_REUSED] = "id_reused",
    [REASON_VALUE_EXISTS] = "value_exists",
    [REASON_UNKNOWN_VALUE] = "unknown_value",
    [REASON_FORBIDDEN] = "forbidden",
    [REASON_VERSION_CONFLICT] = "version_conflict",
    [REASON_OUT_OF_RANGE] = "out_of_range",
};

const char *reason_text(enum reason reason)
{
    return reasons[reason];
}

int reason_read(const char *text, size_t len, enum reason *reason)
{
    for (*reason = REASON_MALFORMED; *reason <= REASON_OUT_OF_RANGE; ++*reason)
        if (strlen(reasons[*reason]) == len && memcmp(reasons[*reason], text, len) == 0)
            return 0;
    return -1;
}

void outcome_derive_id(const struct id *value_id, const struct id *command_id, struct id *id)
{
    struct id pair[2] = {*value_id, *command_id};

    id_derive(&calc_namespace, pair, sizeof pair, id);
}

void outcome_derive_id_from_line(const char *position, const char *line, size_t len,
                                 struct id *id)
{
    char name[POSITION_TEXT + 1 + LINE_MAX_BYTES];
    size_t position_len = strlen(position);

    if (len > LINE_MAX_BYTES)
        len = LINE_MAX_BYTES;
    memcpy(name, position, position_len);
    name[position_len] = '\n';
    memcpy(name + position_len + 1, line, len);
    id_derive(&calc_namespace, name, position_len + 1 + len, id);
}

void outcome_malformed(struct outcome *outcome, const char *position, const char *line,
                       size_t len)
{
    outcome->reason = REASON_MALFORMED;
    outcome->timestamp = TIMESTAMP_NONE;
    outcome->actor.len = 0;
    strncpy(outcome->position, position, sizeof outcome->position - 1);
    outcome->position[sizeof outcome->position - 1] = '\0';
    outcome_derive_id_from_line(outcome->position, line, len, &outcome->id);
}

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

/* A literal in front, then an id. */
static void write_id(struct buffer *out, const char *literal, const struct id *id)
{
    size_t len = strlen(literal);
    char *at = buffer_reserve(out, len + ID_TEXT);

    if (!at)
        return;
    memcpy(at, literal, len);
    id_write(id, at + len);
    out->len += len + ID_TEXT;
}

static void write_rejection(const struct outcome *outcome, struct buffer *out)
{
    write_id(out, "{\"action\":\"CommandRejected\",\"id\":\"", &outcome->id);
    if (outcome->reason == REASON_MALFORMED) {
        buffer_append_text(out, "\",\"parent\":null,\"data\":{\"position\":");
        json_write_string(out, outcome->position, strlen(outcome->position));
        buffer_append_text(out, "},\"reason\":\"malformed\"}\n");
        return;
    }
    write_id(out, "\",\"parent\":\"", &outcome->parent);
    buffer_append_text(out, "\",\"data\":");
    message_write_data(outcome->action, &outcome->value_id, outcome->value, out);
    buffer_printf(out, ",\"reason\":\"%s\",\"version\":%llu", reason_text(outcome->reason),
                  (unsigned long long)outcome->version);
    message_write_asked(outcome->timestamp, &outcome->actor, out);
    buffer_append(out, "}\n", 2);
}

static void write_event(const struct outcome *outcome, struct buffer *out)
{
    char number[24], *first = number + sizeof number, *at;
    uint64_t version = outcome->version;

    if (outcome->action == ACTION_CREATE)
        write_id(out, "{\"action\":\"ValueCreated\",\"id\":\"", &outcome->id);
    else
        write_id(out, "{\"action\":\"ValueUpdated\",\"id\":\"", &outcome->id);
    write_id(out, "\",\"parent\":\"", &outcome->parent);
    buffer_append(out, "\",\"data\":", 9);
    message_write_data(outcome->action, &outcome->value_id, outcome->value, out);
    do
        *--first = (char)('0' + version % 10);
    while (version /= 10);
    buffer_append(out, ",\"version\":", 11);
    buffer_append(out, first, (size_t)(number + sizeof number - first));
    buffer_append(out, ",\"result\":", 10);
    at = buffer_reserve(out, NUMBER_TEXT);
    if (!at)
        return;
    out->len += number_write(outcome->result, at);
    message_write_asked(outcome->timestamp, &outcome->actor, out);
    buffer_append(out, "}\n", 2);
}

void outcome_write(const struct outcome *outcome, struct buffer *out)
{
    if (outcome->reason == REASON_NONE)
        write_event(outcome, out);
    else
        write_rejection(outcome, out);
}

void outcome_write_status(const struct outcome *outcome, struct buffer *out)
{
    char number[NUMBER_TEXT];

    if (!outcome)
        buffer_append_text(out, "\"status\":\"pending\"");
    else if (outcome->reason == REASON_NONE)
        buffer_printf(out, "\"status\":\"applied\",\"version\":%llu,\"result\":%.*s",
                      (unsigned long long)outcome->version,
                      (int)number_write(outcome->result, number), number);
    else
        buffer_printf(out, "\"status\":\"rejected\",\"reason\":\"%s\",\"version\":%llu",
                      reason_text(outcome->reason), (unsigned long long)outcome->version);
}
