/* Any line, read as each message there is. A command is what jansson, asked here in another way,
 * makes of the line; and what is written of a command, an event, a rejection or an input reads back
 * as the same, and is a fixed point. */
#include <jansson.h>

#include "../../cmd/calc-submit/input.h"
#include "../unit/messages.h"
#include "depth.h"
#include "require.h"

enum { NOW = 1764000000 };

/* --- a command by jansson alone --- */

static bool read_id(const json_t *text, struct id *id)
{
    return json_is_string(text) &&
           id_parse(json_string_value(text), json_string_length(text), id) == 0;
}

/* Absent and null leave it as it is. */
static bool read_actor(const json_t *text, struct actor *actor)
{
    size_t len = json_is_string(text) ? json_string_length(text) : 0;

    if (!text || json_is_null(text))
        return true;
    return len && len <= ACTOR_MAX_BYTES && actor_set(actor, json_string_value(text), len) == 0;
}

static bool read_time(const json_t *text, int64_t *micros)
{
    if (!text || json_is_null(text))
        return true;
    return json_is_string(text) &&
           timestamp_read(json_string_value(text), json_string_length(text), micros) == 0;
}

static bool read_members(const json_t *root, struct command *command)
{
    const json_t *data = json_object_get(root, "data"), *value = json_object_get(data, "value");
    const char *action = json_string_value(json_object_get(root, "action"));
    const char *operation = json_string_value(json_object_get(data, "operation"));

    if (!action || !json_is_real(value))
        return false;
    command->value = json_real_value(value);
    if (strcmp(action, "CreateValue") == 0)
        command->action = ACTION_CREATE;
    else if (strcmp(action, "UpdateValue") != 0 || !operation)
        return false;
    else if (strcmp(operation, "ADD") == 0)
        command->action = ACTION_ADD;
    else if (strcmp(operation, "MULTIPLY") == 0)
        command->action = ACTION_MULTIPLY;
    else
        return false;
    return read_id(json_object_get(root, "id"), &command->id) &&
           read_id(json_object_get(data, "value_id"), &command->value_id) &&
           read_actor(json_object_get(root, "expected_owner"), &command->expected_owner) &&
           read_actor(json_object_get(root, "actor"), &command->actor) &&
           read_time(json_object_get(root, "timestamp"), &command->timestamp);
}

/* All but expected_version, of which only *versioned is known here: whether there is one. */
static bool reference(const char *line, size_t len, struct command *command, bool *versioned)
{
    json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    const json_t *version = json_object_get(root, "expected_version");
    bool good;

    *command = (struct command){.timestamp = TIMESTAMP_NONE};
    *versioned = version && !json_is_null(version);
    good = json_is_object(root) && !memchr(line, '\0', len) && depth(root) <= 64 &&
           (!*versioned || (json_is_real(version) && json_real_value(version) >= 0)) &&
           read_members(root, command);
    json_decref(root);
    return good;
}

static void check_command(const char *line, size_t len)
{
    struct command read = {0}, wanted;
    bool versioned, good = parse_command(line, len, false, &read) == 0;
    bool wanted_good = reference(line, len, &wanted, &versioned);

    if (good != wanted_good && !(wanted_good && versioned)) /* 1.0 and 1e0 are no versions */
        fail("a command or not: jansson says otherwise");
    if (!good)
        return;
    if (read.has_expected_version != versioned)
        fail("expected_version is there or not");
    wanted.has_expected_version = versioned;
    wanted.expected_version = read.expected_version;
    if (!same_command(&read, &wanted))
        fail("a member of the command differs from jansson's");
}

/* --- fixed points --- */

static void same_bytes(const struct buffer *once, const struct buffer *twice)
{
    if (once->failed || twice->failed || once->len != twice->len ||
        memcmp(once->data, twice->data, once->len) != 0)
        fail("the canonical spelling is no fixed point");
}

static void check_rejection(const char *line, size_t len)
{
    char *copy = line_copy(line, len, false);
    struct outcome read, again;
    struct buffer once = {0}, twice = {0};
    struct error error = {0};

    if (rejection_parse(copy, len, &read, &error) == 0) {
        outcome_write(&read, &once);
        if (rejection_parse(once.data, once.len - 1, &again, &error) < 0 ||
            !same_outcome(&read, &again))
            fail("what is written reads back as another rejection");
        outcome_write(&again, &twice);
        same_bytes(&once, &twice);
    } else if (error.status != EX_DATAERR) {
        fail("neither a rejection nor data that is none");
    }
    buffer_release(&once);
    buffer_release(&twice);
    free(copy);
}

/* The scanner takes nothing that the JSON parser doesn't, and reads the same of it. */
static void check_short(const char *line, size_t len)
{
    struct input_ids ids, wanted_ids;
    struct command read = {0}, wanted = {0};
    struct error error = {0};

    if (!input_scan_short(line, len, &read, &ids))
        return;
    if (input_parse_json(line, len, &wanted, &wanted_ids, &error) < 0)
        fail("the scanner takes for an input what the JSON parser doesn't");
    if (ids.command != wanted_ids.command || ids.value != wanted_ids.value)
        fail("the scanner finds ids where the JSON parser finds none, or the other way round");
    if (!ids.command)
        wanted.id = read.id;
    if (!ids.value)
        wanted.value_id = read.value_id;
    if (!same_command(&read, &wanted))
        fail("the scanner reads another input than the JSON parser");
}

static void check_input(const char *line, size_t len)
{
    char *copy = line_copy(line, len, false);
    struct command read, again;
    struct buffer once = {0}, twice = {0};
    struct error error = {0};

    check_short(copy, len);
    if (input_parse(copy, len, NOW, &read, &error) == 0) {
        if (command_write_checked(&read, &once, &error) < 0)
            fail("calc-submit accepts what the handler doesn't");
        if (command_parse(once.data, once.len - 1, &again, &error) < 0 ||
            !same_command(&read, &again))
            fail("what is written of an input reads back as another command");
        if (input_parse(once.data, once.len - 1, NOW + 1, &again, &error) < 0)
            fail("what is written of an input is no input");
        command_write(&again, &twice);
        same_bytes(&once, &twice);
    } else if (error.status != EX_DATAERR) {
        fail("neither an input nor data that is none");
    }
    buffer_release(&once);
    buffer_release(&twice);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_command((const char *)data, size);
    check_rejection((const char *)data, size);
    check_input((const char *)data, size);
    return 0;
}
