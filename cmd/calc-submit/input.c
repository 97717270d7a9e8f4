#include "input.h"

#include "calc/message.h"

void input_value_id(struct command *command, bool id_given)
{
    char name[6 + ID_TEXT + 1] = "value\n";

    if (!id_given) {
        id_new(&command->value_id);
        return;
    }
    id_write(&command->id, name + 6);
    name[6 + ID_TEXT] = '\n';
    id_derive(&calc_namespace, name, sizeof name, &command->value_id);
    memcpy(command->value_id.bytes, command->id.bytes, 6); /* as ordered by time as that one */
    command->value_id.bytes[6] = (uint8_t)(0x70 | (command->value_id.bytes[6] & 0x0f));
}

/* {"value":7} creates, {"value_id":...,"operation":"ADD","value":3} updates. */
static int read_short(const struct json *object, const char *line, size_t len,
                      struct command *command, struct input_ids *given, struct error *error)
{
    bool create = !json_has(object, "operation");

    given->command = json_get(object, "id");
    given->value = !create || json_get(object, "value_id");
    if ((given->command && message_read_id(object, "id", &command->id, error) < 0) ||
        (given->value && message_read_id(object, "value_id", &command->value_id, error) < 0) ||
        message_read_data(object, create, &command->action, &command->value, error) < 0)
        return -1;
    return command_read_optional(object, line, len, command, error);
}

int input_parse_json(const char *line, size_t len, struct command *command,
                     struct input_ids *given, struct error *error)
{
    struct json *object = json_parse_object(line, len, error);
    int result;

    if (!object)
        return -1;
    *given = (struct input_ids){true, true};
    if (json_has(object, "action"))
        result = command_read(object, line, len, true, command, error);
    else
        result = read_short(object, line, len, command, given, error);
    json_free(object);
    return result;
}

int input_parse(const char *line, size_t len, int64_t now, struct command *command,
                struct error *error)
{
    static const char whole[] = "{\"action\":\"";
    bool canonical = len > sizeof whole && memcmp(line, whole, sizeof whole - 1) == 0;
    struct input_ids given = {true, true};

    if (!(canonical && command_parse(line, len, command, error) == 0) &&
        !input_scan_short(line, len, command, &given) &&
        input_parse_json(line, len, command, &given, error) < 0)
        return -1;
    if (!given.command)
        id_new(&command->id);
    if (!given.value)
        input_value_id(command, given.command);
    if (command->timestamp == TIMESTAMP_NONE)
        command->timestamp = now;
    return 0;
}
