#include "calc/outcome.h"

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

static void write_reason(const struct outcome *outcome, struct buffer *out)
{
    buffer_append_text(out, ",\"reason\":\"");
    buffer_append_text(out, reason_text(outcome->reason));
    message_write_count("\",\"version\":", outcome->version, out);
}

static void write_result(const struct outcome *outcome, struct buffer *out)
{
    message_write_count(",\"version\":", outcome->version, out);
    message_write_number(",\"result\":", outcome->result, out);
}

static void write_rejection(const struct outcome *outcome, struct buffer *out)
{
    message_write_id("{\"action\":\"CommandRejected\",\"id\":\"", &outcome->id, out);
    if (outcome->reason == REASON_MALFORMED) {
        buffer_append_text(out, "\",\"parent\":null,\"data\":{\"position\":");
        json_write_string(out, outcome->position, strlen(outcome->position));
        buffer_append_text(out, "},\"reason\":\"malformed\"}\n");
        return;
    }
    message_write_id("\",\"parent\":\"", &outcome->parent, out);
    buffer_append_text(out, "\",\"data\":");
    message_write_data(outcome->action, &outcome->value_id, outcome->value, out);
    write_reason(outcome, out);
    message_write_asked(outcome->timestamp, &outcome->actor, out);
    buffer_append(out, "}\n", 2);
}

static void write_event(const struct outcome *outcome, struct buffer *out)
{
    if (outcome->action == ACTION_CREATE)
        message_write_id("{\"action\":\"ValueCreated\",\"id\":\"", &outcome->id, out);
    else
        message_write_id("{\"action\":\"ValueUpdated\",\"id\":\"", &outcome->id, out);
    message_write_id("\",\"parent\":\"", &outcome->parent, out);
    buffer_append(out, "\",\"data\":", 9);
    message_write_data(outcome->action, &outcome->value_id, outcome->value, out);
    write_result(outcome, out);
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
    if (!outcome) {
        buffer_append_text(out, "\"status\":\"pending\"");
    } else if (outcome->reason == REASON_NONE) {
        buffer_append_text(out, "\"status\":\"applied\"");
        write_result(outcome, out);
    } else {
        buffer_append_text(out, "\"status\":\"rejected\"");
        write_reason(outcome, out);
    }
}
