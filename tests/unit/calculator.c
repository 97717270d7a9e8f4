#include "calc/calculator.h"

#include <float.h>
#include <math.h>

#include "tap.h"

enum { ANY = -1 }; /* no expected_version */

static const struct decision {
    const char *when;
    double number;
    uint64_t version; /* 0: the value doesn't exist */
    const char *owner;
    enum action action;
    double operand;
    const char *expected_owner;
    int64_t expected_version;
    enum reason reason;
    double result;
} decisions[] = {
    {"a value is created", 0, 0, "", ACTION_CREATE, 7, "", ANY, REASON_NONE, 7},
    {"a value is created as -0.0", 0, 0, "", ACTION_CREATE, -0.0, "", ANY, REASON_NONE, -0.0},
    {"a value is created that must not exist", 0, 0, "", ACTION_CREATE, 7, "", 0, REASON_NONE, 7},
    {"a number is added", 7, 1, "", ACTION_ADD, 3, "", ANY, REASON_NONE, 10},
    {"a value is multiplied", 7, 9, "", ACTION_MULTIPLY, -3, "", ANY, REASON_NONE, -21},
    {"a value is multiplied with -0", 7, 9, "", ACTION_MULTIPLY, -0.0, "", ANY, REASON_NONE, -0.0},
    {"the version is the one expected", 7, 4, "", ACTION_ADD, 1, "", 4, REASON_NONE, 8},
    {"the owner is the one expected", 7, 4, "ann", ACTION_ADD, 1, "ann", ANY, REASON_NONE, 8},
    {"nothing is asked of the owner", 7, 4, "ann", ACTION_ADD, 1, "", ANY, REASON_NONE, 8},
    {"the sum is rounded", 0.1, 1, "", ACTION_ADD, 0.2, "", ANY, REASON_NONE, 0.1 + 0.2},
    {"the product is too small", 5e-324, 1, "", ACTION_MULTIPLY, 0.5, "", ANY, REASON_NONE, 0},
    {"the result is just finite", DBL_MAX, 1, "", ACTION_ADD, 9e291, "", ANY, REASON_NONE, DBL_MAX},

    {"it exists", 7, 1, "", ACTION_CREATE, 7, "", ANY, REASON_VALUE_EXISTS, 0},
    {"it exists, and must not", 7, 1, "", ACTION_CREATE, 7, "", 0, REASON_VALUE_EXISTS, 0},
    {"it exists, before its owner", 7, 1, "ann", ACTION_CREATE, 7, "bob", 9, REASON_VALUE_EXISTS,
     0},
    {"it doesn't exist", 0, 0, "", ACTION_ADD, 7, "", ANY, REASON_UNKNOWN_VALUE, 0},
    {"it doesn't exist, and should", 0, 0, "", ACTION_MULTIPLY, 7, "", 3, REASON_UNKNOWN_VALUE, 0},
    {"it doesn't exist, as is expected", 0, 0, "", ACTION_ADD, 7, "", 0, REASON_UNKNOWN_VALUE, 0},
    {"it doesn't exist, before its owner", 0, 0, "", ACTION_ADD, 7, "bob", 9, REASON_UNKNOWN_VALUE,
     0},
    {"somebody else created it", 7, 4, "ann", ACTION_ADD, 1, "bob", ANY, REASON_FORBIDDEN, 0},
    {"the owner's name goes on", 7, 4, "anna", ACTION_ADD, 1, "ann", ANY, REASON_FORBIDDEN, 0},
    {"the owner's name is in another case", 7, 4, "ann", ACTION_ADD, 1, "Ann", ANY,
     REASON_FORBIDDEN, 0},
    {"nobody owns it", 7, 4, "", ACTION_ADD, 1, "ann", ANY, REASON_FORBIDDEN, 0},
    {"nobody owns what is created", 0, 0, "", ACTION_CREATE, 1, "ann", ANY, REASON_FORBIDDEN, 0},
    {"the owner differs, before the version", 7, 4, "ann", ACTION_ADD, 1, "bob", 9,
     REASON_FORBIDDEN, 0},
    {"the version is later", 7, 4, "", ACTION_ADD, 1, "", 3, REASON_VERSION_CONFLICT, 0},
    {"the version is earlier", 7, 4, "", ACTION_ADD, 1, "", 5, REASON_VERSION_CONFLICT, 0},
    {"it must not exist, and does", 7, 4, "", ACTION_ADD, 1, "", 0, REASON_VERSION_CONFLICT, 0},
    {"it must exist to be created", 0, 0, "", ACTION_CREATE, 1, "", 1, REASON_VERSION_CONFLICT, 0},
    {"the version differs, before the range", DBL_MAX, 4, "ann", ACTION_ADD, DBL_MAX, "ann", 9,
     REASON_VERSION_CONFLICT, 0},
    {"the sum is too large", DBL_MAX, 4, "", ACTION_ADD, DBL_MAX, "", ANY, REASON_OUT_OF_RANGE, 0},
    {"the sum is too small", -DBL_MAX, 4, "", ACTION_ADD, -1e300, "", 4, REASON_OUT_OF_RANGE, 0},
    {"the product is too large", 1e200, 4, "a", ACTION_MULTIPLY, -1e200, "a", 4,
     REASON_OUT_OF_RANGE, 0},
};

