#include "lag.h"

#include <stdlib.h>

enum {
    LOOK_BYTES = 1 << 24,  /* that are parsed in search of the last command that was handled */
    LOOK_DECIDED = 1 << 14, /* commands behind it that are looked up in the view */
    LOOK_RECORDS = 1 << 12, /* records of the view's order that are looked at */
    COUNT_BYTES = 1 << 28  /* that are counted */
};

/* --- the last outcomes --- */

static int last_in_log(struct log_look *log, bool events, struct outcome *outcome, bool *there,
                       struct error *error)
{
    struct log_line line;
    uint64_t end = log->end;

    for (*there = false; end && !*there; end = line.begin) {
        if (log_look_before(log, end, &line, error) < 0)
            return -1;
        if (log_line_is_blank(&line))
            continue;
        if (!line.data)
            return error_set(error, EX_DATAERR, "%s has no outcome at its end", log->path);
        if ((events ? event_parse : rejection_parse)(line.data, line.len, outcome, error) < 0)
            return -1;
        *there = true;
    }
    return 0;
}

int last_in_logs(struct log_look logs[VIEW_LOGS], struct last_outcomes *last, struct error *error)
{
    for (int i = 0; i < VIEW_LOGS; i++)
        if (last_in_log(&logs[i], i == VIEW_EVENTS, &last->of[i], &last->there[i], error) < 0)
            return -1;
    return 0;
}

int last_in_view(struct view_txn *txn, struct last_outcomes *last, struct error *error)
{
    struct view_record record;
    uint64_t sequence, least;

    *last = (struct last_outcomes){0};
    if (view_get_last(txn, &sequence, error) < 0)
        return -1;
    least = sequence > LOOK_RECORDS ? sequence - LOOK_RECORDS : 0;
    for (; sequence > least && !(last->there[0] && last->there[1]); sequence--) {
        int result = view_get_record(txn, sequence, &record, error);
        if (result < 0)
            return -1;
        if (result == 0 || last->there[record.log])
            continue;
        last->of[record.log] = record.outcome;
        last->there[record.log] = true;
    }
    return 0;
}

/* --- the commands --- */

/* Whether a line is the command of one of the outcomes. */
static bool is_decided_by(const struct log_line *line, const struct command *command,
                          const struct last_outcomes *last)
{
    for (int i = 0; i < VIEW_LOGS; i++) {
        const struct outcome *outcome = &last->of[i];
        if (!last->there[i])
            continue;
        if (outcome->reason == REASON_MALFORMED
                ? strtoull(outcome->position, NULL, 10) >= line->begin
                : command && id_equal(&outcome->parent, &command->id))
            return true;
    }
    return false;
}

static bool parse(const struct log_line *line, struct command *command)
{
    struct error error;

    return line->data && command_parse(line->data, line->len, command, &error) == 0;
}

/* Looks back for the last command that one of the outcomes is of: *handled is where it ends, or where the
 * search did, and then it isn't found. */
static int find_handled(struct log_look *commands, const struct last_outcomes *last,
                        uint64_t *handled, bool *found, struct error *error)
{
    uint64_t end = commands->end;
    struct command command;
    struct log_line line;

    *found = false;
    if (!last->there[VIEW_EVENTS] && !last->there[VIEW_REJECTIONS])
        end = 0;
    while (end && commands->end - end < LOOK_BYTES) {
        bool parsed;
        if (log_look_before(commands, end, &line, error) < 0)
            return -1;
        parsed = parse(&line, &command);
        *found = is_decided_by(&line, parsed ? &command : NULL, last);
        if (*found)
            break;
        end = line.begin;
    }
    *handled = end;
    *found |= end == 0; /* all of it is behind the beginning */
    return 0;
}

/* Goes on over commands that have an outcome in the view, to the first one that hasn't: *undecided, if there
 * is one. */
static int pass_decided(struct log_look *commands, struct view_txn *txn, uint64_t *handled,
                        struct command *undecided, struct error *error)
{
    struct outcome outcome;
    struct log_line line;

    undecided->timestamp = TIMESTAMP_NONE;
    for (int i = 0; i < LOOK_DECIDED && *handled < commands->end; *handled = line.end, i++) {
        int result;
        if (log_look_at(commands, *handled, &line, error) < 0)
            return -1;
        if (log_line_is_blank(&line))
            continue;
        if (!parse(&line, undecided)) {
            undecided->timestamp = TIMESTAMP_NONE;
            return 0;
        }
        result = view_get_outcome(txn, &undecided->value_id, &undecided->id, &outcome, error);
        if (result <= 0)
            return result;
    }
    undecided->timestamp = TIMESTAMP_NONE;
    return 0;
}

static int64_t later_timestamp(const struct last_outcomes *last)
{
    int64_t later = TIMESTAMP_NONE;

    for (int i = 0; i < VIEW_LOGS; i++)
        if (last->there[i] && last->of[i].timestamp > later)
            later = last->of[i].timestamp;
    return later;
}

int lag_of_commands(struct log_look *commands, const struct last_outcomes *last,
                    struct view_txn *txn, struct lag *lag, struct error *error)
{
    struct command undecided;
    uint64_t to;
    bool found;

    *lag = (struct lag){0};
    if (find_handled(commands, last, &lag->offset, &found, error) < 0)
        return -1;
    lag->lost = !found;
    lag->timestamp = later_timestamp(last);
    if (found) {
        if (pass_decided(commands, txn, &lag->offset, &undecided, error) < 0)
            return -1;
        lag->timestamp = undecided.timestamp;
    }
    if (log_look_count(commands, lag->offset, COUNT_BYTES, &lag->records, &to, error) < 0)
        return -1;
    if (!lag->records)
        lag->timestamp = TIMESTAMP_NONE;
    return 0;
}

/* --- the outputs --- */

int lag_behind(struct log_look *log, uint64_t offset, bool events, struct lag *lag,
               struct error *error)
{
    struct outcome outcome;
    struct log_line line;
    struct error unread;
    uint64_t to;

    *lag = (struct lag){.offset = offset, .timestamp = TIMESTAMP_NONE};
    if (offset >= log->end)
        return 0;
    if (log_look_at(log, offset, &line, error) < 0)
        return -1;
    if (line.data &&
        (events ? event_parse : rejection_parse)(line.data, line.len, &outcome, &unread) == 0)
        lag->timestamp = outcome.timestamp;
    if (log_look_count(log, offset, COUNT_BYTES, &lag->records, &to, error) < 0)
        return -1;
    return 0;
}
