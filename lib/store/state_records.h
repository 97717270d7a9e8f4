/* The entries of the state's tables in memory, and what state.c asks of the store. For state*.c only. */
#ifndef STORE_STATE_RECORDS_H
#define STORE_STATE_RECORDS_H

#include "calc/calculator.h"
#include "store/state.h"

struct value_entry {
    struct id id;
    struct value value;
    uint32_t owner;   /* index in actors + 1; 0 is nobody */
    bool stored;      /* the store has it, so it may have commands of it */
    bool dirty;       /* a checkpoint has to write it */
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

/* The owner's entry, made if need be: its index + 1, or 0 when memory ran out. */
uint32_t state_intern(struct state *state, const struct actor *actor);

/* Looks a value up whose entry was just made; fills it if the store has it. -1 on error. */
int state_store_find_value(struct state *state, struct value_entry *entry, struct error *error);

/* The body of a command on a value, if the store has it. 1, 0, -1. */
int state_store_find_command(const struct state *state, const struct value_entry *value,
                             const struct id *command_id, struct body *body,
                             struct error *error);

/* Notes that a value changed. -1 when memory ran out. */
int state_store_changed(struct state *state, struct value_entry *value);

/* What was changed at these indices and behind them is gone. */
void state_store_truncated(struct state *state);

void state_store_close(struct state_store *store);

#endif
