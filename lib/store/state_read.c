#include "store/state_read.h"

#include <stdlib.h>
#include <string.h>

#include "store/state_records.h"

struct state_read {
    struct db *db;
    struct db_txn *snapshot;
    struct db_cursor *values, *commands;
};

int state_read_open(const char *folder, struct state_read **out, struct state_position *position,
                    struct error *error)
{
    struct state_read *read = calloc(1, sizeof *read);

    if (!read)
        return error_memory(error);
    if (db_open(folder, state_tables, false, &read->db, error) == 0 &&
        db_begin(read->db, false, &read->snapshot, error) == 0 &&
        state_format_check(read->snapshot, error) >= 0 &&
        state_position_read(read->snapshot, position, error) == 0 &&
        db_cursor_open(read->snapshot, STATE_VALUES, &read->values, error) == 0 &&
        db_cursor_open(read->snapshot, STATE_COMMANDS, &read->commands, error) == 0) {
        *out = read;
        return 0;
    }
    state_read_close(read);
    return -1;
}

void state_read_close(struct state_read *read)
{
    if (!read)
        return;
    db_cursor_close(read->values);
    db_cursor_close(read->commands);
    db_abort(read->snapshot);
    db_close(read->db);
    free(read);
}

int state_read_value(struct state_read *read, struct id *id, struct value *value,
                     struct actor *owner, struct error *error)
{
    struct db_bytes key, found;
    int result = db_cursor_next(read->values, &key, &found, error);

    if (result <= 0)
        return result;
    if (state_keys_decode(&key, id, 1, error) < 0)
        return -1;
    return state_value_decode(&found, value, owner, error) < 0 ? -1 : 1;
}

int state_read_command(struct state_read *read, struct id *value_id, struct id *command_id,
                       struct body *body, struct error *error)
{
    struct db_bytes key, found;
    struct id ids[2];
    int result = db_cursor_next(read->commands, &key, &found, error);

    if (result <= 0)
        return result;
    if (state_keys_decode(&key, ids, 2, error) < 0)
        return -1;
    *value_id = ids[0];
    *command_id = ids[1];
    return state_body_decode(&found, body, error) < 0 ? -1 : 1;
}

int state_read_find_value(struct state_read *read, const struct id *id, struct value *value,
                          struct actor *owner, struct error *error)
{
    struct db_bytes found;
    int result =
        db_get(read->snapshot, STATE_VALUES, id->bytes, sizeof id->bytes, &found, error);

    if (result <= 0)
        return result;
    return state_value_decode(&found, value, owner, error) < 0 ? -1 : 1;
}

int state_read_find_command(struct state_read *read, const struct id *value_id,
                            const struct id *command_id, struct body *body, struct error *error)
{
    struct id key[2] = {*value_id, *command_id};
    struct db_bytes found;
    int result = db_get(read->snapshot, STATE_COMMANDS, key, sizeof key, &found, error);

    if (result <= 0)
        return result;
    return state_body_decode(&found, body, error) < 0 ? -1 : 1;
}
