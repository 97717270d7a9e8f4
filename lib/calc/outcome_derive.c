#include "base/lines.h"
#include "calc/message.h"
#include "calc/outcome.h"

void outcome_derive_id(const struct id *value_id, const struct id *command_id, struct id *id)
{
    struct id pair[2] = {*value_id, *command_id};

    id_derive(&calc_namespace, pair, sizeof pair, id);
}

void outcome_derive_id_from_line(const char *position, const char *line, size_t len,
                                 struct id *id)
{
    char name[POSITION_TEXT + 1 + LINE_MAX_BYTES];
    size_t position_len = strlen(position);

    if (len > LINE_MAX_BYTES)
        len = LINE_MAX_BYTES;
    memcpy(name, position, position_len);
    name[position_len] = '\n';
    memcpy(name + position_len + 1, line, len);
    id_derive(&calc_namespace, name, position_len + 1 + len, id);
}

void outcome_malformed(struct outcome *outcome, const char *position, const char *line,
                       size_t len)
{
    outcome->reason = REASON_MALFORMED;
    outcome->timestamp = TIMESTAMP_NONE;
    outcome->actor.len = 0;
    strncpy(outcome->position, position, sizeof outcome->position - 1);
    outcome->position[sizeof outcome->position - 1] = '\0';
    outcome_derive_id_from_line(outcome->position, line, len, &outcome->id);
}
