#include "calc/calculator.h"

#include <math.h>

#include "base/number.h"
#include "calc/message.h"

static double apply(enum action action, double number, double operand)
{
    switch (action) {
    case ACTION_ADD:
        return number + operand;
    case ACTION_MULTIPLY:
        return number * operand;
    case ACTION_CREATE:
        break;
    }
    return operand;
}

enum reason calculator_decide(const struct value *value, const struct actor *owner,
                              const struct command *command, double *result)
{
    bool exists = value->version > 0;

    if (command->action == ACTION_CREATE && exists)
        return REASON_VALUE_EXISTS;
    if (command->action != ACTION_CREATE && !exists)
        return REASON_UNKNOWN_VALUE;
    if (command->expected_owner.len && !actor_equal(&command->expected_owner, owner))
        return REASON_FORBIDDEN;
    if (command->has_expected_version && command->expected_version != value->version)
        return REASON_VERSION_CONFLICT;
    *result = apply(command->action, value->number, command->value);
    return isfinite(*result) ? REASON_NONE : REASON_OUT_OF_RANGE;
}

void calculator_evolve(struct value *value, const struct outcome *event)
{
    value->number = event->result;
    value->version = event->version;
}

void value_write(const struct id *id, const struct value *value, int64_t timestamp,
                 struct buffer *out)
{
    static const struct actor nobody;
    char text[ID_TEXT], number[NUMBER_TEXT];

    id_write(id, text);
    buffer_printf(out, "{\"value_id\":\"%.36s\",\"value\":%.*s,\"version\":%llu", text,
                  (int)number_write(value->number, number), number,
                  (unsigned long long)value->version);
    message_write_asked(timestamp, &nobody, out);
    buffer_append(out, "}\n", 2);
}
