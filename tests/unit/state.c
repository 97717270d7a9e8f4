#include "store/state.h"

#include <stdio.h>

#include "base/lines.h"
#include "messages.h"
#include "tap.h"

#define ID(n) "0193a000-0000-7000-8000-0000000000" n
#define CREATE(id, value_id, value, more)                                                          \
    "{\"action\":\"CreateValue\",\"id\":\"" ID(id) "\",\"data\":{\"value_id\":\"" ID(              \
        value_id) "\",\"value\":" value "}" more "}"
#define ADD(id, value_id, value, more)                                                             \
    "{\"action\":\"UpdateValue\",\"id\":\"" ID(id) "\",\"data\":{\"value_id\":\"" ID(              \
        value_id) "\",\"operation\":\"ADD\",\"value\":" value "}" more "}"
#define MULTIPLY(id, value_id, value)                                                              \
    "{\"action\":\"UpdateValue\",\"id\":\"" ID(id) "\",\"data\":{\"value_id\":\"" ID(              \
        value_id) "\",\"operation\":\"MULTIPLY\",\"value\":" value "}}"

enum { RETRY = -1 };

static const struct step {
    const char *line;
    int reason; /* or RETRY */
    uint64_t version;
    double result;
    const char *sentence;
} history[] = {
    {CREATE("c1", "01", "7", ",\"actor\":\"ann\""), REASON_NONE, 1, 7, "a value is created"},
    {CREATE("c1", "01", "7", ",\"actor\":\"ann\""), RETRY, 0, 0, "the same again is a retry"},
    {" {\"actor\":\"\\u0061nn\",\"id\":\"" ID(
         "C1") "\",\"data\":{\"value\":0.7E1,\"operation\":5,"
               "\"value_id\":\"" ID("01") "\"},\"action\":\"CreateValue\",\"x\":[]}",
     RETRY, 0, 0, "so it is in another spelling, with members that nobody knows"},
    {CREATE("c1", "01", "7",
            ",\"expected_version\":9,\"timestamp\":\"2026-11-23T11:00:00Z\","
            "\"actor\":\"ann\""),
     RETRY, 0, 0, "and with other preconditions and at another time"},
    {CREATE("c1", "01", "8", ",\"actor\":\"ann\""), REASON_ID_REUSED, 1, 0,
     "with another value the id is reused"},
    {CREATE("c1", "01", "7", ",\"actor\":\"bob\""), REASON_ID_REUSED, 1, 0, "by another actor too"},
    {CREATE("c1", "01", "7", ""), REASON_ID_REUSED, 1, 0, "and by nobody"},
    {ADD("c1", "01", "7", ",\"actor\":\"ann\""), REASON_ID_REUSED, 1, 0,
     "and for another operation"},
    {CREATE("c1", "01", "7", ",\"actor\":\"ann\""), RETRY, 0, 0,
     "a reused id changes no memory: the first is still a retry"},
    {CREATE("c1", "02", "7", ",\"actor\":\"ann\""), REASON_NONE, 1, 7,
     "the same command id on another value is another command"},
    {ADD("c2", "03", "5", ""), REASON_UNKNOWN_VALUE, 0, 0, "a value must be created first"},
    {CREATE("c3", "03", "1", ""), REASON_NONE, 1, 1, "it can be created then"},
    {ADD("c2", "03", "5", ""), RETRY, 0, 0, "but the rejected command stays rejected"},
    {ADD("c4", "03", "5", ""), REASON_NONE, 2, 6, "a new one is applied"},
    {MULTIPLY("c4", "03", "5"), REASON_ID_REUSED, 2, 0, "a reused id tells the value's version"},
    {CREATE("c5", "03", "1", ""), REASON_VALUE_EXISTS, 2, 0, "a value is created once"},
    {ADD("c6", "01", "1", ",\"expected_owner\":\"ann\""), REASON_NONE, 2, 8,
     "who created a value owns it"},
    {ADD("c7", "01", "1", ",\"expected_owner\":\"bob\""), REASON_FORBIDDEN, 2, 0,
     "nobody else does"},
    {ADD("c7", "01", "1", ",\"expected_owner\":\"ann\""), RETRY, 0, 0,
     "a rejected command is not tried again with another precondition"},
    {ADD("c8", "01", "1", ",\"expected_version\":2,\"actor\":\"bob\""), REASON_NONE, 3, 9,
     "somebody else may change it"},
    {ADD("c9", "01", "1", ",\"expected_owner\":\"ann\""), REASON_NONE, 4, 10,
     "which makes him no owner"},
    {ADD("ca", "01", "1", ",\"expected_version\":3"), REASON_VERSION_CONFLICT, 4, 0,
     "a version that has passed is a conflict"},
    {ADD("cb", "03", "1", ",\"expected_owner\":\"ann\""), REASON_FORBIDDEN, 2, 0,
     "a value created by nobody has no owner"},
    {CREATE("cc", "04", "1.7976931348623157e308", ""), REASON_NONE, 1, 1.7976931348623157e308,
     "the largest number is a value"},
    {MULTIPLY("cd", "04", "2"), REASON_OUT_OF_RANGE, 1, 0, "twice as much is not"},
    {MULTIPLY("ce", "04", "0"), REASON_NONE, 2, 0, "a rejection leaves the value as it was"},
    {ADD("cf", "04", "-0", ""), REASON_NONE, 3, 0, "-0 can be added"},
    {ADD("cf", "04", "0", ""), REASON_ID_REUSED, 3, 0, "and is not 0"},
    {CREATE("d0", "05", "-0", ""), REASON_NONE, 1, -0.0, "-0.0 keeps its sign"},
    {ADD("c1", "05", "1", ""), REASON_NONE, 2, 1, "a reused id elsewhere means nothing here"},
};

