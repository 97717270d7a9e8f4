/* Lines: however the bytes arrive, they are cut as a simple split cuts them. The first byte of the
 * input says how large the pieces are; a second one how much each byte is blown up, so that lines
 * longer than the limit come up. */
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

/* The next line of the whole, as a plain loop finds it. */
static void check(const char *all, size_t size, size_t *at, const struct line *line)
{
    const char *newline = memchr(all + *at, '\n', size - *at);
    size_t end = newline ? (size_t)(newline - all) : size, len = end - *at;
    bool blank = true;

    for (size_t i = *at; i < end; i++)
        blank = blank && strchr(" \t\r", all[i]) && all[i];
    must(line->start == *at && line->end == end + (newline != NULL));
    must(line->oversize == (len > LINE_MAX_BYTES) && line->blank == blank);
    must(line->len == (line->oversize ? LINE_MAX_BYTES : len));
    must(memcmp(line->data, all + *at, line->len) == 0);
    *at = line->end;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    size_t piece, blow, len, given = 0, at = 0;
    struct lines lines;
    struct line line;
    char *all;

    if (size < 3)
        return 0;
    piece = (size_t)data[0] * data[0] + 1;
    blow = data[1] < 8 ? 1 : data[1] < 16 ? 700 : 1 + data[1];
    data += 2;
    size -= 2;
    if (size > 2000)
        size = 2000;
    len = 0;
    all = malloc(size * blow);
    must(all && lines_init(&lines, 0) == 0);
    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j < (data[i] == '\n' ? 1 : blow); j++)
            all[len++] = (char)data[i];
    while (given < len) {
        size_t room;
        char *to = lines_room(&lines, &room);
        must(room > 0);
        if (room > piece)
            room = piece;
        if (room > len - given)
            room = len - given;
        memcpy(to, all + given, room);
        lines_added(&lines, room);
        given += room;
        while (lines_next(&lines, &line))
            check(all, len, &at, &line);
        must(lines_end(&lines) == given);
    }
    if (lines_rest(&lines, &line))
        check(all, len, &at, &line);
    must(at == len);
    lines_release(&lines);
    free(all);
    return 0;
}
