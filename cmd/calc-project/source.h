/* A log that the projector reads, and how far. */
#ifndef CALC_PROJECT_SOURCE_H
#define CALC_PROJECT_SOURCE_H

#include "store/view.h"
#include "stream/stream.h"

struct source {
    enum view_log log;
    struct reader *reader;         /* NULL: not given */
    struct view_position position; /* behind the last record that was taken */
    enum { CHECK_FIRST, CHECK_LAST, CHECKED } phase;
    struct buffer last; /* the last record taken, for its digest */
    bool ended;
};

/* Opens the log `name` and goes on at the position, in *source already, which a view may have kept
 * of it: its first record and the last one consumed must be those that the view knows. */
int source_open(struct source *source, const char *name, bool follow, struct error *error);
void source_close(struct source *source);

/* As reader_next. EX_DATAERR if the log is another one, or ends before the position. */
int source_next(struct source *source, struct line *record, struct error *error);

/* Says that a record was taken. */
void source_taken(struct source *source, const struct line *record);

/* Completes *position for keeping, with the last record's digest. */
void source_position(struct source *source);

#endif
