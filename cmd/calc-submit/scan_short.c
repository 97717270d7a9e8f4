/* The short forms, read without a JSON parser, which took five sixths of what calc-submit costs: one
 * object of members that we know, each once, in any order and with spaces or without, strings in plain
 * ASCII without escapes. What it doesn't know it leaves to input.c's plain way, which also has the words
 * for what is wrong; a fuzz test holds the two equal. */
#include "calc/scan.h"
#include "input.h"

enum member {
    MEMBER_VALUE,
    MEMBER_VALUE_ID,
    MEMBER_OPERATION,
    MEMBER_ID,
    MEMBER_TIMESTAMP,
    MEMBER_ACTOR,
    MEMBER_EXPECTED_VERSION,
    MEMBER_EXPECTED_OWNER,
    MEMBERS
};

static void skip_spaces(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r'))
        scan->at++;
}

/* A key with its colon and the spaces around that. */
static bool scan_key(struct scan *scan, enum member *member)
{
    static const char *const names[] = {"value", "value_id",  "operation",        "id",
                                        "timestamp", "actor", "expected_version", "expected_owner"};
    static const size_t lens[] = {5, 8, 9, 2, 9, 5, 16, 14};
    const char *text;
    size_t len;

    if (!scan_literal(scan, "\"") || !scan_string(scan, &text, &len))
        return false;
    for (*member = 0; *member < MEMBERS; ++*member)
        if (lens[*member] == len && memcmp(names[*member], text, len) == 0)
            break;
    skip_spaces(scan);
    if (*member == MEMBERS || !scan_literal(scan, ":"))
        return false;
    skip_spaces(scan);
    return true;
}

static bool scan_operation(struct scan *scan, enum action *action)
{
    const char *text;
    size_t len;

    return scan_string(scan, &text, &len) && operation_read(text, len, action) == 0;
}

static bool scan_value(struct scan *scan, enum member member, struct command *command)
{
    if (member == MEMBER_VALUE)
        return scan_number(scan, &command->value);
    if (member == MEMBER_EXPECTED_VERSION) {
        command->has_expected_version = true;
        return scan_count(scan, &command->expected_version);
    }
    if (!scan_literal(scan, "\""))
        return false;
    switch (member) {
    case MEMBER_VALUE_ID:
        return scan_id(scan, &command->value_id);
    case MEMBER_OPERATION:
        return scan_operation(scan, &command->action);
    case MEMBER_ID:
        return scan_id(scan, &command->id);
    case MEMBER_TIMESTAMP:
        return scan_timestamp(scan, &command->timestamp);
    case MEMBER_ACTOR:
        return scan_actor(scan, &command->actor);
    default:
        return scan_actor(scan, &command->expected_owner);
    }
}

bool input_scan_short(const char *line, size_t len, struct command *command,
                      struct input_ids *given)
{
    struct scan scan = {line, line + len};
    unsigned seen = 0;
    bool more = true;

    command->action = ACTION_CREATE;
    command->has_expected_version = false;
    command->expected_owner.len = command->actor.len = 0;
    command->timestamp = TIMESTAMP_NONE;
    skip_spaces(&scan);
    if (!scan_literal(&scan, "{"))
        return false;
    while (more) {
        enum member member;
        skip_spaces(&scan);
        if (!scan_key(&scan, &member) || seen & 1u << member ||
            !scan_value(&scan, member, command))
            return false;
        seen |= 1u << member;
        skip_spaces(&scan);
        more = scan_literal(&scan, ",");
    }
    if (!scan_literal(&scan, "}"))
        return false;
    skip_spaces(&scan);
    given->command = seen & 1u << MEMBER_ID;
    given->value = seen & 1u << MEMBER_VALUE_ID;
    return scan.at == scan.end && seen & 1u << MEMBER_VALUE &&
           (given->value || command->action == ACTION_CREATE);
}
