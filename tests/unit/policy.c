/* Who may do what, by the text of a policy; and the file that it comes from, as it changes. */
#include "calc/policy.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "calc/json.h"
#include "random.h"
#include "scratch.h"
#include "tap.h"
#include "tool/policy_file.h"

static struct actor named(const char *name)
{
    struct actor actor = {0};

    actor_set(&actor, name, strlen(name));
    return actor;
}

/* Parses a copy that ends where the text does, so that a sanitizer sees who reads on. */
static struct policy *parse(const char *text, struct error *error)
{
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    struct policy *policy = NULL;

    *error = (struct error){0};
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (policy_parse(copy, len, &policy, error) < 0)
        policy = NULL;
    free(copy);
    return policy;
}

/* --- rules --- */

#define ALL "{\"create\":\"everyone\",\"add\":\"actors\",\"multiply\":[\"ann\",\"Zo\\u00eb\"],\"read\":[]}"

static void test_rules(void)
{
    /* for each deed: nobody, ann, bob, Zoë, everyone, actors */
    static const char *const names[] = {"", "ann", "bob", "Zo\xc3\xab", "everyone", "actors"};
    static const char wanted[DEEDS][7] = {"yyyyyy", "nyyyyy", "nynynn", "nnnnnn", "nnnnnn"};
    struct error error;
    struct policy *policy = parse(ALL, &error);
    int bad = 0;

    ok(policy, "a policy is read");
    for (int deed = 0; policy && deed < DEEDS; deed++)
        for (int i = 0; i < 6; i++) {
            struct actor actor = named(names[i]);
            bad += wrong(policy_allows(policy, (enum deed)deed, &actor) == (wanted[deed][i] == 'y'),
                         "%s, %s", deed_text((enum deed)deed), names[i]);
        }
    ok(!bad, "everyone, actors, names, none and what isn't mentioned are who may");
    policy_free(policy);
    bad = 0;
    for (int deed = 0; deed < DEEDS; deed++) {
        struct actor nobody = named("");
        bad += wrong(policy_allows(NULL, (enum deed)deed, &nobody), "%s", deed_text((enum deed)deed));
    }
    ok(!bad, "without a policy everything is allowed");
}

static void test_many_names(void)
{
    struct buffer text = {0};
    struct error error;
    struct policy *policy;
    int bad = 0;

    buffer_append_text(&text, "{\"add\":[\"\\u0001\"");
    for (int i = 0; i < 5000; i++)
        buffer_printf(&text, ",\"%d\"", i * 7919 % 100000);
    buffer_append(&text, "]}", 3);
    policy = parse(text.data, &error);
    ok(policy, "a policy of five thousand names is read");
    for (int i = 0; policy && i < 5000; i++) {
        char name[16];
        struct actor in, out;
        snprintf(name, sizeof name, "%d", i * 7919 % 100000);
        in = named(name);
        snprintf(name, sizeof name, "%dx", i * 7919 % 100000);
        out = named(name);
        bad += wrong(policy_allows(policy, DEED_ADD, &in), "%d isn't found", i);
        bad += wrong(!policy_allows(policy, DEED_ADD, &out), "%d and more is found", i);
    }
    ok(!bad, "each of them may, and none that is like it");
    policy_free(policy);
    buffer_release(&text);
}

