#include "calc/json.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"
#include "tap.h"

/* Parses a copy that ends where the text ends, so that a sanitizer sees who reads on. */
static struct json *parse(const char *text, size_t len, struct error *error)
{
    char *copy = malloc(len + 1);
    struct json *object;

    memcpy(copy, text, len);
    copy[len] = '\n';
    object = json_parse_object(copy, len, error);
    free(copy);
    return object;
}

struct sample {
    const char *text;
    size_t len;
};
#define SAMPLE(text)                                                                               \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static int check(const struct sample *samples, size_t count, bool wanted)
{
    int bad = 0;

    for (size_t i = 0; i < count; i++) {
        struct error error = {0};
        struct json *object = parse(samples[i].text, samples[i].len, &error);
        bad += wrong(!!object == wanted, "%s %s", samples[i].text, error.text);
        bad += wrong(object || error.status == EX_DATAERR, "%s: status %d", samples[i].text,
                     error.status);
        json_free(object);
    }
    return bad;
}

static void test_strictness(void)
{
    static const struct sample good[] = {
        SAMPLE("{}"),
        SAMPLE(" \t\r{ \"a\" : [ ] } \r\t "),
        SAMPLE("{\"a\":1,\"b\":[true,false,null,{}]}"),
        SAMPLE("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}"),
        SAMPLE("{\"a\":\"\\ud83d\\ude00\"}"),
        SAMPLE("{\"a\":\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"}"),
        SAMPLE("{\"\":0,\"a\":{\"\":0}}"),
        SAMPLE("{\"a\":-0,\"b\":0e0,\"c\":1E+5,\"d\":1e-999}"),
        SAMPLE("{\"a\":123456789012345678901234567890123456789012345678901234567890}"),
        SAMPLE("{\"a\":\"{[{[{[\\\"{[\"}"),
    };
    static const struct sample bad[] = {
        SAMPLE(""),
        SAMPLE(" "),
        SAMPLE("[]"),
        SAMPLE("1"),
        SAMPLE("\"a\""),
        SAMPLE("null"),
        SAMPLE("{"),
        SAMPLE("}"),
        SAMPLE("{}}"),
        SAMPLE("{}{}"),
        SAMPLE("{} x"),
        SAMPLE("{},"),
        SAMPLE("{]"),
        SAMPLE("{\"a\":1,}"),
        SAMPLE("{,\"a\":1}"),
        SAMPLE("{\"a\"}"),
        SAMPLE("{\"a\":}"),
        SAMPLE("{\"a\" 1}"),
        SAMPLE("{a:1}"),
        SAMPLE("{'a':1}"),
        SAMPLE("{\"a\":1 \"b\":2}"),
        SAMPLE("{\"a\":[1,]}"),
        SAMPLE("{\"a\":1}//"),
        SAMPLE("/**/{\"a\":1}"),
        SAMPLE("\xef\xbb\xbf{}"),
        /* duplicate keys, at any depth, however they are spelled */
        SAMPLE("{\"a\":1,\"a\":1}"),
        SAMPLE("{\"a\":1,\"\\u0061\":1}"),
        SAMPLE("{\"x\":{\"a\":1,\"b\":2,\"a\":3}}"),
        SAMPLE("{\"x\":[{\"\":1,\"\":3}]}"),
        SAMPLE("{\"\xc3\xa9\":1,\"\\u00E9\":1}"),
        /* numbers */
        SAMPLE("{\"a\":NaN}"),
        SAMPLE("{\"a\":Infinity}"),
        SAMPLE("{\"a\":-Infinity}"),
        SAMPLE("{\"a\":1e309}"),
        SAMPLE("{\"a\":-1e309}"),
        SAMPLE("{\"a\":[1e400]}"),
        SAMPLE("{\"a\":01}"),
        SAMPLE("{\"a\":-01}"),
        SAMPLE("{\"a\":+1}"),
        SAMPLE("{\"a\":.5}"),
        SAMPLE("{\"a\":1.}"),
        SAMPLE("{\"a\":1e}"),
        SAMPLE("{\"a\":1e+}"),
        SAMPLE("{\"a\":-}"),
        SAMPLE("{\"a\":0x10}"),
        SAMPLE("{\"a\":1_000}"),
        SAMPLE("{\"a\":1 000}"),
        /* words */
        SAMPLE("{\"a\":True}"),
        SAMPLE("{\"a\":nul}"),
        SAMPLE("{\"a\":nulll}"),
        SAMPLE("{\"a\":undefined}"),
        /* strings */
        SAMPLE("{\"a\":\"b}"),
        SAMPLE("{\"a\":\"\\x\"}"),
        SAMPLE("{\"a\":\"\\u12\"}"),
        SAMPLE("{\"a\":\"\\u12g4\"}"),
        SAMPLE("{\"a\":\"\\U0041\"}"),
        SAMPLE("{\"a\":\"\\\"}"),
        SAMPLE("{\"a\":\"\t\"}"),
        SAMPLE("{\"a\":\"\x01\"}"),
        SAMPLE("{\"a\":\"\x1f\"}"),
        SAMPLE("{\"a\":\"\n\"}"),
        SAMPLE("{\"a\":\"\0\"}"),
        SAMPLE("{\"a\":\"\\u0000\"}"),
        SAMPLE("{\"\\u0000\":1}"),
        SAMPLE("{\"a\":1}\0"),
        SAMPLE("{\"a\":1\0}"),
        SAMPLE("{\"a\":\"\\ud83d\"}"),
        SAMPLE("{\"a\":\"\\ude00\"}"),
        SAMPLE("{\"a\":\"\\ude00\\ud83d\"}"),
        SAMPLE("{\"a\":\"\\ud83d\\u0041\"}"),
        SAMPLE("{\"a\":\"\\ud83dx\"}"),
        SAMPLE("{\"\\ud800\":1}"),
        /* what is no UTF-8 (RFC 3629): alone, cut, overlong, a surrogate, too large */
        SAMPLE("{\"a\":\"\x80\"}"),
        SAMPLE("{\"a\":\"\xc3\"}"),
        SAMPLE("{\"a\":\"\xe2\x98\"}"),
        SAMPLE("{\"a\":\"\xc0\x80\"}"),
        SAMPLE("{\"a\":\"\xc1\xbf\"}"),
        SAMPLE("{\"a\":\"\xe0\x9f\xbf\"}"),
        SAMPLE("{\"a\":\"\xed\xa0\x80\"}"),
        SAMPLE("{\"a\":\"\xed\xbf\xbf\"}"),
        SAMPLE("{\"a\":\"\xf0\x8f\xbf\xbf\"}"),
        SAMPLE("{\"a\":\"\xf4\x90\x80\x80\"}"),
        SAMPLE("{\"a\":\"\xf5\x80\x80\x80\"}"),
        SAMPLE("{\"a\":\"\xff\"}"),
        SAMPLE("{\"\xff\":1}"),
        SAMPLE("{\"a\":1\xff}"),
        /* white space that is not JSON's */
        SAMPLE("{\"a\":\v1}"),
        SAMPLE("\f{\"a\":1}"),
        SAMPLE("{\"a\":\xc2\xa0"
               "1}"),
        SAMPLE("{\"a\":1}\x1a"),
    };

    ok(!check(good, sizeof good / sizeof *good, true), "JSON objects of every form are read");
    ok(!check(bad, sizeof bad / sizeof *bad, false), "whatever is not strictly JSON is refused");
}

