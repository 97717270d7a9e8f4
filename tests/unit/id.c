#include "base/id.h"

#include <time.h>
#include <uuid/uuid.h>

#include "random.h"
#include "tap.h"

static const char *spelled(const struct id *id)
{
    static char text[ID_TEXT + 1];

    id_write(id, text);
    return text;
}

/* What libuuid and we say of 36 characters. */
static int compare(const char *text)
{
    struct id ours = {{0}};
    uuid_t theirs = {0};
    int wanted = uuid_parse(text, theirs);

    return wrong(id_read(text, &ours) == wanted, "'%s': libuuid says %d", text, wanted) ||
           (wanted == 0 && wrong(memcmp(ours.bytes, theirs, 16) == 0, "%s differs", text));
}

static void test_reading(void)
{
    struct random random = {1};
    char text[UUID_STR_LEN];
    int good = 0, broken = 0, every = 0;
    struct id id;

    for (int i = 0, count = often(100000); i < count; i++) {
        random_id(&random, &id);
        if (i % 2)
            uuid_unparse_upper(id.bytes, text);
        else
            uuid_unparse_lower(id.bytes, text);
        good += compare(text);
        for (uint64_t j = 0; j <= random_below(&random, 2); j++)
            text[random_below(&random, 36)] =
                "0123456789abcdefABCDEFgG-/:@`{ \xff"[random_below(&random, 32)];
        broken += compare(text);
    }
    for (int place = 0; place < 36; place++)
        for (int c = 1; c < 256; c++) {
            uuid_unparse_lower(id.bytes, text);
            text[place] = (char)c;
            every += compare(text);
        }
    ok(!good, "ids of either case are read as libuuid reads them");
    ok(!broken, "broken ones are refused where libuuid refuses them");
    ok(!every, "so is every byte at every place");
}

static void test_length(void)
{
    const char *text = "0193a000-0000-7000-8000-0000000000011";
    struct id id;
    int bad = 0;

    for (size_t len = 0; len <= 37; len++)
        bad += wrong(id_parse(text, len, &id) == (len == 36 ? 0 : -1), "%zu characters", len);
    ok(!bad, "only a text of exactly 36 characters is an id");
}

static void test_writing(void)
{
    struct random random = {2};
    char text[UUID_STR_LEN];
    struct id id, back;
    int bad = 0;

    for (int i = 0, count = often(100000); i < count; i++) {
        random_id(&random, &id);
        uuid_unparse_lower(id.bytes, text);
        bad += wrong(strcmp(spelled(&id), text) == 0, "%s, not %s", spelled(&id), text);
        bad += wrong(id_read(spelled(&id), &back) == 0 && id_equal(&id, &back), "%s", text);
    }
    ok(!bad, "ids are written in lower case, and read back");
    back.bytes[15] ^= 1;
    ok(!id_equal(&id, &back), "ids that differ in one bit are not equal");
}

static void test_derived(void)
{
    struct id dns, id;
    char name[300];
    int bad = 0;

    id_read("6ba7b810-9dad-11d1-80b4-00c04fd430c8", &dns);
    id_derive(&dns, "www.example.com", 15, &id);
    ok(strcmp(spelled(&id), "2ed6657d-e927-568b-95e1-2665a8aea6a2") == 0,
       "the UUIDv5 of RFC 9562's example is the RFC's");
    id_derive(&dns, "python.org", 10, &id);
    ok(strcmp(spelled(&id), "886313e1-3b8a-5372-9b90-0c9aee199e5d") == 0,
       "and that of Python's manual is Python's");
    for (size_t len = 0; len < sizeof name; len++) {
        uuid_t wanted;
        name[len] = (char)('a' + len % 26);
        uuid_generate_sha1(wanted, dns.bytes, name, len);
        id_derive(&dns, name, len, &id);
        bad += wrong(memcmp(id.bytes, wanted, 16) == 0, "%zu bytes", len);
    }
    ok(!bad, "a name of any length gives what libuuid derives of it");
}

static uint64_t ms_of(const struct id *id)
{
    uint64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_new(void)
{
    struct id id, last = {{0}};
    int form = 0, order = 0, ones[128] = {0}, stuck = 0;
    uint64_t before = clock_ms();

    for (int i = 0; i < 10000; i++) {
        id_new(&id);
        form += wrong(id.bytes[6] >> 4 == 7 && id.bytes[8] >> 6 == 2, "%s", spelled(&id));
        order += wrong(ms_of(&id) >= ms_of(&last) && !id_equal(&id, &last), "%s", spelled(&id));
        for (int bit = 0; bit < 128; bit++)
            ones[bit] += id.bytes[bit / 8] >> (7 - bit % 8) & 1;
        last = id;
    }
    for (int bit = 52; bit < 128; bit++)
        if (bit != 64 && bit != 65)
            stuck += wrong(ones[bit] > 4000 && ones[bit] < 6000, "bit %d: %d", bit, ones[bit]);
    ok(!form, "new ids have the form of UUIDv7");
    ok(!order, "new ids are ordered by the time they were made");
    ok(ms_of(&id) >= before && ms_of(&id) <= clock_ms(), "and begin with its milliseconds");
    ok(!stuck, "and their other 74 bits are random");
}

int main(void)
{
    test_reading();
    test_length();
    test_writing();
    test_derived();
    test_new();
    return tap_done();
}
