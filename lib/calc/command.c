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

/* How many bytes the character at the start of a text has; 0 if it is no UTF-8 (RFC 3629, 4). */
static size_t utf8_next(const unsigned char *at, size_t left)
{
    unsigned char low = 0x80, high = 0xbf, c = *at;
    size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (!c || (c >= 0x80 && c < 0xc2) || c > 0xf4 || len > left)
        return 0;
    if (c == 0xe0 || c == 0xf0) /* shorter spellings of what has one */
        low = c == 0xe0 ? 0xa0 : 0x90;
    else if (c == 0xed || c == 0xf4) /* surrogates, and what is behind U+10FFFF */
        high = c == 0xed ? 0x9f : 0x8f;
    if (len > 1 && (at[1] < low || at[1] > high))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return len;
}

int actor_read(struct actor *actor, const char *text, size_t len)
{
    size_t step;

    for (size_t at = 0; at < len; at += step)
        if (!(step = utf8_next((const unsigned char *)text + at, len - at)))
            return -1;
    return len ? actor_set(actor, text, len) : -1;
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
    if (command->action == ACTION_CREATE)
        message_write_id("{\"action\":\"CreateValue\",\"id\":\"", &command->id, out);
    else
        message_write_id("{\"action\":\"UpdateValue\",\"id\":\"", &command->id, out);
    buffer_append(out, "\",\"data\":", 9);
    message_write_data(command->action, &command->value_id, command->value, out);
    if (command->has_expected_version)
        message_write_count(",\"expected_version\":", command->expected_version, out);
    if (command->expected_owner.len) {
        buffer_append(out, ",\"expected_owner\":", 18);
        json_write_string(out, command->expected_owner.text, command->expected_owner.len);
    }
    message_write_asked(command->timestamp, &command->actor, out);
    buffer_append(out, "}\n", 2);
}