static void decide(const struct decision *row)
{
    struct value value = {row->number, row->version};
    struct command command = {
        .action = row->action, .value = row->operand, .timestamp = TIMESTAMP_NONE};
    struct actor owner = {0};
    double result = 0;
    enum reason reason;

    actor_set(&owner, row->owner, strlen(row->owner));
    actor_set(&command.expected_owner, row->expected_owner, strlen(row->expected_owner));
    if (row->expected_version != ANY) {
        command.has_expected_version = true;
        command.expected_version = (uint64_t)row->expected_version;
    }
    reason = calculator_decide(&value, &owner, &command, &result);
    ok(reason == row->reason &&
           (reason != REASON_NONE || memcmp(&result, &row->result, sizeof result) == 0),
       "%s where %s", row->reason ? reason_text(row->reason) : "applied", row->when);
    if (value.version != row->version || value.number != row->number)
        ok(false, "deciding changes nothing");
}

static void test_fused(void)
{
    struct actor nobody = {0};
    struct value value = {1 + DBL_EPSILON, 1};
    struct command multiply = {.action = ACTION_MULTIPLY, .value = 1 - DBL_EPSILON};
    struct command add = {.action = ACTION_ADD, .value = -1};
    struct outcome event = {.version = 2};

    calculator_decide(&value, &nobody, &multiply, &event.result);
    calculator_evolve(&value, &event);
    ok(value.version == 2 && value.number == 1, "a product is rounded before anything is added");
    calculator_decide(&value, &nobody, &add, &event.result);
    ok(event.result == 0, "to 0.0 here");
}

static void test_version(void)
{
    struct actor nobody = {0};
    struct value value = {1, 5};
    struct command command = {
        .action = ACTION_ADD, .has_expected_version = true, .expected_version = UINT64_MAX};
    double result;

    ok(calculator_decide(&value, &nobody, &command, &result) == REASON_VERSION_CONFLICT,
       "a version beyond all counting is in conflict");
}

static void test_write(void)
{
    struct buffer out = {0};
    struct value value = {12, 3};
    struct id id;

    id_read("0193a000-0000-7000-8000-000000000001", &id);
    value_write(&id, &value, TIMESTAMP_NONE, &out);
    value_write(&id, &value, 0, &out);
    buffer_append(&out, "", 1);
    ok(strcmp(out.data, "{\"value_id\":\"0193a000-0000-7000-8000-000000000001\",\"value\":12.0,"
                        "\"version\":3}\n"
                        "{\"value_id\":\"0193a000-0000-7000-8000-000000000001\",\"value\":12.0,"
                        "\"version\":3,\"timestamp\":\"1970-01-01T00:00:00.000000Z\"}\n") == 0,
       "a value is written with its version, and its time where it has one");
    buffer_release(&out);
}

int main(void)
{
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++)
        decide(&decisions[i]);
    test_fused();
    test_version();
    test_write();
    return tap_done();
}