static void test_faults(void)
{
    static const struct {
        const char *text, *fault;
    } faults[] = {
        {"", "1: not JSON"},
        {"[]", "1: not a JSON object"},
        {"{\n\"add\":\"actors\"\n\"read\":[]}", "3: not JSON"},
        {"{\"add\":\"actors\",\n\"add\":[]}", "2: not JSON: duplicate object key"},
        {"{\"add\":\"actors\",\"\\u0061dd\":[]}", "1: not JSON: duplicate object key"},
        {"{} {}", "1: not JSON"},
        {"{\n\"read\" : \"everyone\",\n\n  \"raed\":[]}", "4: \"raed\" is no member"},
        {"{\"Read\":\"everyone\"}", "1: \"Read\" is no member"},
        {"{\"\":1}", "1: \"\" is no member"},
        {"{\"read\":\n\"anyone\"}", "1: who may do something is"},
        {"{\"read\":\"everyone \"}", "1: who may"},
        {"{\"read\":\"Everyone\"}", "1: who may"},
        {"{\"read\":null}", "1: who may"},
        {"{\"read\":true}", "1: who may"},
        {"{\"read\":{\"ann\":true}}", "1: who may"},
        {"{\"read\":[\"ann\",\n\"bob\",\n\"\"]}", "3: a name is a string"},
        {"{\"watch\":[\"a,b\"],\n\"read\":[\"ann\",\n[\"bob\",\"eve\"]]}", "3: a name is a string"},
        {"{\"read\":[\"ann\",{\"bob\":[1,2]},\n7]}", "1: a name is a string"},
        {"{\"read\":[null]}", "1: a name is a string"},
        {"{\"read\":[\"\\u0000\"]}", "1: not JSON"},
        {"{\"read\":[\"\xff\"]}", "1: not JSON"},
        {"{\"own\":1}", "1: own is true or false"},
        {"{\"own\":\"true\"}", "1: own is"},
        {"{\n\"own\":null}", "2: own is"},
        {"\xef\xbb\xbf{}", "1: not JSON"},
    };
    int bad = 0;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct error error;
        struct policy *policy = parse(faults[i].text, &error);
        bad += wrong(!policy && error.status == EX_DATAERR &&
                         strncmp(error.text, faults[i].fault, strlen(faults[i].fault)) == 0,
                     "%s: %s", faults[i].text, policy ? "taken" : error.text);
        policy_free(policy);
    }
    ok(!bad, "whatever is no policy is refused, with its line and what is wrong there");
}

/* --- commands --- */

static struct command command_by(enum action action, const char *actor, const char *owner)
{
    return (struct command){.action = action, .actor = named(actor), .expected_owner = named(owner)};
}

static void test_own(void)
{
    static const struct {
        enum action action;
        const char *actor, *asked;
        enum refusal refusal;
        const char *stamped;
    } cases[] = {
        {ACTION_CREATE, "", "", REFUSAL_NONE, ""},
        {ACTION_CREATE, "ann", "", REFUSAL_NONE, ""},
        {ACTION_ADD, "ann", "", REFUSAL_NONE, "ann"},
        {ACTION_ADD, "ann", "ann", REFUSAL_NONE, "ann"},
        {ACTION_ADD, "ann", "bob", REFUSAL_OWNER, "bob"},
        {ACTION_ADD, "", "", REFUSAL_NOBODY, ""},
        {ACTION_ADD, "", "ann", REFUSAL_NOBODY, "ann"},
        {ACTION_MULTIPLY, "ann", "", REFUSAL_ACTOR, ""},
        {ACTION_MULTIPLY, "bob", "", REFUSAL_NONE, "bob"},
    };
    static const char text[] =
        "{\"create\":\"everyone\",\"add\":\"everyone\",\"multiply\":[\"bob\"],\"own\":true}";
    struct actor nobody = named(""), ann = named("ann");
    struct error error;
    struct policy *policy = parse(text, &error);
    int bad = 0;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct command command = command_by(cases[i].action, cases[i].actor, cases[i].asked);
        struct actor stamped = named(cases[i].stamped);
        bad += wrong(policy_admit(policy, &command) == cases[i].refusal &&
                         actor_equal(&command.expected_owner, &stamped),
                     "case %zu", i);
    }
    ok(!bad, "where only who created a value may change it, changes get that owner, and no other");
    ok(policy_changes(policy, &nobody) == REFUSAL_NOBODY &&
           policy_changes(policy, &ann) == REFUSAL_NONE,
       "and nobody is refused before it is known what is to be changed");
    policy_free(policy);
}

