#include "store/state.h"

#include "calc/calculator.h"
#include "calc/message.h"

struct value_entry {
    struct id id;
    struct value value;
    uint32_t owner; /* index in actors + 1; 0 is nobody */
};

struct command_entry {
    struct {
        struct id id;
        uint32_t value; /* index in values */
    } key;
    struct body body;
};

struct actor_entry {
    struct id name; /* UUIDv5 of the text */
    struct actor actor;
};

void state_init(struct state *state)
{
    table_init(&state->values, sizeof(struct id), sizeof(struct value_entry));
    table_init(&state->commands, sizeof((struct command_entry *)0)->key,
               sizeof(struct command_entry));
    table_init(&state->actors, sizeof(struct id), sizeof(struct actor_entry));
}

void state_release(struct state *state)
{
    table_release(&state->values);
    table_release(&state->commands);
    table_release(&state->actors);
}

static const struct actor *owner_of(const struct state *state, const struct value_entry *value)
{
    static const struct actor nobody;

    if (!value->owner)
        return &nobody;
    return &((struct actor_entry *)table_at(&state->actors, value->owner - 1))->actor;
}

/* Whoever creates a value owns it. */
static int set_owner(struct state *state, struct value_entry *value, const struct actor *actor)
{
    struct actor_entry *entry;
    struct id name;
    bool created;

    if (!actor->len)
        return 0;
    id_derive(&calc_namespace, actor->text, actor->len, &name);
    entry = table_insert(&state->actors, &name, &created);
    if (!entry)
        return -1;
    entry->actor.len = actor->len;
    memcpy(entry->actor.text, actor->text, actor->len);
    value->owner = table_index(&state->actors, entry) + 1;
    return 0;
}

static void outcome_of(const struct command *command, enum reason reason, struct outcome *outcome)
{
    outcome->reason = reason;
    outcome->parent = command->id;
    outcome->action = command->action;
    outcome->value_id = command->value_id;
    outcome->value = command->value;
    outcome->timestamp = command->timestamp;
    outcome->actor.len = command->actor.len;
    memcpy(outcome->actor.text, command->actor.text, command->actor.len);
}

/* Decides a command that its value hasn't seen before. */
static int decide(struct state *state, struct value_entry *value, const struct command *command,
                  struct outcome *outcome)
{
    enum reason reason =
        calculator_decide(&value->value, owner_of(state, value), command, &outcome->result);

    outcome_of(command, reason, outcome);
    outcome_derive_id(&command->value_id, &command->id, &outcome->id);
    outcome->version = value->value.version + (reason == REASON_NONE);
    if (reason != REASON_NONE)
        return 1;
    if (command->action == ACTION_CREATE && set_owner(state, value, &command->actor) < 0)
        return -1;
    calculator_evolve(&value->value, outcome);
    return 1;
}

int state_handle(struct state *state, const char *position, const char *line, size_t len,
                 bool oversize, struct outcome *outcome, struct error *error)
{
    struct command command;
    struct command_entry *seen;
    struct value_entry *value;
    struct body body;
    bool created;

    if (oversize || command_parse(line, len, &command, error) < 0) {
        if (!oversize && error->status != EX_DATAERR)
            return -1;
        outcome_malformed(outcome, position, line, len);
        return 1;
    }
    value = table_insert(&state->values, &command.value_id, &created);
    if (!value)
        return error_memory(error);
    body_of(command.action, command.value, &command.actor, &body);
    struct command_entry entry = {.key = {command.id, table_index(&state->values, value)}};
    seen = table_insert(&state->commands, &entry.key, &created);
    if (!seen)
        return error_memory(error);
    if (created) {
        seen->body = body;
        return decide(state, value, &command, outcome) < 0 ? error_memory(error) : 1;
    }
    if (body_equal(&seen->body, &body))
        return 0;
    outcome_of(&command, REASON_ID_REUSED, outcome);
    outcome_derive_id_from_line(position, line, len, &outcome->id);
    outcome->version = value->value.version;
    return 1;
}
