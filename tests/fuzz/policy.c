/* Any text, read as a policy: it is one if jansson, asked here in another way, finds nothing else in it,
 * and then whoever it names, and others, may do what that says. */
#include <jansson.h>
#include <string.h>

#include "calc/policy.h"
#include "depth.h"
#include "require.h"

enum { ACTORS = 64 };

/* --- a policy by jansson alone --- */

static bool is_name(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) >= 1 &&
           json_string_length(value) <= ACTOR_MAX_BYTES;
}

static bool is_rule(const json_t *value)
{
    const char *word = json_string_value(value);
    const json_t *name;
    size_t index;

    json_array_foreach((json_t *)(uintptr_t)value, index, name)
        if (!is_name(name))
            return false;
    return json_is_array(value) ||
           (word && (strcmp(word, "everyone") == 0 || strcmp(word, "actors") == 0));
}

static bool is_policy(json_t *root)
{
    const char *key;
    json_t *value;

    json_object_foreach(root, key, value)
        if (strcmp(key, "own") == 0 ? !json_is_boolean(value)
                                    : strcmp(key, "create") != 0 && strcmp(key, "add") != 0 &&
                                          strcmp(key, "multiply") != 0 && strcmp(key, "read") != 0 &&
                                          strcmp(key, "watch") != 0)
            return false;
        else if (strcmp(key, "own") != 0 && !is_rule(value))
            return false;
    return json_is_object(root) && depth(root) <= 64;
}

static bool allows(const json_t *rule, const struct actor *actor)
{
    const char *word = json_string_value(rule);
    const json_t *name;
    size_t index;

    if (word)
        return strcmp(word, "everyone") == 0 || actor->len;
    json_array_foreach((json_t *)(uintptr_t)rule, index, name)
        if (json_string_length(name) == actor->len &&
            memcmp(json_string_value(name), actor->text, actor->len) == 0)
            return true;
    return false;
}

/* --- what both say --- */

static size_t add_actor(struct actor *actors, size_t count, const char *text, size_t len)
{
    if (count < ACTORS && len <= ACTOR_MAX_BYTES)
        actor_set(&actors[count++], text, len);
    return count;
}

/* Nobody, those that are named, and those that are nearly named so. */
static size_t collect(json_t *root, struct actor *actors)
{
    size_t count = add_actor(actors, 0, "", 0), index;
    json_t *rule, *name;
    const char *key;

    count = add_actor(actors, count, "everyone", 8);
    json_object_foreach(root, key, rule)
        json_array_foreach(rule, index, name) {
            const char *text = json_string_value(name);
            size_t len = json_string_length(name);
            count = add_actor(actors, count, text, len);
            count = add_actor(actors, count, text, len - 1);
        }
    return count;
}

static void check(const struct policy *policy, json_t *root, const struct actor *actor)
{
    bool own = json_is_true(json_object_get(root, "own"));

    for (int deed = 0; deed < DEEDS; deed++) {
        const json_t *rule = json_object_get(root, deed_text((enum deed)deed));
        struct command command = {.action = (enum action)deed, .actor = *actor};
        bool allowed = allows(rule, actor), stamped = own && deed != DEED_CREATE;
        require(policy_allows(policy, (enum deed)deed, actor) == allowed, "another may");
        if (deed > DEED_MULTIPLY)
            continue;
        require((policy_admit(policy, &command) == REFUSAL_NONE) ==
                    (allowed && (!stamped || actor->len)),
                "another command is taken");
        require(allowed && stamped ? actor_equal(&command.expected_owner, actor)
                                   : !command.expected_owner.len,
                "another owner");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct actor actors[ACTORS];
    json_t *root = json_loadb((const char *)data, size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    struct policy *policy = NULL;
    struct error error = {0};
    char *copy = malloc(size + 1);
    size_t count;

    memcpy(copy, data, size);
    copy[size] = '\0';
    if (policy_parse(copy, size, &policy, &error) < 0) {
        require(!is_policy(root) || memchr(copy, '\0', size), "a policy that is refused");
        require(error.status == EX_DATAERR && atoi(error.text) >= 1 &&
                    atoi(error.text) <= (int)size + 1,
                "a fault without a line");
    } else {
        require(is_policy(root), "no policy, and it is taken");
        count = collect(root, actors);
        for (size_t i = 0; i < count; i++)
            check(policy, root, &actors[i]);
        policy_free(policy);
    }
    json_decref(root);
    free(copy);
    return 0;
}
