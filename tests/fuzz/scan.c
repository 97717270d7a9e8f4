/* The scanner of the canonical spelling against the JSON parser: whatever a line is, both must say
 * the same of it. A space behind the first brace changes nothing to JSON and makes the scanner give
 * up. What was parsed is written canonically, and that is a fixed point. */
#include <stdlib.h>
#include <string.h>

#include "calc/outcome.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* A copy in memory of its own, so that reading beyond it is seen; one byte behind it is readable. */
static char *copy(const void *data, size_t len, const char *insert, size_t at, size_t *new_len)
{
    size_t extra = strlen(insert);
    char *line = malloc(len + extra + 1);

    if (!line)
        abort();
    memcpy(line, data, at);
    memcpy(line + at, insert, extra);
    memcpy(line + at + extra, (const char *)data + at, len - at);
    line[len + extra] = '\n';
    *new_len = len + extra;
    return line;
}

static void must(int condition)
{
    if (!condition)
        abort();
}

static void same_actor(const struct actor *a, const struct actor *b)
{
    must(actor_equal(a, b));
}

static void same_command(const struct command *a, const struct command *b)
{
    must(a->action == b->action && id_equal(&a->id, &b->id) &&
         id_equal(&a->value_id, &b->value_id) &&
         memcmp(&a->value, &b->value, sizeof a->value) == 0 &&
         a->has_expected_version == b->has_expected_version &&
         (!a->has_expected_version || a->expected_version == b->expected_version) &&
         a->timestamp == b->timestamp);
    same_actor(&a->actor, &b->actor);
    same_actor(&a->expected_owner, &b->expected_owner);
}

static void same_event(const struct outcome *a, const struct outcome *b)
{
    must(a->reason == b->reason && id_equal(&a->id, &b->id) && id_equal(&a->parent, &b->parent) &&
         a->action == b->action && id_equal(&a->value_id, &b->value_id) &&
         memcmp(&a->value, &b->value, sizeof a->value) == 0 && a->version == b->version &&
         memcmp(&a->result, &b->result, sizeof a->result) == 0 && a->timestamp == b->timestamp);
    same_actor(&a->actor, &b->actor);
}

static void check_command(const char *line, size_t len, const char *spaced, size_t spaced_len)
{
    struct buffer first = {0}, second = {0};
    struct command fast, slow, again;
    struct error error;
    int result = command_parse(line, len, &fast, &error);

    must(result == command_parse(spaced, spaced_len, &slow, &error));
    if (result < 0)
        return;
    same_command(&fast, &slow);
    command_write(&fast, &first);
    must(command_parse(first.data, first.len - 1, &again, &error) == 0);
    same_command(&fast, &again);
    command_write(&again, &second);
    must(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    buffer_release(&first);
    buffer_release(&second);
}

static void check_event(const char *line, size_t len, const char *spaced, size_t spaced_len)
{
    struct buffer first = {0};
    struct outcome fast, slow, again;
    struct error error;
    int result = event_parse(line, len, &fast, &error);

    must(result == event_parse(spaced, spaced_len, &slow, &error));
    if (result < 0)
        return;
    same_event(&fast, &slow);
    outcome_write(&fast, &first);
    must(event_parse(first.data, first.len - 1, &again, &error) == 0);
    same_event(&fast, &again);
    buffer_release(&first);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    size_t len, spaced_len;
    char *line, *spaced;

    if (!size || data[0] != '{')
        return 0;
    line = copy(data, size, "", 0, &len);
    spaced = copy(data, size, " ", 1, &spaced_len);
    check_command(line, len, spaced, spaced_len);
    check_event(line, len, spaced, spaced_len);
    free(line);
    free(spaced);
    return 0;
}
