/* Memory that runs out: each allocation of a parser fails once, the first, the second, until none is
 * left to fail. The answer is the memory's error, never a line that is malformed: that would be said
 * of it for ever. The linker leads every allocation of ours here (--wrap, see the Makefile). */
#include <errno.h>

#include "../../cmd/calc-submit/input.h"
#include "base/lines.h"
#include "calc/json.h"
#include "calc/policy.h"
#include "messages.h"
#include "store/state.h"
#include "tap.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

static long until_failure = -1; /* allocations that still succeed; -1: all do */
static long live;               /* pieces of memory that were not given back */
static bool failed;

static bool fails(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true; /* once: until_failure is -1 now */
}

void *__wrap_malloc(size_t size)
{
    void *memory = fails() ? NULL : __real_malloc(size);

    live += memory != NULL;
    return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *memory = fails() ? NULL : __real_calloc(count, size);

    live += memory != NULL;
    return memory;
}

void *__wrap_realloc(void *memory, size_t size)
{
    void *moved = fails() ? NULL : __real_realloc(memory, size);

    live += moved && !memory;
    return moved;
}

void __wrap_free(void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}

/* --- what may fail --- */

#define ID(n) "0193a000-0000-7000-8000-0000000000" n
#define IDS "\"id\":\"" ID("01") "\",\"parent\":\"" ID("02") "\""
#define DATA "\"data\":{\"value_id\":\"" ID("03") "\",\"operation\":\"ADD\",\"value\":1e0}"
/* members that nobody knows, for which a parser needs more and more memory */
#define MORE                                                                                       \
    ",\"\\u00e9\\ud83d\\ude00\":[[[{\"a\":[]}]],true,false,null,-0,1e300,"                         \
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890,\""          \
    "a long string, longer than what is put aside for one at first\"],"                            \
    "\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5,\"g\":6,\"h\":7,\"i\":8,\"j\":9,\"k\":{}"

struct messages {
    struct command command;
    struct outcome outcome;
    struct buffer out;
    struct lines lines;
    struct state state;
};

/* They return as what they call; -1 with the error. */
typedef int doing(struct messages *to, const char *text, size_t len, struct error *error);

static int do_command(struct messages *to, const char *text, size_t len, struct error *error)
{
    return command_parse(text, len, &to->command, error);
}

static int do_event(struct messages *to, const char *text, size_t len, struct error *error)
{
    return event_parse(text, len, &to->outcome, error);
}

static int do_rejection(struct messages *to, const char *text, size_t len, struct error *error)
{
    return rejection_parse(text, len, &to->outcome, error);
}

static int do_input(struct messages *to, const char *text, size_t len, struct error *error)
{
    return input_parse(text, len, 0, &to->command, error);
}

/* A line that only one of calc-submit's two ways of reading understands: the other may have failed. */
static int do_checked(struct messages *to, const char *text, size_t len, struct error *error)
{
    if (input_parse(text, len, 0, &to->command, error) < 0)
        return -1;
    return command_write_checked(&to->command, &to->out, error);
}

static int do_buffer(struct messages *to, const char *text, size_t len, struct error *error)
{
    for (int i = 0; i < 8; i++) {
        buffer_append(&to->out, text, len);
        buffer_printf(&to->out, "%s %d", text, i);
        json_write_string(&to->out, text, len);
    }
    return to->out.failed ? error_memory(error) : 0;
}

static int do_outcome(struct messages *to, const char *text, size_t len, struct error *error)
{
    to->outcome.reason = REASON_FORBIDDEN;
    to->outcome.timestamp = 0;
    if (actor_set(&to->outcome.actor, text, len) < 0)
        return error_set(error, EX_SOFTWARE, "the test's actor is too long");
    for (int i = 0; i < 8; i++) {
        outcome_write(&to->outcome, &to->out);
        to->outcome.reason = i % 2 ? REASON_NONE : REASON_MALFORMED;
        outcome_write_status(&to->outcome, &to->out);
    }
    return to->out.failed ? error_memory(error) : 0;
}

static int do_lines(struct messages *to, const char *text, size_t len, struct error *error)
{
    (void)text, (void)len;
    return lines_init(&to->lines, 0) < 0 ? error_memory(error) : 0;
}

/* A handler that is out of memory ends; what it decided before stands. */
static int do_state(struct messages *to, const char *text, size_t len, struct error *error)
{
    int result = 0;

    state_init(&to->state);
    for (int i = 0; i < 3 && result >= 0; i++)
        result = state_handle(&to->state, "0", text, len, false, &to->outcome, error);
    return result < 0 ? -1 : 0;
}

static int do_policy(struct messages *to, const char *text, size_t len, struct error *error)
{
    struct policy *policy;
    int result = policy_parse(text, len, &policy, error);

    (void)to;
    if (result == 0)
        policy_free(policy);
    return result;
}

