#include "base/lines.h"

#include <stdlib.h>

#include "lines_model.h"

/* Bytes in which newlines and blanks are frequent, and now and then a run is long. */
static size_t make_bytes(struct random *random, char *data, size_t cap)
{
    size_t len = 0, wanted = random_below(random, cap);
    static const char alphabet[] = "\n\n  \t\rab{}\"\0\xff";

    while (len < wanted) {
        size_t run = 1;
        char c = alphabet[random_below(random, sizeof alphabet)];
        switch (random_below(random, 200)) {
        case 0:
            run = LINE_MAX_BYTES - 2 + random_below(random, 5);
            break;
        case 1:
            run = random_below(random, cap);
            break;
        }
        for (; run && len < wanted; run--)
            data[len++] = c;
    }
    return len;
}

static void test_random(size_t cap, size_t chunk, bool rewind, const char *sentence)
{
    struct random random = {cap + chunk};
    char *data = malloc(cap);
    int bad = 0;

    for (int i = 0, count = often(150); i < count; i++) {
        size_t len = make_bytes(&random, data, cap);
        const char *problem =
            model_disagrees(data, len, chunk, rewind, random_below(&random, 2) * 12345, &random);
        bad += wrong(!problem, "%zu bytes: %s", len, problem);
    }
    free(data);
    ok(!bad, "%s", sentence);
}

/* Adds `count` times c, in pieces that fit. */
static void feed(struct lines *lines, char c, size_t count)
{
    struct line line;

    while (count) {
        size_t room;
        char *at = lines_room(lines, &room);
        if (room > count)
            room = count;
        memset(at, c, room);
        lines_added(lines, room);
        count -= room;
        if (count && lines_next(lines, &line))
            return;
    }
}

static void test_limit(void)
{
    int bad = 0;

    for (size_t len = LINE_MAX_BYTES - 1; len <= LINE_MAX_BYTES + 2; len++)
        for (int newline = 0; newline < 2; newline++) {
            struct lines lines;
            struct line line = {0};
            bool got;
            lines_init(&lines, 0);
            feed(&lines, 'x', len);
            bad += wrong(!lines_next(&lines, &line), "%zu bytes are a line too early", len);
            feed(&lines, '\n', (size_t)newline);
            got = newline ? lines_next(&lines, &line) : lines_rest(&lines, &line);
            bad += wrong(got && line.oversize == (len > LINE_MAX_BYTES) && !line.blank &&
                             line.len == (line.oversize ? LINE_MAX_BYTES : len) &&
                             line.end == len + (size_t)newline,
                         "%zu bytes: %zu, %d", len, line.len, line.oversize);
            lines_release(&lines);
        }
    ok(!bad, "65,536 bytes are a record, one more is not; the newline doesn't count");
}

static void test_huge(void)
{
    const size_t size = (size_t)64 << 20;
    struct lines lines;
    struct line line = {0};

    lines_init(&lines, 7);
    feed(&lines, 'y', 1);
    feed(&lines, ' ', size);
    feed(&lines, '\n', 1);
    ok(lines_next(&lines, &line) && line.oversize && !line.blank && line.len == LINE_MAX_BYTES &&
           line.data[0] == 'y' && line.data[1] == ' ' && line.start == 7 &&
           line.end == 7 + 1 + size + 1,
       "a line of 64 MB is known by its first 65,536 bytes and its length");
    ok(lines.cap < (size_t)1 << 20, "at less than a megabyte of memory");
    feed(&lines, ' ', size);
    feed(&lines, '\n', 1);
    ok(lines_next(&lines, &line) && line.oversize && line.blank && line.number == 2,
       "64 MB of spaces are blank");
    feed(&lines, '\t', LINE_MAX_BYTES);
    feed(&lines, '\r', 1);
    feed(&lines, 'x', 1);
    feed(&lines, '\r', size);
    feed(&lines, '\n', 1);
    ok(lines_next(&lines, &line) && line.oversize && !line.blank,
       "a letter behind the kept bytes makes a line not blank");
    feed(&lines, ' ', LINE_MAX_BYTES);
    feed(&lines, 'x', 1);
    ok(!lines_next(&lines, &line) && lines_rest(&lines, &line) && line.oversize && !line.blank,
       "so does one right behind them, at the end of input");
    lines_release(&lines);
}

int main(void)
{
    test_random(2000, 3, false, "random bytes in pieces of three give the lines of a simple split");
    test_random(5000, 5000, false, "so they do in larger pieces");
    test_random(400000, 9000, false, "so do lines longer than what is kept of them");
    test_random(1500000, 1000000, false, "whatever fits at once");
    test_random(400000, 50000, true, "so they do when what is pending is forgotten and read again");
    test_limit();
    test_huge();
    return tap_done();
}
