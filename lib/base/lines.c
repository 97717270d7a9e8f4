#include "base/lines.h"

#include <stdlib.h>
#include <string.h>

/* Of a long line the window keeps LINE_MAX_BYTES + 1 bytes, which tell that it is too long; what
 * follows is looked at for a newline and let go. */
enum { WINDOW = 4 * LINE_MAX_BYTES, KEPT = LINE_MAX_BYTES + 1 };

const char *line_fault(const struct line *line)
{
    if (line->oversize)
        return "longer than 65536 bytes";
    return line->multiline ? "a newline is in it" : NULL;
}

int lines_init(struct lines *lines, uint64_t offset)
{
    *lines = (struct lines){.offset = offset, .cap = WINDOW, .blank = true};
    lines->data = malloc(WINDOW + 1); /* one more, so that data[len] is always there */
    return lines->data ? 0 : -1;
}

void lines_release(struct lines *lines)
{
    free(lines->data);
    *lines = (struct lines){0};
}

char *lines_room(struct lines *lines, size_t *room)
{
    if (lines->head) {
        memmove(lines->data, lines->data + lines->head, lines->tail - lines->head);
        lines->tail -= lines->head;
        lines->scanned -= lines->head;
        lines->head = 0;
    }
    *room = lines->cap - lines->tail;
    return lines->data + lines->tail;
}

void lines_added(struct lines *lines, size_t count)
{
    lines->tail += count;
}

static bool blank(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r')
            return false;
    return true;
}

/* Describes the line whose bytes in the window end at `end`; `newline` is 1 if one stands there. */
static void take(struct lines *lines, size_t end, size_t newline, struct line *line)
{
    uint64_t len = end - lines->head + lines->dropped;

    line->data = lines->data + lines->head;
    line->oversize = len > LINE_MAX_BYTES;
    line->len = line->oversize ? LINE_MAX_BYTES : (size_t)len;
    line->multiline = false;
    line->partition = 0;
    line->start = lines->offset;
    line->end = lines->offset + len + newline;
    line->number = ++lines->count;
    line->blank = lines->blank && blank(line->data, line->len);
    lines->offset = line->end;
    lines->head = lines->scanned = end + newline;
    lines->dropped = 0;
    lines->blank = true;
}

bool lines_next(struct lines *lines, struct line *line)
{
    char *from = lines->data + lines->scanned;
    char *newline = memchr(from, '\n', lines->tail - lines->scanned);
    size_t end = newline ? (size_t)(newline - lines->data) : lines->tail;

    if (end - lines->head > KEPT && (lines->dropped || !newline)) {
        /* let go of what stands behind the kept bytes, up to the newline or the end */
        size_t keep = lines->head + KEPT, gone = end - keep;
        lines->blank = lines->blank && blank(lines->data + keep, gone);
        memmove(lines->data + keep, lines->data + end, lines->tail - end);
        lines->tail -= gone;
        lines->dropped += gone;
        end = keep;
    }
    if (!newline) {
        lines->scanned = end;
        return false;
    }
    if (end - lines->head > LINE_MAX_BYTES)
        lines->blank = lines->blank &&
                       blank(lines->data + lines->head + LINE_MAX_BYTES,
                             end - lines->head - LINE_MAX_BYTES);
    take(lines, end, 1, line);
    return true;
}

bool lines_rest(struct lines *lines, struct line *line)
{
    if (!lines_pending(lines))
        return false;
    if (lines->tail - lines->head > LINE_MAX_BYTES)
        lines->blank = lines->blank &&
                       blank(lines->data + lines->head + LINE_MAX_BYTES,
                             lines->tail - lines->head - LINE_MAX_BYTES);
    lines->data[lines->tail] = '\n';
    take(lines, lines->tail, 0, line);
    return true;
}

uint64_t lines_end(const struct lines *lines)
{
    return lines->offset + lines_pending(lines);
}

uint64_t lines_pending(const struct lines *lines)
{
    return lines->tail - lines->head + lines->dropped;
}

void lines_rewind(struct lines *lines)
{
    lines->head = lines->tail = lines->scanned = 0;
    lines->dropped = 0;
    lines->blank = true;
}
