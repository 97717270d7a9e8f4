/* What struct lines must do, done the simple way: on all bytes at once. For the unit test and for
 * the fuzzer. */
#ifndef UNIT_LINES_MODEL_H
#define UNIT_LINES_MODEL_H

#include "base/lines.h"
#include "random.h"
#include "tap.h"

static inline bool model_blank(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r')
            return false;
    return true;
}

/* Whether a line is the bytes from `from` to `to` of what is at data[0], `offset` of the stream. */
static inline bool model_agrees(const struct line *line, const char *data, size_t from, size_t to,
                                size_t newline, uint64_t offset, uint64_t number)
{
    size_t len = to - from;
    volatile char behind = line->data[line->len]; /* is readable */

    (void)behind;
    return line->oversize == (len > LINE_MAX_BYTES) &&
           line->len == (len > LINE_MAX_BYTES ? LINE_MAX_BYTES : len) &&
           memcmp(line->data, data + from, line->len) == 0 &&
           line->blank == model_blank(data + from, len) && line->start == offset + from &&
           line->end == offset + to + newline && line->number == number;
}

/* Feeds the bytes in chunks of random sizes up to `chunk`, and takes the lines. With `rewind` it
 * forgets what is pending now and then, and brings it again. NULL, or what was wrong. */
static inline const char *model_disagrees(const char *data, size_t len, size_t chunk, bool rewind,
                                          uint64_t offset, struct random *random)
{
    size_t fed = 0, from = 0;
    uint64_t number = 0;
    int rewinds = 0;
    const char *problem = NULL;
    struct lines lines;
    struct line line;

    if (lines_init(&lines, offset) < 0)
        return "out of memory";
    while (!problem) {
        while (!problem && lines_next(&lines, &line)) {
            const char *newline = memchr(data + from, '\n', fed - from);
            if (!newline)
                problem = "a line where there is none";
            else if (!model_agrees(&line, data, from, (size_t)(newline - data), 1, offset,
                                   ++number))
                problem = "a line differs";
            else
                from = (size_t)(newline - data) + 1;
        }
        if (problem)
            break;
        if (memchr(data + from, '\n', fed - from))
            problem = "a line is missing";
        else if (lines_pending(&lines) != fed - from || lines_end(&lines) != offset + fed)
            problem = "what is pending is counted wrongly";
        if (problem || fed == len)
            break;
        if (rewind && random_below(random, 8) == 0) {
            rewind = ++rewinds < 20; /* or a long line would never end */
            lines_rewind(&lines);
            fed = from;
        }
        size_t room, count = 1 + random_below(random, chunk);
        char *at = lines_room(&lines, &room);
        if (!room)
            problem = "no room";
        if (count > room)
            count = room;
        if (count > len - fed)
            count = len - fed;
        memcpy(at, data + fed, count);
        lines_added(&lines, count);
        fed += count;
    }
    if (!problem) {
        bool rest = lines_rest(&lines, &line);
        if (rest != (from < len))
            problem = "the rest is there or not, wrongly";
        else if (rest && !model_agrees(&line, data, from, len, 0, offset, ++number))
            problem = "the rest differs";
        else if (lines_rest(&lines, &line) || lines_next(&lines, &line))
            problem = "something comes behind the rest";
    }
    lines_release(&lines);
    return problem;
}

#endif
