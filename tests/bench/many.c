/* many creates FROM TO               commands that create the values FROM to TO - 1
 * many updates VALUES FROM TO        the updates FROM to TO - 1, of any of that many values
 * many ids VALUES FROM TO            the ids of the values that those are for
 *
 * Where make.py would take minutes. Each value and each command has its id from its number, so that
 * nothing is kept and parts fit together; ids look random, as most clients' are, which is the
 * hardest for what is sorted by them. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE = 1, COMMAND, CHOICE };

/* splitmix64's finish: as good as random, and the same every time */
static uint64_t mix(uint64_t kind, uint64_t number)
{
    uint64_t z = kind * UINT64_C(0xd1342543de82ef95) + number * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static char *put(char *to, const char *text)
{
    size_t length = strlen(text);

    memcpy(to, text, length);
    return to + length;
}

static char *put_digits(char *to, uint64_t number, int count)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        to[i] = (char)('0' + number % 10);
    return to + count;
}

/* A version 4 UUID. */
static char *put_id(char *to, uint64_t kind, uint64_t number)
{
    uint64_t halves[2] = {mix(kind, 2 * number), mix(kind, 2 * number + 1)};

    halves[0] = (halves[0] & ~UINT64_C(0xf000)) | 0x4000;
    halves[1] = (halves[1] & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *to++ = '-';
        *to++ = "0123456789abcdef"[halves[i / 16] >> (60 - i % 16 * 4) & 15];
    }
    return to;
}

/* One in 1.5 milliseconds. */
static char *put_timestamp(char *to, uint64_t number)
{
    uint64_t second = number * 1531 / 1000000;

    to = put(to, "},\"timestamp\":\"2026-11-23T");
    to = put_digits(to, second / 3600 % 24, 2);
    *to++ = ':';
    to = put_digits(to, second / 60 % 60, 2);
    *to++ = ':';
    to = put_digits(to, second % 60, 2);
    *to++ = '.';
    to = put_digits(to, number * 1531 % 1000000, 6);
    return put(to, "Z\"}\n");
}

static char *put_number(char *to, uint64_t hundredths)
{
    return to + sprintf(to, "%" PRIu64 ".%" PRIu64, hundredths / 4, hundredths % 4 * 25);
}

static char *put_create(char *to, uint64_t number)
{
    to = put(to, "{\"action\":\"CreateValue\",\"id\":\"");
    to = put_id(to, COMMAND, 2 * number);
    to = put(to, "\",\"data\":{\"value_id\":\"");
    to = put_id(to, VALUE, number);
    to = put(to, "\",\"value\":");
    to = put_number(to, mix(CHOICE, 2 * number) % 400000);
    return put_timestamp(to, number);
}

static char *put_update(char *to, uint64_t number, uint64_t value, uint64_t values)
{
    uint64_t chance = mix(CHOICE, 4 * number + 3);

    to = put(to, "{\"action\":\"UpdateValue\",\"id\":\"");
    to = put_id(to, COMMAND, 2 * number + 1);
    to = put(to, "\",\"data\":{\"value_id\":\"");
    to = put_id(to, VALUE, value);
    to = put(to, chance % 4 ? "\",\"operation\":\"ADD\",\"value\":"
                            : "\",\"operation\":\"MULTIPLY\",\"value\":");
    to = chance % 4 ? put_number(to, chance / 4 % 20000) : put(to, chance / 4 % 2 ? "0.5" : "-1.5");
    return put_timestamp(to, values + number);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int creates = strcmp(what, "creates") == 0, updates = strcmp(what, "updates") == 0;
    uint64_t values = argc == 5 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t from = argc > 3 ? strtoull(argv[argc - 2], NULL, 10) : 0;
    uint64_t to = argc > 3 ? strtoull(argv[argc - 1], NULL, 10) : 0;
    char line[512], *end;

    if (argc != (creates ? 4 : 5) || (!creates && !updates && strcmp(what, "ids") != 0) ||
        (!creates && values == 0)) {
        fputs("usage: many creates FROM TO | updates VALUES FROM TO | ids VALUES FROM TO\n",
              stderr);
        return 64;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    for (uint64_t number = from; number < to; number++) {
        uint64_t value = creates ? number : mix(CHOICE, 2 * number + 1) % values;
        if (creates)
            end = put_create(line, number);
        else if (updates)
            end = put_update(line, number, value, values);
        else
            end = put(put_id(line, VALUE, value), "\n");
        fwrite(line, 1, (size_t)(end - line), stdout);
    }
    return fflush(stdout) != 0;
}
