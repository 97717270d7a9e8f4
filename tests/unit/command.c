#include "calc/command.h"

#include <math.h>

#include "messages.h"
#include "tap.h"

#define ID1 "0193a000-0000-7000-8000-000000000001"
#define ID2 "0193a000-0000-7000-8000-00000000000b"
#define DATA "\"data\":{\"value_id\":\"" ID2 "\",\"value\":7}"
#define CREATE "\"action\":\"CreateValue\",\"id\":\"" ID1 "\","
#define UPDATE "\"action\":\"UpdateValue\",\"id\":\"" ID1 "\","
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* What a line is in the canonical spelling; "malformed" if it is no command. */
static const char *canonical(const char *line)
{
    static char text[2000];
    struct command command;
    struct buffer out = {0};

    if (parse_command(line, strlen(line), false, &command) < 0)
        return "malformed";
    command_write(&command, &out);
    snprintf(text, sizeof text, "%.*s", (int)out.len - 1, out.data);
    buffer_release(&out);
    return text;
}

static void test_spellings(void)
{
    static const char *const spellings[][2] = {
        {"{" CREATE DATA "}", "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":7.0}}"},
        {" { " DATA " , \"id\" : \"0193A000-0000-7000-8000-000000000001\", "
         "\"action\":\"Cre\\u0061teValue\" } \r",
         "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":7.0}}"},
        {"{" CREATE "\"data\":{\"operation\":\"DIVIDE\",\"value\":-0,\"value_id\":\"" ID2
         "\",\"more\":[{}]},\"foreign\":{\"id\":1},\"parent\":null}",
         "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":-0.0}}"},
        {"{" UPDATE "\"data\":{\"value\":1e3,\"operation\":\"MULTIPLY\",\"value_id\":\"" ID2
         "\"},\"actor\":\"\\u00e9\\/\\\"\",\"timestamp\":\"2026-11-23T12:00:00.5+01:00\","
         "\"expected_owner\":\"o\",\"expected_version\":3}",
         "{" UPDATE "\"data\":{\"value_id\":\"" ID2
         "\",\"operation\":\"MULTIPLY\",\"value\":1000.0},\"expected_version\":3,"
         "\"expected_owner\":\"o\",\"timestamp\":\"2026-11-23T11:00:00.500000Z\","
         "\"actor\":\"\xc3\xa9/\\\"\"}"},
        {"{" CREATE DATA ",\"expected_version\":null,\"expected_owner\":null,\"timestamp\":null,"
         "\"actor\":null}",
         "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":7.0}}"},
        {"{" CREATE DATA ",\"expected_version\":0,\"actor\":\"" X64 X64 X64 X64 "\"}",
         "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":7.0},\"expected_version\":0,"
         "\"actor\":\"" X64 X64 X64 X64 "\"}"},
        {"{" CREATE DATA ",\"expected_version\":99999999999999999999999}",
         "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":7.0},"
         "\"expected_version\":18446744073709551615}"},
    };
    int bad = 0;

    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        bad += wrong(strcmp(canonical(spellings[i][0]), spellings[i][1]) == 0, "%s is written %s",
                     spellings[i][0], canonical(spellings[i][0]));
    ok(!bad, "a command of any spelling has one canonical spelling");
}

