#include "calc/message.h"

const struct id calc_namespace = {{0xea, 0x50, 0x02, 0xc0, 0x73, 0xf9, 0x4d, 0x45, 0x8c, 0x92, 0xf0,
                                   0xc2, 0xde, 0xaa, 0x73, 0x82}};

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
