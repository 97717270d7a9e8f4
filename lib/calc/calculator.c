#include "calc/calculator.h"

#include <math.h>

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

    message_write_id("{\"value_id\":\"", id, out);
    message_write_number("\",\"value\":", value->number, out);
    message_write_count(",\"version\":", value->version, out);
    message_write_asked(timestamp, &nobody, out);
    buffer_append(out, "}\n", 2);
}
