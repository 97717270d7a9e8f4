#include "calc/command.h"

#include "calc/message.h"

int actor_set(struct actor *actor, const char *text, size_t len)
{
    if (len > ACTOR_MAX_BYTES)
        return -1;
    actor->len = (uint16_t)len;
    memcpy(actor->text, text, len);
    return 0;
}

bool actor_equal(const struct actor *a, const struct actor *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

const char *action_operation(enum action action)
{
    return action == ACTION_ADD ? "ADD" : action == ACTION_MULTIPLY ? "MULTIPLY" : NULL;
}

int operation_read(const char *text, size_t len, enum action *action)
{
    for (*action = ACTION_ADD; *action <= ACTION_MULTIPLY; ++*action)
        if (strlen(action_operation(*action)) == len &&
            memcmp(action_operation(*action), text, len) == 0)
            return 0;
    return -1;
}

void command_write(const struct command *command, struct buffer *out)
{
    char id[ID_TEXT];

    id_write(&command->id, id);
    if (command->action == ACTION_CREATE)
        buffer_append(out, "{\"action\":\"CreateValue\",\"id\":\"", 30);
    else
        buffer_append(out, "{\"action\":\"UpdateValue\",\"id\":\"", 30);
    buffer_append(out, id, sizeof id);
    buffer_append(out, "\",\"data\":", 9);
    message_write_data(command->action, &command->value_id, command->value, out);
    if (command->has_expected_version)
        buffer_printf(out, ",\"expected_version\":%llu",
                      (unsigned long long)command->expected_version);
    if (command->expected_owner.len) {
        buffer_append(out, ",\"expected_owner\":", 18);
        json_write_string(out, command->expected_owner.text, command->expected_owner.len);
    }
    message_write_asked(command->timestamp, &command->actor, out);
    buffer_append(out, "}\n", 2);
}
