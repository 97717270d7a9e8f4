#include "calc/policy.h"

#include <stdlib.h>
#include <string.h>

#include "calc/json.h"

enum who { WHO_NOBODY, WHO_NAMED, WHO_ACTORS, WHO_EVERYONE };

struct name {
    const char *text;
    size_t len;
};

struct rule {
    enum who who;
    struct name *names; /* in order, WHO_NAMED only */
    size_t count;
};

struct policy {
    struct rule rules[DEEDS];
    bool own;
    struct buffer text; /* of the names */
};

const char *deed_text(enum deed deed)
{
    static const char *const texts[DEEDS] = {"create", "add", "multiply", "read", "watch"};

    return texts[deed];
}

/* --- reading --- */

/* What is being read, and where. */
struct reading {
    struct policy *policy;
    const char *text;
    size_t len, member;
};

static int wrong(const struct reading *reading, size_t element, struct error *error,
                 const char *what)
{
    return error_set(error, EX_DATAERR, "%d: %s",
                     json_line(reading->text, reading->len, reading->member, element), what);
}

/* In the order in which they are looked for, which is not that of people. */
static int compare(const void *a, const void *b)
{
    const struct name *one = a, *other = b;

    if (one->len != other->len)
        return one->len < other->len ? -1 : 1;
    return memcmp(one->text, other->text, one->len);
}

static int read_names(const struct reading *reading, const struct json *list, size_t count,
                      struct rule *rule, struct error *error)
{
    struct buffer *text = &reading->policy->text;
    struct actor actor;

    rule->who = WHO_NAMED;
    rule->names = calloc(count + 1, sizeof *rule->names);
    if (!rule->names)
        return error_memory(error);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        const char *name = json_text(json_element(list, i), &len);
        if (!name || actor_read(&actor, name, len) < 0)
            return wrong(reading, i, error, "a name is a string of 1 to 256 bytes");
        rule->names[rule->count++] = (struct name){text->data + text->len, len};
        buffer_append(text, name, len);
    }
    qsort(rule->names, rule->count, sizeof *rule->names, compare);
    return 0;
}

static int read_rule(const struct reading *reading, const struct json *value, struct rule *rule,
                     struct error *error)
{
    size_t len = 0, count;
    const char *word = json_text(value, &len);

    if (json_list(value, &count))
        return read_names(reading, value, count, rule, error);
    if (word && len == 8 && memcmp(word, "everyone", len) == 0)
        rule->who = WHO_EVERYONE;
    else if (word && len == 6 && memcmp(word, "actors", len) == 0)
        rule->who = WHO_ACTORS;
    else
        return wrong(reading, JSON_MEMBER, error,
                     "who may do something is \"everyone\", \"actors\", or a list of names");
    return 0;
}

static int unknown(const struct reading *reading, const char *key, struct error *error)
{
    struct buffer name = {0};
    int result;

    json_write_string(&name, key, strnlen(key, 64));
    buffer_append_text(&name, " is no member of a policy: create, add, multiply, read, watch, own");
    buffer_append(&name, "", 1);
    result = name.failed ? error_memory(error) : wrong(reading, JSON_MEMBER, error, name.data);
    buffer_release(&name);
    return result;
}

static int read_member(const struct reading *reading, const char *key, const struct json *value,
                       struct error *error)
{
    struct policy *policy = reading->policy;

    for (int deed = 0; deed < DEEDS; deed++)
        if (strcmp(key, deed_text((enum deed)deed)) == 0)
            return read_rule(reading, value, &policy->rules[deed], error);
    if (strcmp(key, "own") != 0)
        return unknown(reading, key, error);
    if (json_truth(value, &policy->own))
        return 0;
    return wrong(reading, JSON_MEMBER, error, "own is true or false");
}

static int read_members(struct reading *reading, const struct json *object, struct error *error)
{
    const struct json *value;
    const char *key;

    for (; (key = json_member(object, reading->member, &value)); reading->member++)
        if (read_member(reading, key, value, error) < 0)
            return -1;
    return 0;
}

int policy_parse(const char *text, size_t len, struct policy **out, struct error *error)
{
    struct reading reading = {.text = text, .len = len};
    struct error reason;
    struct json *object;
    int line, result;

    object = json_parse_file(text, len, &line, &reason);
    if (!object && reason.status != EX_DATAERR)
        return error_memory(error);
    if (!object)
        return error_set(error, EX_DATAERR, "%d: %s", line, reason.text);
    reading.policy = calloc(1, sizeof *reading.policy);
    /* names have no more bytes than the text that spells them: they don't move while there come more */
    if (!reading.policy || !buffer_reserve(&reading.policy->text, len + 1))
        result = error_memory(error);
    else
        result = read_members(&reading, object, error);
    json_free(object);
    if (result == 0)
        *out = reading.policy;
    else
        policy_free(reading.policy);
    return result;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (int deed = 0; deed < DEEDS; deed++)
        free(policy->rules[deed].names);
    buffer_release(&policy->text);
    free(policy);
}

/* --- deciding --- */

bool policy_allows(const struct policy *policy, enum deed deed, const struct actor *actor)
{
    const struct rule *rule = policy ? &policy->rules[deed] : NULL;
    struct name name = {actor->text, actor->len};

    if (!rule || rule->who == WHO_EVERYONE)
        return true;
    if (rule->who == WHO_NOBODY || !actor->len)
        return false;
    return rule->who == WHO_ACTORS ||
           bsearch(&name, rule->names, rule->count, sizeof *rule->names, compare);
}

enum refusal policy_changes(const struct policy *policy, const struct actor *actor)
{
    if (!policy_allows(policy, DEED_ADD, actor) && !policy_allows(policy, DEED_MULTIPLY, actor))
        return REFUSAL_ACTOR;
    return policy && policy->own && !actor->len ? REFUSAL_NOBODY : REFUSAL_NONE;
}

enum refusal policy_admit(const struct policy *policy, struct command *command)
{
    const struct actor *actor = &command->actor;

    if (!policy_allows(policy, (enum deed)command->action, actor))
        return REFUSAL_ACTOR;
    if (!policy || !policy->own || command->action == ACTION_CREATE)
        return REFUSAL_NONE;
    if (!actor->len)
        return REFUSAL_NOBODY;
    /* what the command asks for and what the policy does can't both hold */
    if (command->expected_owner.len && !actor_equal(&command->expected_owner, actor))
        return REFUSAL_OWNER;
    actor_set(&command->expected_owner, actor->text, actor->len);
    return REFUSAL_NONE;
}

const char *refusal_text(enum refusal refusal)
{
    switch (refusal) {
    case REFUSAL_NONE:
        break;
    case REFUSAL_ACTOR:
        return "the policy doesn't allow it";
    case REFUSAL_NOBODY:
        return "only who created a value may change it, and nobody is named here";
    case REFUSAL_OWNER:
        return "only who created a value may change it, and expected_owner is somebody else";
    }
    return "";
}

void refusal_write(enum refusal refusal, const struct actor *actor, enum deed deed,
                   struct buffer *out)
{
    if (actor->len)
        json_write_string(out, actor->text, actor->len);
    else
        buffer_append_text(out, "who has no name");
    buffer_printf(out, " may not %s: %s", deed_text(deed), refusal_text(refusal));
}