static void test_without_own(void)
{
    struct command command = command_by(ACTION_ADD, "ann", "bob");
    struct error error;
    struct policy *policy = parse("{\"add\":\"everyone\",\"own\":false}", &error);
    struct actor bob = named("bob");

    ok(policy_admit(policy, &command) == REFUSAL_NONE &&
           actor_equal(&command.expected_owner, &bob),
       "elsewhere what a command asks for stays as it is");
    policy_free(policy);
}

/* The body tells a retry from another command: it mustn't differ before and after a change of policy. */
static void test_body(void)
{
    struct command plain = command_by(ACTION_ADD, "ann", ""), stamped = plain;
    struct error error;
    struct policy *policy = parse("{\"add\":\"everyone\",\"own\":true}", &error);
    struct body one, other;

    policy_admit(policy, &stamped);
    body_of(plain.action, plain.value, &plain.actor, &one);
    body_of(stamped.action, stamped.value, &stamped.actor, &other);
    ok(stamped.expected_owner.len && body_equal(&one, &other), "the owner is no part of the body");
    policy_free(policy);
}

static void test_refusals(void)
{
    struct actor nobody = named(""), quoted = named("a\n\"b\"");
    struct buffer out = {0};

    refusal_write(REFUSAL_ACTOR, &quoted, DEED_READ, &out);
    buffer_append_text(&out, "|");
    refusal_write(REFUSAL_NOBODY, &nobody, DEED_ADD, &out);
    buffer_append(&out, "", 1);
    ok(strcmp(out.data, "\"a\\n\\\"b\\\"\" may not read: the policy doesn't allow it|"
                        "who has no name may not add: only who created a value may change it, "
                        "and nobody is named here") == 0,
       "a refusal is one line, whoever is refused");
    buffer_release(&out);
}

/* --- names --- */

static void test_utf8(void)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
                                          0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 'a'};
    struct random random = {7};
    int bad = 0, good = 0, count = often(200000);

    for (int i = 0; i < count; i++) {
        char text[64] = "{\"\":\"", name[8];
        size_t len = 1 + random_below(&random, 4);
        struct actor actor;
        struct error error;
        struct json *object;
        bool taken;
        for (size_t j = 0; j < len; j++)
            name[j] = (char)edges[random_below(&random, sizeof edges)];
        memcpy(text + 5, name, len);
        memcpy(text + 5 + len, "\"}", 3);
        object = json_parse_object(text, len + 7, &error);
        taken = actor_read(&actor, name, len) == 0;
        bad += wrong(taken == !!object, "%02x %02x %02x %02x of %zu", (unsigned char)name[0],
                     (unsigned char)name[1], (unsigned char)name[2], (unsigned char)name[3], len);
        good += taken;
        json_free(object);
    }
    ok(!bad && good > count / 200, "a name is UTF-8 if jansson says so (%d were)", good);
}

static void test_lengths(void)
{
    char text[300];
    struct actor actor;

    memset(text, 'x', sizeof text);
    ok(actor_read(&actor, text, 0) < 0 && actor_read(&actor, text, 256) == 0 && actor.len == 256 &&
           actor_read(&actor, text, 257) < 0,
       "a name has 1 to 256 bytes");
}

/* --- the file --- */

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        exit(1);
    close(fd);
}

static bool may(struct policy_file *file, const char *name)
{
    struct actor actor = named(name);

    return policy_file_allows(file, DEED_READ, &actor);
}

#define ANN "{\"read\":[\"ann\"]}"
#define BOB "{\"read\":[\"bob\"]}"