static void test_depth(void)
{
    static const char *const forms[][2] = {{"{\"a\":", "}"}, {"[", "]"}};
    int bad = 0;

    for (int form = 0; form < 2; form++)
        for (int depth = 62; depth <= 67; depth++) {
            struct buffer text = {0};
            struct error error = {0};
            struct json *object;
            buffer_append_text(&text, "{\"x\":");
            for (int i = 1; i < depth; i++)
                buffer_append_text(&text, forms[form][0]);
            buffer_append_text(&text, form ? "" : "1");
            for (int i = 1; i < depth; i++)
                buffer_append_text(&text, forms[form][1]);
            buffer_append_text(&text, "}");
            object = parse(text.data, text.len, &error);
            bad += wrong(!!object == (depth <= JSON_DEPTH), "depth %d: %s", depth, error.text);
            json_free(object);
            buffer_release(&text);
        }
    ok(!bad, "nesting of 64 is read, of 65 refused");
    struct error error = {0};
    const char *text =
        "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
        "[[[[[[\\\"[[[[[[[[[[[[\"}";
    struct json *object = parse(text, strlen(text), &error);
    json_free(object);
    ok(object, "brackets in a string are no nesting");
}

static void test_members(void)
{
    struct error error;
    const char *text =
        "{\"n\":-0,\"w\":123456789012345678901234567890,\"s\":\"a\\u00e9\",\"z\":null,"
        "\"o\":{\"k\":7},\"t\":true,\"a\":[1]}";
    struct json *object = parse(text, strlen(text), &error);
    double number = 1;
    size_t len = 0;

    ok(json_number(json_get(object, "n"), &number) && number == 0 && signbit(number),
       "-0 is read with its sign");
    ok(json_number(json_get(object, "w"), &number) && number == 123456789012345678901234567890.0,
       "a whole number of any length is a double");
    ok(json_number(json_get(json_get(object, "o"), "k"), &number) && number == 7,
       "members of members are found");
    ok(!json_get(object, "z") && json_has(object, "z") && !json_has(object, "y"),
       "null is as good as absent, unless one asks");
    ok(!json_get(NULL, "a") && !json_get(json_get(object, "n"), "a") &&
           !json_get(json_get(object, "a"), "a"),
       "what is no object has no members");
    const char *s = json_text(json_get(object, "s"), &len);
    ok(s && len == 3 && memcmp(s, "a\xc3\xa9", 3) == 0, "a string is its UTF-8");
    ok(!json_text(json_get(object, "n"), &len) && !json_text(NULL, &len) &&
           !json_number(json_get(object, "s"), &number) && !json_number(NULL, &number) &&
           !json_number(json_get(object, "t"), &number),
       "a number is no string, a string no number, a word neither");
    json_free(object);
    json_free(NULL);
}

