#include "calc/message.h"

void body_of(enum action action, double value, const struct actor *actor, struct body *body)
{
    struct id name = {{0}};

    if (actor->len)
        id_derive(&calc_namespace, actor->text, actor->len, &name);
    body->bytes[0] = (uint8_t)action;
    memcpy(body->bytes + 1, &value, sizeof value);
    memcpy(body->bytes + 9, name.bytes, sizeof body->bytes - 9);
}