static void test_malformed(void)
{
    static const char *const lines[] = {
        "",
        "{}",
        "[]",
        "{" CREATE DATA "} x",
        "{" CREATE DATA,
        "{\"id\":\"" ID1 "\"," DATA "}",
        "{\"action\":null,\"id\":\"" ID1 "\"," DATA "}",
        "{\"action\":7,\"id\":\"" ID1 "\"," DATA "}",
        "{\"action\":\"createvalue\",\"id\":\"" ID1 "\"," DATA "}",
        "{\"action\":\"DeleteValue\",\"id\":\"" ID1 "\"," DATA "}",
        "{\"action\":\"ValueCreated\",\"id\":\"" ID1 "\"," DATA "}",
        "{\"action\":\"CreateValue\"," DATA "}",
        "{\"action\":\"CreateValue\",\"id\":null," DATA "}",
        "{\"action\":\"CreateValue\",\"id\":7," DATA "}",
        "{\"action\":\"CreateValue\",\"id\":\"0193a000000070008000000000000001\"," DATA "}",
        "{\"action\":\"CreateValue\",\"id\":\"{" ID1 "}\"," DATA "}",
        "{\"action\":\"CreateValue\",\"id\":\"" ID1 " \"," DATA "}",
        "{" CREATE "\"x\":1}",
        "{" CREATE "\"data\":null}",
        "{" CREATE "\"data\":[]}",
        "{" CREATE "\"data\":\"" ID2 "\"}",
        "{" CREATE "\"data\":{\"value\":7}}",
        "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\"}}",
        "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":null}}",
        "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":\"7\"}}",
        "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":true}}",
        "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":1e309}}",
        "{" CREATE "\"data\":{\"value_id\":\"" ID2 "\",\"value\":07}}",
        "{" UPDATE DATA "}",
        "{" UPDATE "\"data\":{\"value_id\":\"" ID2 "\",\"operation\":null,\"value\":7}}",
        "{" UPDATE "\"data\":{\"value_id\":\"" ID2 "\",\"operation\":\"add\",\"value\":7}}",
        "{" UPDATE "\"data\":{\"value_id\":\"" ID2 "\",\"operation\":\"DIVIDE\",\"value\":7}}",
        "{" UPDATE "\"data\":{\"value_id\":\"" ID2 "\",\"operation\":1,\"value\":7}}",
        "{" CREATE DATA ",\"expected_version\":-0}",
        "{" CREATE DATA ",\"expected_version\":-1}",
        "{" CREATE DATA ",\"expected_version\":1.0}",
        "{" CREATE DATA ",\"expected_version\":1e0}",
        "{" CREATE DATA ",\"expected_version\":01}",
        "{" CREATE DATA ",\"expected_version\":\"1\"}",
        "{" CREATE DATA ",\"expected_version\":true}",
        "{" CREATE DATA ",\"expected_version\":[1]}",
        "{" CREATE DATA ",\"expected_owner\":\"\"}",
        "{" CREATE DATA ",\"expected_owner\":1}",
        "{" CREATE DATA ",\"expected_owner\":\"" X64 X64 X64 X64 "x\"}",
        "{" CREATE DATA ",\"timestamp\":\"\"}",
        "{" CREATE DATA ",\"timestamp\":1}",
        "{" CREATE DATA ",\"timestamp\":\"2026-11-23T11:00:60Z\"}",
        "{" CREATE DATA ",\"timestamp\":\"2026-11-23\"}",
        "{" CREATE DATA ",\"actor\":\"\"}",
        "{" CREATE DATA ",\"actor\":{}}",
        "{" CREATE DATA ",\"actor\":\"a\\u0000b\"}",
        "{" CREATE DATA ",\"actor\":\"" X64 X64 X64 X64 "x\"}",
        "{" CREATE DATA ",\"foreign\":{\"a\":1,\"a\":2}}",
        "{" CREATE DATA ",\"foreign\":NaN}",
        "{" CREATE DATA ",\"actor\":\"a\",\"actor\":\"a\"}",
        "{" CREATE DATA ",\"ac\\u0074or\":\"a\",\"actor\":null}",
    };
    int bad = 0;
    bool good;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        bad += wrong(strcmp(canonical(lines[i]), "malformed") == 0, "%s is %s", lines[i],
                     canonical(lines[i]));
        bad += wrong(!command_disagrees(lines[i], strlen(lines[i]), &good), "%s", lines[i]);
    }
    ok(!bad, "a line that is no command is refused, whatever is wrong with it");
    char digits[500];
    snprintf(digits, sizeof digits, "{" CREATE DATA ",\"expected_version\":1%0309d}", 0);
    ok(strcmp(canonical(digits), "malformed") == 0,
       "so is one whose expected_version overflows a double");
}