static const struct attempt {
    const char *name;
    doing *act;
    const char *text;
    int status; /* without a failure: 0 or EX_DATAERR */
} attempts[] = {
    {"a command", do_command, "{\"action\":\"UpdateValue\"," IDS "," DATA MORE "}", 0},
    {"a command in its one spelling", do_command,
     "{\"action\":\"CreateValue\",\"id\":\"" ID("01") "\",\"data\":{\"value_id\":\"" ID("02") "\",\"value\":7.0}}", 0},
    {"a command with a member twice", do_command, "{\"x\":1,\"y\":[{}],\"x\":2}", EX_DATAERR},
    {"a command that breaks off", do_command, "{\"action\":\"UpdateValue\"" MORE, EX_DATAERR},
    {"a command that is none", do_command, "{\"action\":\"UpdateValue\"" MORE "}", EX_DATAERR},
    {"a list", do_command, "[{\"a\":[1,2,3]},\"b\"]", EX_DATAERR},
    {"an event", do_event, "{\"action\":\"ValueUpdated\"," IDS "," DATA ",\"version\":2,\"result\":3" MORE "}", 0},
    {"an event without a result", do_event, "{\"action\":\"ValueUpdated\"," IDS "," DATA ",\"version\":2" MORE "}",
     EX_DATAERR},
    {"a rejection", do_rejection,
     "{\"action\":\"CommandRejected\"," IDS "," DATA ",\"reason\":\"forbidden\",\"version\":2" MORE "}", 0},
    {"the rejection of a malformed line", do_rejection,
     "{\"action\":\"CommandRejected\",\"id\":\"" ID("01") "\",\"parent\":null,\"data\":{\"position\":\"7\"},"
     "\"reason\":\"malformed\"}", 0},
    {"a rejection without a reason", do_rejection, "{\"action\":\"CommandRejected\"," IDS "}", EX_DATAERR},
    {"a short form", do_input, "{\"value\":7,\"actor\":\"ann\"" MORE "}", 0},
    {"a whole command as an input", do_input, "{\"action\":\"UpdateValue\"," DATA MORE "}", 0},
    {"an input that is none", do_input, "{\"value\":\"7\"" MORE "}", EX_DATAERR},
    {"an input, read and written", do_checked, "{\"value\":7,\"actor\":\"J\xc3\xbcrgen\"" MORE "}", 0},
    {"an input of another spelling, read and written", do_checked,
     "{\"action\":\"UpdateValue\", " IDS "," DATA MORE "}", 0},
    {"a buffer", do_buffer, "text\n" MORE, 0},
    {"outcomes that are written", do_outcome, "J\xc3\xbcrgen", 0},
    {"a policy", do_policy, "{\"read\":\"actors\",\"add\":[\"ann\",\"J\xc3\xbcrgen\"],\"watch\":[],\"own\":true}", 0},
    {"a policy with another member", do_policy, "{\"read\":[\"ann\"],\"raed\":[\"bob\"]}", EX_DATAERR},
    {"a window of lines", do_lines, "", 0},
    {"a handler's state", do_state, "{\"action\":\"CreateValue\"," IDS "," DATA ",\"actor\":\"ann\"" MORE "}", 0},
};

/* Runs it with the `nth` allocation failing (-1: none). Returns whether one failed. */
static bool attempt(const struct attempt *attempt, long nth, int *bad)
{
    struct messages *to = __real_calloc(1, sizeof *to);
    struct error error = {0};
    long before = live;
    int result;

    failed = false;
    until_failure = nth;
    result = attempt->act(to, attempt->text, strlen(attempt->text), &error);
    until_failure = -1;
    buffer_release(&to->out);
    lines_release(&to->lines);
    state_release(&to->state);
    __real_free(to);
    /* calc-submit may have read it in another way then */
    if (failed && !(result == 0 && attempt->act != do_buffer))
        *bad += wrong(result < 0 && error.status == EX_TEMPFAIL, "%s, allocation %ld: %d, %s", attempt->name, nth,
                      error.status, error.text);
    else
        *bad += wrong(result < 0 ? error.status == attempt->status : !attempt->status,
                      "%s, allocation %ld: %d, %s", attempt->name, nth, error.status, error.text);
    *bad += wrong(live == before, "%s, allocation %ld: %ld pieces are left", attempt->name, nth, live - before);
    return failed;
}

int main(void)
{
    long most = 0;

    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        long nth = 0;
        int bad = 0;
        attempt(attempts + i, -1, &bad);
        while (attempt(attempts + i, nth, &bad))
            nth++;
        most = nth > most ? nth : most;
        ok(!bad, "%s: %ld allocations, each of which fails once", attempts[i].name, nth);
    }
    ok(most > 60, "and there were such that need many");
    return tap_done();
}
