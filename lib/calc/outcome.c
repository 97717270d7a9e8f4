#include "calc/outcome.h"

#include "base/digits.h"
#include "base/number.h"
#include "calc/message.h"

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

const char *outcome_action(const struct outcome *outcome)
{
    if (outcome->reason != REASON_NONE)
        return "CommandRejected";
    return outcome->action == ACTION_CREATE ? "ValueCreated" : "ValueUpdated";
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
    char *at;

    if (outcome->action == ACTION_CREATE)
        write_id(out, "{\"action\":\"ValueCreated\",\"id\":\"", &outcome->id);
    else
        write_id(out, "{\"action\":\"ValueUpdated\",\"id\":\"", &outcome->id);
    write_id(out, "\",\"parent\":\"", &outcome->parent);
    buffer_append(out, "\",\"data\":", 9);
    message_write_data(outcome->action, &outcome->value_id, outcome->value, out);
    at = buffer_reserve(out, 11 + 20 + 10 + NUMBER_TEXT);
    if (!at)
        return;
    memcpy(at, ",\"version\":", 11);
    at = digits_put(at + 11, outcome->version);
    memcpy(at, ",\"result\":", 10);
    at += 10;
    at += number_write(outcome->result, at);
    out->len = (size_t)(at - out->data);
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
