#include "calc/outcome.h"

#include <math.h>
#include <uuid/uuid.h>

#include "base/lines.h"
#include "messages.h"
#include "tap.h"

#define ID1 "0193a000-0000-7000-8000-000000000001"
#define ID2 "0193a000-0000-7000-8000-000000000002"
#define ID3 "0193a000-0000-7000-8000-000000000003"

static const char *written(const struct outcome *outcome)
{
    static char text[2000];
    struct buffer out = {0};

    outcome_write(outcome, &out);
    snprintf(text, sizeof text, "%.*s", (int)out.len, out.data);
    buffer_release(&out);
    return text;
}

static int parse_rejection(const char *line, size_t len, bool json, struct outcome *rejection)
{
    struct error error = {0};
    char *copy = line_copy(line, len, json);
    int result = rejection_parse(copy, len + (json && len && line[0] == '{'), rejection, &error);

    free(copy);
    return result;
}

static struct outcome sample(enum reason reason, enum action action)
{
    struct outcome outcome = {.reason = reason,
                              .action = action,
                              .value = 3,
                              .version = 2,
                              .result = 10,
                              .timestamp = TIMESTAMP_NONE,
                              .position = "1834"};

    id_read(ID1, &outcome.id);
    id_read(ID2, &outcome.parent);
    id_read(ID3, &outcome.value_id);
    return outcome;
}

static void test_spelling(void)
{
    struct outcome outcome = sample(REASON_NONE, ACTION_CREATE);

    outcome.version = 1;
    outcome.timestamp = INT64_C(1795431600000000);
    actor_set(&outcome.actor, "ann", 3);
    ok(strcmp(written(&outcome),
              "{\"action\":\"ValueCreated\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
              "\",\"data\":{\"value_id\":\"" ID3 "\",\"value\":3.0},\"version\":1,\"result\":10.0,"
              "\"timestamp\":\"2026-11-23T11:00:00.000000Z\",\"actor\":\"ann\"}\n") == 0,
       "a ValueCreated is spelled as the format says");
    outcome = sample(REASON_NONE, ACTION_ADD);
    outcome.version = UINT64_MAX - 1;
    ok(strcmp(written(&outcome),
              "{\"action\":\"ValueUpdated\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
              "\",\"data\":{\"value_id\":\"" ID3 "\",\"operation\":\"ADD\",\"value\":3.0},"
              "\"version\":18446744073709551614,\"result\":10.0}\n") == 0,
       "so is a ValueUpdated, of any version");
    outcome = sample(REASON_VERSION_CONFLICT, ACTION_MULTIPLY);
    ok(strcmp(written(&outcome),
              "{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
              "\",\"data\":{\"value_id\":\"" ID3 "\",\"operation\":\"MULTIPLY\",\"value\":3.0},"
              "\"reason\":\"version_conflict\",\"version\":2}\n") == 0,
       "so is a rejection");
    outcome = sample(REASON_MALFORMED, ACTION_CREATE);
    ok(strcmp(written(&outcome), "{\"action\":\"CommandRejected\",\"id\":\"" ID1
                                 "\",\"parent\":null,\"data\":{\"position\":\"1834\"},"
                                 "\"reason\":\"malformed\"}\n") == 0,
       "so is that of a line that is no command");
}

static void test_events(void)
{
    struct random random = {1};
    int bad = 0, changed = 0, events = 0, others = 0;
    char line[4096];

    for (int i = 0, count = often(40000); i < count; i++) {
        struct outcome event, back;
        struct buffer out = {0};
        const char *problem;
        size_t len;
        bool good = false;
        random_outcome(&random, REASON_NONE, &event);
        outcome_write(&event, &out);
        len = out.len - 1;
        memcpy(line, out.data, len);
        buffer_release(&out);
        problem = event_disagrees(line, len, &good);
        bad += wrong(!problem && good && parse_event(line, len, false, &back) == 0 &&
                         same_outcome(&event, &back),
                     "%s: %.*s", problem, (int)len, line);
        len = mutate(&random, line, len, sizeof line);
        problem = event_disagrees(line, len, &good);
        changed += wrong(!problem, "%s: %.*s", problem, (int)len, line);
        events += good;
        others += !good;
    }
    ok(!bad, "40,000 random events are written and read back, by the scanner as by JSON");
    ok(!changed, "changed at random they are the same to the scanner and to JSON");
    ok(events > often(3000) && others > often(3000), "of which %d are events and %d are not", events, others);
}

