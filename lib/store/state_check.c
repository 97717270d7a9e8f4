#include "store/state_check.h"

#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "store/state_records.h"

enum { TICK_RECORDS = 4096 };

/* --- what was derived --- */

uint64_t state_version(const struct state *state, const struct id *value_id)
{
    const struct value_entry *value = table_find(&state->values, value_id);

    return value ? value->value.version : 0;
}

static const struct command_entry *find_command(const struct state *state,
                                                const struct id *value_id,
                                                const struct id *command_id)
{
    const struct value_entry *value = table_find(&state->values, value_id);
    struct command_entry key = {.key = {.id = *command_id}};

    if (!value)
        return NULL;
    key.key.value = table_index(&state->values, value);
    return table_find(&state->commands, &key.key);
}

bool state_has_command(const struct state *state, const struct id *value_id,
                       const struct id *command_id)
{
    return find_command(state, value_id, command_id) != NULL;
}

static const struct actor *owner_of(const struct state *state, const struct value_entry *value)
{
    static const struct actor nobody;

    if (!value->owner)
        return &nobody;
    return &((const struct actor_entry *)table_at(&state->actors, value->owner - 1))->actor;
}

/* --- differences --- */

static int wrong_value(const struct id *id, const char *what, struct error *error)
{
    char text[ID_TEXT];

    id_write(id, text);
    return error_set(error, EX_DATAERR, "value %.36s in table values: %s", text, what);
}

static int wrong_command(const struct id *value_id, const struct id *command_id, const char *what,
                         struct error *error)
{
    char text[2][ID_TEXT];

    id_write(value_id, text[0]);
    id_write(command_id, text[1]);
    return error_set(error, EX_DATAERR, "command %.36s on value %.36s in table commands: %s",
                     text[1], text[0], what);
}

/* A damaged one may be no number that the format has. */
static int write_number(double number, char text[NUMBER_TEXT])
{
    return isfinite(number) ? (int)number_write(number, text)
                            : snprintf(text, NUMBER_TEXT, "%f", number);
}

static int value_differs(const struct value_entry *derived, const struct actor *derived_owner,
                         const struct value *stored, const struct actor *stored_owner,
                         struct error *error)
{
    char id[ID_TEXT], numbers[2][NUMBER_TEXT];
    int lens[2] = {write_number(derived->value.number, numbers[0]),
                   write_number(stored->number, numbers[1])};

    id_write(&derived->id, id);
    return error_set(error, EX_DATAERR,
                     "value %.36s in table values is not what the commands derive\n"
                     "  derived: version %llu, %.*s, owner '%.*s'\n"
                     "  found:   version %llu, %.*s, owner '%.*s'",
                     id, (unsigned long long)derived->value.version, lens[0], numbers[0],
                     derived_owner->len > 80 ? 80 : derived_owner->len, derived_owner->text,
                     (unsigned long long)stored->version, lens[1], numbers[1],
                     stored_owner->len > 80 ? 80 : stored_owner->len, stored_owner->text);
}

/* --- what is stored --- */

static int check_values(struct state_read *read, const struct state *derived, void (*tick)(void),
                        struct error *error)
{
    const struct value_entry *entry;
    struct value stored = {0};
    struct actor owner;
    uint64_t count = 0;
    struct id id;
    int result;

    while ((result = state_read_value(read, &id, &stored, &owner, error)) > 0) {
        entry = table_find(&derived->values, &id);
        if (!entry)
            return wrong_value(&id, "no command was decided on it", error);
        if (stored.version != entry->value.version ||
            !actor_equal(owner_of(derived, entry), &owner) ||
            memcmp(&stored.number, &entry->value.number, sizeof stored.number) != 0)
            return value_differs(entry, owner_of(derived, entry), &stored, &owner, error);
        if (++count % TICK_RECORDS == 0)
            tick();
    }
    return result;
}

static int check_commands(struct state_read *read, const struct state *derived,
                          void (*tick)(void), struct error *error)
{
    const struct command_entry *entry;
    struct id value_id, id;
    struct body body;
    uint64_t count = 0;
    int result;

    while ((result = state_read_command(read, &value_id, &id, &body, error)) > 0) {
        entry = find_command(derived, &value_id, &id);
        if (!entry)
            return wrong_command(&value_id, &id, "there was no such command", error);
        if (!body_equal(&entry->body, &body))
            return wrong_command(&value_id, &id, "its body is not that of the command", error);
        if (++count % TICK_RECORDS == 0)
            tick();
    }
    return result;
}

/* --- what is missing: looked for only where there is less than there should be --- */

static int find_missing_value(struct state_read *read, const struct state *derived,
                              struct error *error)
{
    struct value stored;
    struct actor owner;

    for (uint32_t i = 0; i < derived->values.count; i++) {
        const struct value_entry *entry = table_at(&derived->values, i);
        int result = state_read_find_value(read, &entry->id, &stored, &owner, error);
        if (result < 0)
            return -1;
        if (result == 0)
            return wrong_value(&entry->id, "it is missing", error);
    }
    return error_set(error, EX_DATAERR, "table values is damaged: it has a wrong count of entries");
}

static int find_missing_command(struct state_read *read, const struct state *derived,
                                struct error *error)
{
    struct body body;

    for (uint32_t i = 0; i < derived->commands.count; i++) {
        const struct command_entry *entry = table_at(&derived->commands, i);
        const struct value_entry *value = table_at(&derived->values, entry->key.value);
        int result = state_read_find_command(read, &value->id, &entry->key.id, &body, error);
        if (result < 0)
            return -1;
        if (result == 0)
            return wrong_command(&value->id, &entry->key.id, "it is missing", error);
    }
    return error_set(error, EX_DATAERR,
                     "table commands is damaged: it has a wrong count of entries");
}

int state_check(struct state_read *read, const struct state *derived, void (*tick)(void),
                struct error *error)
{
    uint64_t values, commands;

    if (check_values(read, derived, tick, error) < 0 ||
        check_commands(read, derived, tick, error) < 0 ||
        state_read_counts(read, &values, &commands, error) < 0)
        return -1;
    if (values != derived->values.count)
        return find_missing_value(read, derived, error);
    if (commands != derived->commands.count)
        return find_missing_command(read, derived, error);
    return 0;
}