static void test_random(void)
{
    struct random random = {1};
    int bad = 0;
    bool good;

    for (int i = 0, count = often(20000); i < count; i++) {
        struct command command, back;
        struct buffer out = {0};
        const char *problem;
        random_command(&random, &command);
        command_write(&command, &out);
        bad += wrong(!out.failed && out.data[out.len - 1] == '\n' &&
                         parse_command(out.data, out.len - 1, false, &back) == 0 &&
                         same_command(&command, &back),
                     "%.*s", (int)out.len, out.data);
        problem = command_disagrees(out.data, out.len - 1, &good);
        bad += wrong(!problem && good, "%s: %.*s", problem, (int)out.len, out.data);
        buffer_release(&out);
    }
    ok(!bad, "20,000 random commands are written and read back, by the scanner as by JSON");
}

static void test_mutated(void)
{
    struct random random = {2};
    int bad = 0, commands = 0, others = 0;
    char line[4096];

    for (int i = 0, count = often(60000); i < count; i++) {
        struct command command;
        struct buffer out = {0};
        const char *problem;
        size_t len;
        bool good = false;
        random_command(&random, &command);
        command_write(&command, &out);
        len = out.len - 1;
        memcpy(line, out.data, len);
        buffer_release(&out);
        len = mutate(&random, line, len, sizeof line);
        problem = command_disagrees(line, len, &good);
        bad += wrong(!problem, "%s: %.*s", problem, (int)len, line);
        commands += good;
        others += !good;
    }
    ok(!bad, "60,000 lines changed at random are the same to the scanner and to JSON");
    ok(commands > often(5000) && others > often(5000), "of which %d are commands and %d are not", commands,
       others);
}

static void test_checked(void)
{
    struct random random = {3};
    struct buffer out = {0};
    struct error error = {0};
    struct command command;

    random_command(&random, &command);
    buffer_append_text(&out, "before\n");
    ok(command_write_checked(&command, &out, &error) == 0 && out.len > 100,
       "a good command is appended");
    size_t len = out.len;
    actor_set(&command.actor, "\xff", 1);
    ok(command_write_checked(&command, &out, &error) < 0 && error.status == EX_DATAERR &&
           out.len == len,
       "one that the handler would not accept is not");
    buffer_release(&out);
}

static struct body body(enum action action, double value, const char *name)
{
    struct actor actor;
    struct body made;

    actor_set(&actor, name, strlen(name));
    body_of(action, value, &actor, &made);
    return made;
}

static void test_body(void)
{
    struct body first = body(ACTION_ADD, 0, "ann"), again = body(ACTION_ADD, 0, "ann");
    struct body others[] = {body(ACTION_MULTIPLY, 0, "ann"), body(ACTION_CREATE, 0, "ann"),
                            body(ACTION_ADD, -0.0, "ann"),   body(ACTION_ADD, 5e-324, "ann"),
                            body(ACTION_ADD, 0, ""),         body(ACTION_ADD, 0, "Ann")};
    int bad = 0;

    for (int i = 0; i < 6; i++)
        bad += wrong(!body_equal(&first, &others[i]), "body %d", i);
    ok(body_equal(&first, &again), "the same action, value and actor are the same body");
    ok(!bad, "another action, operation, sign of zero, value or actor is another body");
}

static void test_actor(void)
{
    struct actor a, b;
    char text[ACTOR_MAX_BYTES + 1];

    memset(text, 'x', sizeof text);
    ok(actor_set(&a, text, ACTOR_MAX_BYTES) == 0 && a.len == 256 && actor_set(&b, text, 257) < 0,
       "an actor has at most 256 bytes");
    actor_set(&b, text, 255);
    ok(!actor_equal(&a, &b) && actor_equal(&a, &a), "actors are equal byte by byte");
}

int main(void)
{
    test_spellings();
    test_malformed();
    test_random();
    test_mutated();
    test_checked();
    test_body();
    test_actor();
    return tap_done();
}
