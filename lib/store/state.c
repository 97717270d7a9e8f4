#include "store/state.h"

#include "calc/message.h"
#include "store/state_records.h"

/* A value as it was before it changed. */
struct undo {
    uint32_t index, owner;
    struct value value;
};

void state_init(struct state *state)
{
    *state = (struct state){0};
    table_init(&state->values, sizeof(struct id), sizeof(struct value_entry));
    table_init(&state->commands, sizeof((struct command_entry *)0)->key,
               sizeof(struct command_entry));
    table_init(&state->actors, sizeof(struct id), sizeof(struct actor_entry));
}

void state_release(struct state *state)
{
    state_store_close(state->store);
    state->store = NULL;
    buffer_release(&state->undo);
    table_release(&state->values);
    table_release(&state->commands);
    table_release(&state->actors);
}

/* --- taking back --- */

void state_begin(struct state *state)
{
    state->marks[state->open++] =
        (struct state_mark){state->values.count, state->commands.count, state->actors.count,
                            state->undo.len};
}

void state_keep(struct state *state)
{
    size_t kept = state->open > 1 ? state->marks[1].undo : state->undo.len;

    buffer_consume(&state->undo, kept);
    state->marks[0] = state->marks[1];
    state->marks[0].undo = 0;
    state->open--;
}

void state_rollback(struct state *state)
{
    const struct undo *first = (const struct undo *)state->undo.data;

    if (!state->open)
        return;
    for (size_t i = state->undo.len / sizeof *first; i-- > 0;) {
        struct value_entry *value = table_at(&state->values, first[i].index);
        value->value = first[i].value;
        value->owner = first[i].owner;
    }
    table_truncate(&state->commands, state->marks[0].commands);
    table_truncate(&state->values, state->marks[0].values);
    table_truncate(&state->actors, state->marks[0].actors);
    state_store_truncated(state);
    state->undo.len = 0;
    state->open = 0;
}

/* Says that a value is about to change. */
static int touch(struct state *state, struct value_entry *value)
{
    uint32_t index = table_index(&state->values, value);
    struct undo undo = {index, value->owner, value->value};

    if (!state->store)
        return 0;
    if (state->open && index < state->marks[state->open - 1].values)
        buffer_append(&state->undo, &undo, sizeof undo);
    return state->undo.failed ? -1 : state_store_changed(state, value);
}

/* --- deciding --- */

static const struct actor *owner_of(const struct state *state, const struct value_entry *value)
{
    static const struct actor nobody;

    if (!value->owner)
        return &nobody;
    return &((struct actor_entry *)table_at(&state->actors, value->owner - 1))->actor;
}

uint32_t state_intern(struct state *state, const struct actor *actor)
{
    struct actor_entry *entry;
    struct id name;
    bool created;

    id_derive(&calc_namespace, actor->text, actor->len, &name);
    entry = table_insert(&state->actors, &name, &created);
    if (!entry)
        return 0;
    entry->actor.len = actor->len;
    memcpy(entry->actor.text, actor->text, actor->len);
    return table_index(&state->actors, entry) + 1;
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

/* Decides a command that its value hasn't seen before; the outcome's id is there already. */
static int decide(struct state *state, struct value_entry *value, const struct command *command,
                  struct outcome *outcome)
{
    enum reason reason =
        calculator_decide(&value->value, owner_of(state, value), command, &outcome->result);

    outcome_of(command, reason, outcome);
    outcome->version = value->value.version + (reason == REASON_NONE);
    if (touch(state, value) < 0) /* rejected or not: the store has to know of the value */
        return -1;
    if (reason != REASON_NONE)
        return 1;
    if (command->action == ACTION_CREATE && command->actor.len) /* who creates a value owns it */
        value->owner = state_intern(state, &command->actor);
    calculator_evolve(&value->value, outcome);
    return command->actor.len && command->action == ACTION_CREATE && !value->owner ? -1 : 1;
}

/* The entry of a command's value, filled from the store if it has it. */
static int find_value(struct state *state, const struct id *id, struct value_entry **value,
                      struct error *error)
{
    bool created;

    *value = table_insert(&state->values, id, &created);
    if (!*value)
        return error_memory(error);
    return created && state->store ? state_store_find_value(state, *value, error) : 0;
}

/* Whether the command was seen on its value: 1 with its body, or 0 with one noted, or -1. */
static int find_command(struct state *state, const struct value_entry *value,
                        const struct id *command_id, const struct body *body, struct body *seen,
                        struct error *error)
{
    struct command_entry key = {.key = {*command_id, table_index(&state->values, value)}}, *entry;
    bool created;

    if (value->stored && !table_find(&state->commands, &key.key)) {
        int result = state_store_find_command(state, value, command_id, seen, error);
        if (result != 0)
            return result;
    }
    entry = table_insert(&state->commands, &key.key, &created);
    if (!entry)
        return error_memory(error);
    if (created)
        entry->body = *body;
    else
        *seen = entry->body;
    return !created;
}

/* Derives the id of a command's outcome, which isn't needed if it is a retry, while what the tables have of
 * its value and of itself is on its way from memory: a wait for each would be a fifth of what a command
 * costs. */
static void derive_id(const struct state *state, const struct command *command, struct id *id)
{
    struct command_entry key = {.key.id = command->id};

    table_prefetch(&state->values, &command->value_id);
    outcome_derive_id(&command->value_id, &command->id, id);
    key.key.value = table_prefetch_entry(&state->values, &command->value_id);
    table_prefetch(&state->commands, &key.key);
}

static bool is_misplaced(const struct state_place *place, const struct id *value_id)
{
    return place->of && place->of(value_id, place->count) != place->partition;
}

int state_handle(struct state *state, const char *position, const char *line, size_t len,
                 bool unfit, struct outcome *outcome, struct error *error)
{
    struct command command;
    struct value_entry *value;
    struct body body, seen;
    int result;

    if (unfit || command_parse(line, len, &command, error) < 0) {
        if (!unfit && error->status != EX_DATAERR)
            return -1;
        outcome_malformed(outcome, position, line, len);
        return 1;
    }
    if (is_misplaced(&state->place, &command.value_id)) {
        outcome_of(&command, REASON_MISPLACED, outcome);
        outcome_derive_id_from_line(position, line, len, &outcome->id);
        outcome->version = 0; /* its value is in another partition */
        return 1;
    }
    derive_id(state, &command, &outcome->id);
    if (find_value(state, &command.value_id, &value, error) < 0)
        return -1;
    body_of(command.action, command.value, &command.actor, &body);
    result = find_command(state, value, &command.id, &body, &seen, error);
    if (result < 0)
        return -1;
    if (result == 0)
        return decide(state, value, &command, outcome) < 0 ? error_memory(error) : 1;
    if (body_equal(&seen, &body))
        return 0;
    outcome_of(&command, REASON_ID_REUSED, outcome);
    outcome_derive_id_from_line(position, line, len, &outcome->id);
    outcome->version = value->value.version;
    return 1;
}