static void test_file(void)
{
    struct policy_file *file = NULL;
    struct error error = {0};

    ok(policy_file_open("policy", &file, &error) < 0 && error.status == EX_CONFIG &&
           strstr(error.text, "policy: No such file"),
       "a file that isn't there is refused");
    put("policy", "{\n\"raed\":[]}");
    ok(policy_file_open("policy", &file, &error) < 0 && error.status == EX_CONFIG &&
           strncmp(error.text, "policy:2: \"raed\" is no member", 29) == 0,
       "a broken one is refused, with its name and the line");
    mkdir("folder", 0777);
    ok(policy_file_open("folder", &file, &error) < 0 && error.status == EX_CONFIG, "and a folder");
    put("policy", ANN);
    ok(policy_file_open("policy", &file, &error) == 0 && may(file, "ann") && !may(file, "bob"),
       "a good one is taken");
    ok(policy_file_look(file, &error) == 0 && policy_file_edition(file) == 1,
       "as long as it stays as it is, so does the policy");
    put("policy", BOB); /* as long as the other, and maybe in the same tick of the clock */
    ok(policy_file_look(file, &error) == 1 && may(file, "bob") && !may(file, "ann") &&
           policy_file_edition(file) == 2,
       "one that was written over is taken");
    put("new", ANN);
    rename("new", "policy");
    ok(policy_file_look(file, &error) == 1 && may(file, "ann"), "so is one that was put in its place");
    policy_file_close(file);
}

static void test_broken_file(void)
{
    struct policy_file *file = NULL;
    struct error error = {0};

    put("policy", ANN);
    ok(policy_file_open("policy", &file, &error) == 0, "(a policy)");
    put("policy", "{\"read\":[\"bob\"],\n\"watch\":\"bob\"}");
    ok(policy_file_look(file, &error) < 0 && strncmp(error.text, "policy:2: who may", 17) == 0 &&
           may(file, "ann") && !may(file, "bob"),
       "one that broke changes nothing, and it is said where");
    ok(policy_file_look(file, &error) == 0, "it is said once");
    put("policy", "{\"read\":[\"eve\"],\n\"watch\":\"eve\"}");
    ok(policy_file_look(file, &error) < 0, "and again of the next that is broken");
    unlink("policy");
    ok(policy_file_look(file, &error) < 0 && policy_file_look(file, &error) == 0 && may(file, "ann"),
       "one that was removed changes nothing, and that is said once");
    put("policy", ANN);
    ok(policy_file_look(file, &error) == 1 && may(file, "ann"), "it may come back");
    unlink("policy");
    ok(policy_file_look(file, &error) < 0, "and go again");
    put("policy", BOB);
    ok(policy_file_look(file, &error) == 1 && may(file, "bob"), "and come as another");
    ok(truncate("policy", POLICY_MAX_BYTES + 1) == 0 && policy_file_look(file, &error) < 0 &&
           strstr(error.text, "longer than"),
       "one that is too long isn't read");
    policy_file_close(file);
    ok(policy_file_look(NULL, &error) == 0 && may(NULL, "eve") && !policy_file_edition(NULL),
       "without a file everything is allowed");
}

/* --- threads --- */

static _Atomic bool done;

/* At any time ann may and bob may not, or the other way round. */
static void *ask(void *argument)
{
    struct policy_file *file = argument;
    struct command command = command_by(ACTION_ADD, "eve", "");
    intptr_t bad = 0;

    while (!done) {
        unsigned edition = policy_file_edition(file);
        bool ann = may(file, "ann"), bob = may(file, "bob");
        if (edition == policy_file_edition(file))
            bad += ann == bob;
        bad += policy_file_admit(file, &command) != REFUSAL_ACTOR;
    }
    return (void *)bad;
}

static void test_threads(void)
{
    struct policy_file *file = NULL;
    struct error error = {0};
    pthread_t threads[3];
    intptr_t bad = 0;
    void *result;

    put("policy", ANN);
    policy_file_open("policy", &file, &error);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, ask, file);
    for (int i = 0; i < often(300); i++) {
        put("new", i % 2 ? ANN : BOB);
        rename("new", "policy");
        bad += policy_file_look(file, &error) != 1;
    }
    done = true;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        bad += (intptr_t)result;
    }
    ok(!bad, "while it changes, each answer is that of one policy");
    policy_file_close(file);
}

int main(void)
{
    scratch_enter();
    test_rules();
    test_many_names();
    test_faults();
    test_own();
    test_without_own();
    test_body();
    test_refusals();
    test_utf8();
    test_lengths();
    test_file();
    test_broken_file();
    test_threads();
    return tap_done();
}
