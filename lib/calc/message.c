#include "calc/message.h"

#include <string.h>

#include "base/number.h"

const struct id calc_namespace = {{0xea, 0x50, 0x02, 0xc0, 0x73, 0xf9, 0x4d, 0x45, 0x8c, 0x92, 0xf0,
                                   0xc2, 0xde, 0xaa, 0x73, 0x82}};

int message_read_id(const struct json *object, const char *key, struct id *id,
                    struct error *error)
{
    size_t len = 0;
    const char *text = json_text(json_get(object, key), &len);

    if (!text || id_parse(text, len, id) < 0)
        return error_set(error, EX_DATAERR, "%s is no UUID", key);
    return 0;
}

int message_read_actor(const struct json *object, const char *key, struct actor *actor,
                      struct error *error)
{
    const struct json *member = json_get(object, key);
    size_t len = 0;
    const char *text = json_text(member, &len);

    if (!member)
        return 0;
    if (!text || !len || actor_set(actor, text, len) < 0)
        return error_set(error, EX_DATAERR, "%s is no string of 1 to %d bytes", key,
                         ACTOR_MAX_BYTES);
    return 0;
}

int message_read_timestamp(const struct json *object, int64_t *timestamp, struct error *error)
{
    const struct json *member = json_get(object, "timestamp");
    size_t len = 0;
    const char *text = json_text(member, &len);

    *timestamp = TIMESTAMP_NONE;
    if (member && (!text || timestamp_read(text, len, timestamp) < 0))
        return error_set(error, EX_DATAERR, "timestamp is no RFC 3339 time");
    return 0;
}

int message_read_data(const struct json *object, bool create, enum action *action, double *value,
                      struct error *error)
{
    size_t len = 0;
    const char *operation = json_text(json_get(object, "operation"), &len);

    *action = ACTION_CREATE;
    if (!create && (!operation || operation_read(operation, len, action) < 0))
        return error_set(error, EX_DATAERR, "operation is neither ADD nor MULTIPLY");
    if (!json_number(json_get(object, "value"), value))
        return error_set(error, EX_DATAERR, "value is no number");
    return 0;
}

void message_write_data(enum action action, const struct id *value_id, double value, struct buffer *out)
{
    char *at = buffer_reserve(out, 128);

    if (!at)
        return;
    memcpy(at, "{\"value_id\":\"", 13);
    id_write(value_id, at + 13);
    at += 13 + ID_TEXT;
    *at++ = '"';
    if (action != ACTION_CREATE) {
        size_t len = strlen(action_operation(action));
        memcpy(at, ",\"operation\":\"", 14);
        memcpy(at + 14, action_operation(action), len);
        at += 14 + len;
        *at++ = '"';
    }
    memcpy(at, ",\"value\":", 9);
    at += 9;
    at += number_write(value, at);
    *at++ = '}';
    out->len = (size_t)(at - out->data);
}

void message_write_asked(int64_t timestamp, const struct actor *actor, struct buffer *out)
{
    if (timestamp != TIMESTAMP_NONE) {
        char *at;
        buffer_append(out, ",\"timestamp\":\"", 14);
        at = buffer_reserve(out, TIMESTAMP_TEXT + 1);
        if (!at)
            return;
        timestamp_write(timestamp, at);
        at[TIMESTAMP_TEXT] = '"';
        out->len += TIMESTAMP_TEXT + 1;
    }
    if (actor->len) {
        buffer_append(out, ",\"actor\":", 9);
        json_write_string(out, actor->text, actor->len);
    }
}