/* Whether the scanner and the JSON parser agree on a line; *good: that it is a rejection. */
static bool both_agree(const char *line, size_t len, struct outcome *rejection, bool *good)
{
    struct outcome other;

    *good = parse_rejection(line, len, false, rejection) == 0;
    return (parse_rejection(line, len, true, &other) == 0) == *good &&
           (!*good || same_outcome(rejection, &other));
}

static void test_rejections(void)
{
    struct random random = {2};
    int bad = 0, changed = 0, rejections = 0, others = 0;
    char line[4096];

    for (int i = 0, count = often(20000); i < count; i++) {
        struct outcome rejection, back;
        struct buffer out = {0};
        bool good;
        size_t len;
        enum reason reason =
            (enum reason)(REASON_MALFORMED +
                          (int)random_below(&random, REASON_OUT_OF_RANGE - REASON_MALFORMED + 1));
        random_outcome(&random, reason, &rejection);
        outcome_write(&rejection, &out);
        memset(&back, 0x5a, sizeof back);
        bad += wrong(both_agree(out.data, out.len - 1, &back, &good) && good &&
                         same_outcome(&rejection, &back),
                     "%.*s", (int)out.len, out.data);
        bad +=
            wrong(strncmp(written(&back), out.data, out.len) == 0, "%.*s", (int)out.len, out.data);
        len = out.len - 1;
        memcpy(line, out.data, len);
        buffer_release(&out);
        len = mutate(&random, line, len, sizeof line);
        changed += wrong(both_agree(line, len, &back, &good), "%.*s", (int)len, line);
        rejections += good;
        others += !good;
    }
    ok(!bad, "rejections of every reason are written and read back, by the scanner as by JSON");
    ok(!changed, "changed at random they are the same to the scanner and to JSON");
    ok(rejections > often(1500) && others > often(1500), "of which %d are rejections and %d are not",
       rejections, others);
}

static void test_refused(void)
{
#define EVENT(action, version, result)                                                             \
    "{\"action\":\"" action "\",\"id\":\"" ID1 "\",\"parent\":\"" ID2                              \
    "\",\"data\":{\"value_id\":\"" ID3                                                             \
    "\",\"operation\":\"ADD\",\"value\":3.0},\"version\":" version ",\"result\":" result "}"
    static const char *const events[] = {
        "{}",
        EVENT("CreateValue", "1", "1.0"),
        EVENT("CommandRejected", "1", "1.0"),
        EVENT("ValueUpdated", "0", "1.0"),
        EVENT("ValueUpdated", "-1", "1.0"),
        EVENT("ValueUpdated", "1.0", "1.0"),
        EVENT("ValueUpdated", "18446744073709551615", "1.0"),
        EVENT("ValueUpdated", "18446744073709551616", "1.0"),
        EVENT("ValueUpdated", "null", "1.0"),
        EVENT("ValueUpdated", "1", "null"),
        EVENT("ValueUpdated", "1", "\"1\""),
        EVENT("ValueUpdated", "1", "1e309"),
        "{\"action\":\"ValueCreated\",\"id\":\"" ID1 "\",\"parent\":null,\"data\":{\"value_id\":"
        "\"" ID3 "\",\"value\":3.0},\"version\":1,\"result\":3.0}",
        "{\"action\":\"ValueUpdated\",\"id\":\"" ID1 "\",\"parent\":\"" ID2
        "\",\"data\":{\"value_id\":\"" ID3 "\",\"value\":3.0},\"version\":1,\"result\":3.0}",
    };
#define REJECTION(reason, version)                                                                 \
    "{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":\"" ID2                         \
    "\",\"data\":{\"value_id\":\"" ID3 "\",\"value\":3.0},\"reason\":" reason                      \
    ",\"version\":" version "}"
    static const char *const rejections[] = {
        "{}",
        REJECTION("\"because\"", "1"),
        REJECTION("null", "1"),
        REJECTION("\"malformed\"", "1"),
        REJECTION("\"forbidden\"", "-1"),
        REJECTION("\"forbidden\"", "null"),
        "{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":null,\"data\":{\"position\":"
        "\"12345678901234567890123456789012345678901234\"},\"reason\":\"malformed\"}",
        "{\"action\":\"CommandRejected\",\"id\":\"" ID1 "\",\"parent\":null,\"data\":{\"position\":"
        "7},\"reason\":\"malformed\"}",
        EVENT("ValueUpdated", "1", "1.0"),
    };
    int bad = 0;
    bool good = false;
    struct outcome outcome;

    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        const char *problem = event_disagrees(events[i], strlen(events[i]), &good);
        bad += wrong(!problem && !good, "%s: %s", problem ? problem : "is an event", events[i]);
    }
    ok(!bad, "what is no event is refused, its version or result included");
    bad = 0;
    for (size_t i = 0; i < sizeof rejections / sizeof *rejections; i++)
        bad += wrong(parse_rejection(rejections[i], strlen(rejections[i]), false, &outcome) < 0, "%s",
                     rejections[i]);
    ok(!bad, "what is no rejection is refused");
    ok(parse_rejection(REJECTION("\"unknown_value\"", "0"),
                       strlen(REJECTION("\"unknown_value\"", "0")), false, &outcome) == 0 &&
           outcome.version == 0,
       "a rejection's version may be 0");
}

