#include "calc/message.h"
#include "calc/scan.h"

/* The canonical spelling. False if the line has any other. */
static bool scan_command(const char *line, size_t len, struct command *command)
{
    struct scan scan = {line, line + len};
    bool create = scan_literal(&scan, "{\"action\":\"CreateValue\",\"id\":\"");

    if (!create && !scan_literal(&scan, "{\"action\":\"UpdateValue\",\"id\":\""))
        return false;
    if (!scan_id(&scan, &command->id) || !scan_literal(&scan, ",\"data\":") ||
        !scan_data(&scan, create, &command->value_id, &command->action, &command->value))
        return false;
    if (scan_literal(&scan, ",\"expected_version\":")) {
        if (!scan_count(&scan, &command->expected_version))
            return false;
        command->has_expected_version = true;
    }
    if (scan_literal(&scan, ",\"expected_owner\":\"") &&
        !scan_actor(&scan, &command->expected_owner))
        return false;
    if (scan_literal(&scan, ",\"timestamp\":\"") && !scan_timestamp(&scan, &command->timestamp))
        return false;
    if (scan_literal(&scan, ",\"actor\":\"") && !scan_actor(&scan, &command->actor))
        return false;
    return scan_literal(&scan, "}") && scan.at == scan.end;
}

static void clear(struct command *command)
{
    command->has_expected_version = false;
    command->expected_owner.len = command->actor.len = 0;
    command->timestamp = TIMESTAMP_NONE;
}

static int read_action(const struct json *object, bool *create, struct error *error)
{
    size_t len = 0;
    const char *action = json_text(json_get(object, "action"), &len);

    *create = action && len == 11 && memcmp(action, "CreateValue", len) == 0;
    if (!*create && !(action && len == 11 && memcmp(action, "UpdateValue", len) == 0))
        return error_set(error, EX_DATAERR, "action is neither CreateValue nor UpdateValue");
    return 0;
}

int command_read_optional(const struct json *object, const char *line, size_t len,
                          struct command *command, struct error *error)
{
    clear(command);
    if (json_get(object, "expected_version")) {
        if (!json_count(line, len, "expected_version", &command->expected_version))
            return error_set(error, EX_DATAERR, "expected_version is no integer of plain digits");
        command->has_expected_version = true;
    }
    if (message_read_timestamp(object, &command->timestamp, error) < 0 ||
        message_read_actor(object, "expected_owner", &command->expected_owner, error) < 0)
        return -1;
    return message_read_actor(object, "actor", &command->actor, error);
}

int command_read(const struct json *object, const char *line, size_t len, bool id_optional,
                 struct command *command, struct error *error)
{
    const struct json *data = json_get(object, "data");
    bool create;

    if (read_action(object, &create, error) < 0)
        return -1;
    if (id_optional && !json_get(object, "id"))
        id_new(&command->id);
    else if (message_read_id(object, "id", &command->id, error) < 0)
        return -1;
    if (message_read_id(data, "value_id", &command->value_id, error) < 0 ||
        message_read_data(data, create, &command->action, &command->value, error) < 0)
        return -1;
    return command_read_optional(object, line, len, command, error);
}

/* Any other spelling. */
static int parse_json(const char *line, size_t len, struct command *command, struct error *error)
{
    struct json *object = json_parse_object(line, len, error);
    int result;

    if (!object)
        return -1;
    result = command_read(object, line, len, false, command, error);
    json_free(object);
    return result;
}

int command_parse(const char *line, size_t len, struct command *command, struct error *error)
{
    clear(command);
    if (scan_command(line, len, command))
        return 0;
    return parse_json(line, len, command, error);
}

int command_write_checked(const struct command *command, struct buffer *out, struct error *error)
{
    struct command check;
    size_t from = out->len;

    command_write(command, out);
    if (out->failed)
        return error_memory(error);
    if (command_parse(out->data + from, out->len - from - 1, &check, error) == 0)
        return 0;
    out->len = from;
    return -1;
}