static void test_count(void)
{
    static const struct {
        const char *text;
        bool there;
        uint64_t count;
    } counts[] = {
        {"{\"v\":0}", true, 0},
        {"{\"v\":7}", true, 7},
        {" { \"v\" : 7 } ", true, 7},
        {"{\"v\":7,\"w\":8}", true, 7},
        {"{\"w\":8,\"v\":7}", true, 7},
        {"{\"v\":9007199254740993}", true, 9007199254740993},
        {"{\"v\":18446744073709551614}", true, UINT64_MAX - 1},
        {"{\"v\":18446744073709551615}", true, UINT64_MAX},
        {"{\"v\":18446744073709551616}", true, UINT64_MAX},
        {"{\"v\":184467440737095516150}", true, UINT64_MAX},
        {"{\"v\":100000000000000000000000000000000000000}", true, UINT64_MAX},
        {"{\"\\u0076\":7}", true, 7},
        {"{\"x\":{\"v\":1},\"v\":2}", true, 2},
        {"{\"v\":2,\"x\":{\"v\":1}}", true, 2},
        {"{\"x\":[{\"v\":1}],\"v\":2}", true, 2},
        {"{\"x\":\"v\",\"v\":2}", true, 2},
        {"{\"x\":\"\\\"v\\\":3\",\"v\":2}", true, 2},
        {"{\"x\":\"\\\\\",\"v\":2}", true, 2},
        {"{\"vv\":1,\"\":1,\"\\\\v\":1,\"\\t\":1,\"v\":2}", true, 2},
        {"{\"v\\u0076\":1,\"\\u00f6\":1,\"\\u0176\":1,\"v\":2}", true, 2},
        {"{\"v\":-0}", false, 0},
        {"{\"v\":-1}", false, 0},
        {"{\"v\":1.0}", false, 0},
        {"{\"v\":1e0}", false, 0},
        {"{\"v\":1E2}", false, 0},
        {"{\"v\":0.0}", false, 0},
        {"{\"v\":\"1\"}", false, 0},
        {"{\"v\":null}", false, 0},
        {"{\"v\":true}", false, 0},
        {"{\"v\":[1]}", false, 0},
        {"{\"v\":{\"v\":1}}", false, 0},
        {"{\"x\":{\"v\":1}}", false, 0},
        {"{\"x\":\"v\"}", false, 0},
        {"{\"V\":1}", false, 0},
        {"{}", false, 0},
    };
    int bad = 0;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct error error;
        uint64_t count = 0;
        struct json *object = parse(counts[i].text, strlen(counts[i].text), &error);
        bool there = json_count(counts[i].text, strlen(counts[i].text), "v", &count);
        bad += wrong(object && there == counts[i].there && (!there || count == counts[i].count),
                     "%s: %d, %llu", counts[i].text, there, (unsigned long long)count);
        json_free(object);
    }
    ok(!bad, "a count is plain digits behind the outermost object's own key, and exact");
}

static void test_writing(void)
{
    static const char expected[] =
        "\"\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f"
        "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b"
        "\\u001c\\u001d\\u001e\\u001f !\\\"#/\\\\\x7f\xc3\xa9\xf0\x9f\x98\x80\"";
    char all[] = "................................!\"#/\\\x7f\xc3\xa9\xf0\x9f\x98\x80";
    struct buffer out = {0};

    for (int i = 0; i < 32; i++)
        all[i] = (char)(i + 1);
    json_write_string(&out, all, strlen(all));
    ok(out.len == strlen(expected) && memcmp(out.data, expected, out.len) == 0,
       "strings are written as raw UTF-8, with quotes, backslashes and controls escaped");
    buffer_release(&out);
}

static void test_round_trip(void)
{
    static const char *const pieces[] = {"a",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x01",
                                         "\x7f",
                                         "\xc3\xa9",
                                         "\xe2\x98\x83",
                                         "\xf0\x9f\x98\x80",
                                         "u0041",
                                         " "};
    struct random random = {1};
    int bad = 0;

    for (int i = 0, count = often(20000); i < count; i++) {
        struct buffer text = {0}, out = {0};
        struct error error;
        struct json *object;
        const char *back;
        size_t len = 0;
        for (uint64_t j = random_below(&random, 20); j; j--)
            buffer_append_text(&text, pieces[random_below(&random, 12)]);
        buffer_append_text(&out, "{\"a\":");
        json_write_string(&out, text.data, text.len);
        buffer_append_text(&out, "}");
        object = parse(out.data, out.len, &error);
        back = json_text(json_get(object, "a"), &len);
        bad += wrong(back && len == text.len && (!len || memcmp(back, text.data, len) == 0), "%.*s",
                     (int)out.len, out.data);
        json_free(object);
        buffer_release(&text);
        buffer_release(&out);
    }
    ok(!bad, "what is written reads back");
}

int main(void)
{
    test_strictness();
    test_depth();
    test_members();
    test_count();
    test_writing();
    test_round_trip();
    return tap_done();
}