static void test_derived(void)
{
    struct id value_id, command_id, id;
    char text[ID_TEXT + 1] = "", name[POSITION_TEXT + 1 + LINE_MAX_BYTES + 1];
    uuid_t space, wanted;
    struct outcome outcome;

    /* the first event of the examples */
    id_read("637d6efa-609e-467a-9a67-9f818a119b9e", &value_id);
    id_read("7e6ddce7-a7ac-4732-b6fa-dfa7e5c15b62", &command_id);
    outcome_derive_id(&value_id, &command_id, &id);
    id_write(&id, text);
    ok(strcmp(text, "49d28f92-ee0c-5962-9137-adf43d292e26") == 0,
       "an outcome's id is a function of the value's and the command's");
    outcome_derive_id(&command_id, &value_id, &id);
    id_write(&id, text);
    ok(strcmp(text, "49d28f92-ee0c-5962-9137-adf43d292e26") != 0, "in this order");

    uuid_parse("ea5002c0-73f9-4d45-8c92-f0c2deaa7382", space);
    uuid_generate_sha1(wanted, space, "1834\nnonsense", 13);
    outcome_malformed(&outcome, "1834", "nonsense", 8);
    ok(memcmp(outcome.id.bytes, wanted, 16) == 0 && outcome.reason == REASON_MALFORMED &&
           strcmp(outcome.position, "1834") == 0,
       "that of a malformed line is one of its position and its bytes");
    memset(name, 'x', sizeof name);
    memcpy(name, "0\n", 2);
    uuid_generate_sha1(wanted, space, name, 2 + LINE_MAX_BYTES);
    outcome_derive_id_from_line("0", name + 2, LINE_MAX_BYTES, &id);
    ok(memcmp(id.bytes, wanted, 16) == 0, "of a long line of its first 65,536 bytes");
    outcome_derive_id_from_line("0", name + 2, LINE_MAX_BYTES + 1, &id);
    ok(memcmp(id.bytes, wanted, 16) == 0, "and no more of them");
}

static void test_reasons(void)
{
    enum reason back;
    int bad = 0;

    for (int reason = REASON_MALFORMED; reason <= REASON_OUT_OF_RANGE; reason++) {
        const char *text = reason_text((enum reason)reason);
        bad +=
            wrong(reason_read(text, strlen(text), &back) == 0 && (int)back == reason, "%s", text);
        bad += wrong(reason_read(text, strlen(text) - 1, &back) < 0, "%s cut", text);
    }
    ok(!bad && !reason_text(REASON_NONE) && reason_read("", 0, &back) < 0,
       "reasons have names, and names are reasons");
}

static void test_status(void)
{
    struct outcome outcome = sample(REASON_NONE, ACTION_ADD);
    struct buffer out = {0};

    outcome_write_status(NULL, &out);
    buffer_append_text(&out, " ");
    outcome_write_status(&outcome, &out);
    buffer_append_text(&out, " ");
    outcome.reason = REASON_FORBIDDEN;
    outcome_write_status(&outcome, &out);
    buffer_append(&out, "", 1);
    ok(strcmp(out.data, "\"status\":\"pending\" "
                        "\"status\":\"applied\",\"version\":2,\"result\":10.0 "
                        "\"status\":\"rejected\",\"reason\":\"forbidden\",\"version\":2") == 0,
       "clients are told whether a command is pending, applied or rejected");
    buffer_release(&out);
}

int main(void)
{
    test_spelling();
    test_events();
    test_rejections();
    test_refused();
    test_derived();
    test_reasons();
    test_status();
    return tap_done();
}
