/* The entries of the state's tables in memory and in its store, and what state.c asks of that. For
 * state*.c only. */
#ifndef STORE_STATE_RECORDS_H
#define STORE_STATE_RECORDS_H

#include "calc/calculator.h"
#include "store/db.h"
#include "store/state.h"

struct value_entry {
    struct id id;
    struct value value;
    uint32_t owner;   /* index in actors + 1; 0 is nobody */
    bool stored;      /* the store may have commands of it that aren't in memory */
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

/* --- records --- */

enum { STATE_META, STATE_VALUES, STATE_COMMANDS };
extern const char *const state_tables[];

/* A value's record: how many bytes it takes. `owner` may be NULL. And back: EX_DATAERR. */
enum { STATE_VALUE_BYTES = 16 + ACTOR_MAX_BYTES };
size_t state_value_encode(const struct value *value, const struct actor *owner,
                          unsigned char bytes[STATE_VALUE_BYTES]);
int state_value_decode(const struct db_bytes *found, struct value *value, struct actor *owner,
                       struct error *error);
int state_body_decode(const struct db_bytes *found, struct body *body, struct error *error);

/* A key, which is so many ids. */
int state_keys_decode(const struct db_bytes *key, struct id *ids, size_t count,
                      struct error *error);

int state_position_write(struct db_txn *txn, const struct state_position *position,
                         struct error *error);
int state_position_read(struct db_txn *txn, struct state_position *position, struct error *error);

/* The store's format if this version can read it, 0 if it is new; EX_DATAERR if it can't. */
int state_format_check(struct db_txn *txn, struct error *error);

/* The same, and makes it ours. 0, -1. */
int state_format_take(struct db_txn *txn, struct error *error);

#endif
