/* What calc-watch prints, read: an event or a rejection, with the cursor behind it. */
#ifndef CALC_SQL_TOLD_H
#define CALC_SQL_TOLD_H

#include "base/buffer.h"
#include "calc/outcome.h"

struct told {
    struct outcome outcome;
    struct buffer cursor; /* letters, digits, and ".-_": nothing that SQL would have to quote */
};

/* Reads a line without its newline; line[len] must be readable. *told begins zeroed and is used
 * again, line after line: memory is taken for the longest cursor, and for a line of another
 * spelling than ours. -1 with the reason if the line is none of calc-watch (EX_DATAERR, the cursor
 * is as it was), or no memory. */
int told_parse(const char *line, size_t len, struct told *told, struct error *error);
void told_release(struct told *told);

#endif
