/* A log that the projector reads, and how far. */
#ifndef CALC_PROJECT_SOURCE_H
#define CALC_PROJECT_SOURCE_H

#include "store/view.h"
#include "stream/stream.h"

struct source_partition {
    struct view_position position; /* behind the last record that was taken */
    enum { CHECK_FIRST, CHECK_LAST, CHECKED } phase;
    bool held;     /* while others were checked, records were let go, */
    uint64_t hold; /* from this one on */
    bool taken;    /* something was, since the last commit */
    struct view_position mark; /* see source_mark() */
    uint64_t end;
    struct buffer last; /* the last record taken, for its digest */
};

struct source {
    enum view_log log;
    struct reader *reader; /* NULL: not given */
    struct source_partition *partitions;
    int32_t count;
    int32_t unchecked; /* partitions that may be another log's */
    bool counted;      /* the view knows how many there are */
    bool ended;
    int64_t timestamp; /* of the last record taken that has one */
    bool quiet; /* nobody is told how far it is */
    bool marked_end;
};

/* Opens the log `name` and goes on at the positions that a view (NULL: none) may have of it: of each
 * partition the first record and the last one consumed must be those that the view knows. EX_CONFIG if
 * it has another number of partitions by now. */
int source_open(struct source *source, const char *name, bool follow, struct view *view,
                struct error *error);
void source_close(struct source *source);

/* As reader_next. EX_DATAERR if the log is another one, or ends before a position. Nothing is handed
 * out before all of its partitions were checked. */
int source_next(struct source *source, struct line *record, struct error *error);

/* For people: appends where each partition is, and adds how much is behind; UINT64_MAX: unknown. Returns
 * the length of the text. */
size_t source_place(const struct source *source, char *text, size_t room, uint64_t *behind);

/* For statistics: an object with the position of each partition, and one with how far each is behind. */
void source_write_positions(const struct source *source, struct buffer *out);
void source_write_lags(const struct source *source, struct buffer *out);

/* How much there is behind the positions, in bytes or records; 0 if that isn't known. */
uint64_t source_left(const struct source *source);

/* How many records are known to be behind the positions, if those of a file are as long as this one. */
uint64_t source_ahead(const struct source *source, const struct line *record);

/* Says that a record was taken. */
void source_taken(struct source *source, const struct line *record);

/* Keeps the positions in the view, and what they stand for durable in the log. */
int source_keep(struct source *source, struct view_txn *txn, struct error *error);

/* Says that what was kept is committed. */
void source_kept(struct source *source);

/* Marks how far the view in use has read the log; NULL: where the log ends by now, as far as that can be
 * told. EX_CONFIG if that had another number of partitions. */
int source_mark(struct source *source, struct view_txn *in_use, struct error *error);

/* After a step: whether everything up to the mark was taken. 1, 0, or -1 with EX_DATAERR: the log ends
 * before it, or is another one than the view in use was folded from. */
int source_reached(const struct source *source, struct error *error);

#endif
