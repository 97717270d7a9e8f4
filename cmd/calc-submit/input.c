#include "input.h"

#include "calc/message.h"

/* {"value":7} creates, {"value_id":...,"operation":"ADD","value":3} updates. */
static int read_short(const struct json *object, const char *line, size_t len,
                      struct command *command, struct error *error)
{
    bool create = !json_has(object, "operation");

    if (!json_get(object, "id"))
        id_new(&command->id);
    else if (message_read_id(object, "id", &command->id, error) < 0)
        return -1;
    if (create && !json_get(object, "value_id"))
        id_new(&command->value_id);
    else if (message_read_id(object, "value_id", &command->value_id, error) < 0)
        return -1;
    if (message_read_data(object, create, &command->action, &command->value, error) < 0)
        return -1;
    return command_read_optional(object, line, len, command, error);
}

static int read_any(const char *line, size_t len, struct command *command, struct error *error)
{
    struct json *object = json_parse_object(line, len, error);
    int result;

    if (!object)
        return -1;
    if (json_has(object, "action"))
        result = command_read(object, line, len, true, command, error);
    else
        result = read_short(object, line, len, command, error);
    json_free(object);
    return result;
}

int input_parse(const char *line, size_t len, int64_t now, struct command *command,
                struct error *error)
{
    static const char whole[] = "{\"action\":\"";
    bool canonical = len > sizeof whole && memcmp(line, whole, sizeof whole - 1) == 0;

    if (!(canonical && command_parse(line, len, command, error) == 0) &&
        read_any(line, len, command, error) < 0)
        return -1;
    if (command->timestamp == TIMESTAMP_NONE)
        command->timestamp = now;
    return 0;
}