/* What must be the same in every outcome of a step. */
static bool is_outcome_of(const struct outcome *outcome, const struct step *step,
                          const char *position)
{
    struct command command;
    struct id id;

    if (parse_command(step->line, strlen(step->line), false, &command) < 0)
        return false;
    if (step->reason == REASON_ID_REUSED)
        outcome_derive_id_from_line(position, step->line, strlen(step->line), &id);
    else
        outcome_derive_id(&command.value_id, &command.id, &id);
    return (int)outcome->reason == step->reason && outcome->version == step->version &&
           (outcome->reason != REASON_NONE || same_double(outcome->result, step->result)) &&
           id_equal(&outcome->id, &id) && id_equal(&outcome->parent, &command.id) &&
           id_equal(&outcome->value_id, &command.value_id) && outcome->action == command.action &&
           same_double(outcome->value, command.value) && outcome->timestamp == command.timestamp &&
           actor_equal(&outcome->actor, &command.actor);
}

static void test_history(void)
{
    struct state state;

    state_init(&state);
    for (size_t i = 0; i < sizeof history / sizeof *history; i++) {
        struct error error = {0};
        struct outcome outcome;
        char position[24];
        size_t len = strlen(history[i].line);
        char *line = line_copy(history[i].line, len, false);
        snprintf(position, sizeof position, "%zu", i * 1000);
        int result = state_handle(&state, position, line, len, false, &outcome, &error);
        if (history[i].reason == RETRY)
            ok(result == 0, "%s", history[i].sentence);
        else
            ok(result == 1 && is_outcome_of(&outcome, &history[i], position), "%s",
               history[i].sentence);
        free(line);
    }
    state_release(&state);
}

static void test_malformed(void)
{
    char long_line[LINE_MAX_BYTES + 1];
    struct error error = {0};
    struct outcome outcome;
    struct state state;
    struct id id;

    state_init(&state);
    ok(state_handle(&state, "1834", "nonsense\n", 8, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_MALFORMED && strcmp(outcome.position, "1834") == 0,
       "a line that is no command is malformed, and says where it stood");
    outcome_derive_id_from_line("1834", "nonsense", 8, &id);
    ok(id_equal(&outcome.id, &id), "its id is one of its position and its bytes");
    ok(state_handle(&state, "1834", "nonsense\n", 8, false, &outcome, &error) == 1,
       "again it is malformed again");
    ok(!state.values.count && !state.commands.count, "it leaves nothing in the memory");

    const char *line = CREATE("c1", "01", "7", "");
    memset(long_line, ' ', sizeof long_line);
    memcpy(long_line, line, strlen(line));
    ok(state_handle(&state, "0", long_line, LINE_MAX_BYTES, true, &outcome, &error) == 1 &&
           outcome.reason == REASON_MALFORMED,
       "a line that goes on behind 65,536 bytes is malformed, whatever they say");
    ok(state_handle(&state, "0", long_line, LINE_MAX_BYTES, false, &outcome, &error) == 1 &&
           outcome.reason == REASON_NONE,
       "one that ends there is read");
    state_release(&state);
}

/* Handling is a function of the commands: twice the same, and the same as a simple fold. */
static void test_fold(void)
{
    enum { VALUES = 50, COMMANDS = 20000 };
    struct {
        double number;
        uint64_t version;
    } model[VALUES] = {{0}};
    struct random random = {1};
    struct state state[2];
    struct id ids[VALUES];
    int bad = 0, differ = 0;

    for (int i = 0; i < VALUES; i++)
        random_id(&random, &ids[i]);
    state_init(&state[0]);
    state_init(&state[1]);
    for (int i = 0; i < COMMANDS; i++) {
        struct command command = {.timestamp = TIMESTAMP_NONE};
        struct buffer line = {0}, first = {0}, second = {0};
        struct outcome outcome[2];
        struct error error;
        size_t at = random_below(&random, VALUES);
        random_id(&random, &command.id);
        command.value_id = ids[at];
        command.action = (enum action)random_below(&random, 3);
        command.value = (double)random_below(&random, 5) - 2;
        command_write(&command, &line);
        for (int j = 0; j < 2; j++)
            state_handle(&state[j], "0", line.data, line.len - 1, false, &outcome[j], &error);
        outcome_write(&outcome[0], &first);
        outcome_write(&outcome[1], &second);
        differ += wrong(first.len == second.len && !memcmp(first.data, second.data, first.len),
                        "command %d", i);
        bool applied = (command.action == ACTION_CREATE) == (model[at].version == 0);
        double result = command.action == ACTION_CREATE ? command.value
                        : command.action == ACTION_ADD  ? model[at].number + command.value
                                                        : model[at].number * command.value;
        applied = applied && result - result == 0;
        if (applied) {
            model[at].number = result;
            model[at].version++;
        }
        bad += wrong((outcome[0].reason == REASON_NONE) == applied &&
                         outcome[0].version == model[at].version &&
                         (!applied || same_double(outcome[0].result, result)),
                     "command %d", i);
        buffer_release(&line);
        buffer_release(&first);
        buffer_release(&second);
    }
    ok(!bad, "20,000 commands are decided as a simple fold decides them");
    ok(!differ, "and give the same bytes when they are handled again");
    state_release(&state[0]);
    state_release(&state[1]);
}

int main(void)
{
    test_history();
    test_malformed();
    test_fold();
    return tap_done();
}
