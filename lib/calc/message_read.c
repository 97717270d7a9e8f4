#include "calc/message.h"

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
