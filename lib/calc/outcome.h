/* An outcome: what became of a command. An event, or a rejection with its reason. */
#ifndef CALC_OUTCOME_H
#define CALC_OUTCOME_H

#include "calc/command.h"

enum reason {
    REASON_NONE, /* not rejected: an event */
    REASON_MALFORMED,
    REASON_MISPLACED,
    REASON_ID_REUSED,
    REASON_VALUE_EXISTS,
    REASON_UNKNOWN_VALUE,
    REASON_FORBIDDEN,
    REASON_VERSION_CONFLICT,
    REASON_OUT_OF_RANGE,
};

enum { POSITION_TEXT = 44 }; /* the longest position with its NUL: "partition:offset" */

struct outcome {
    enum reason reason;
    struct id id;
    struct id parent; /* the command's id; not for REASON_MALFORMED */
    enum action action;
    struct id value_id;
    double value;
    uint64_t version; /* the value's: after an event, at the decision of a rejection */
    double result;    /* events only: the value after it */
    int64_t timestamp;
    struct actor actor;
    char position[POSITION_TEXT]; /* REASON_MALFORMED only */
};

/* "malformed" and so on; NULL for REASON_NONE. And back: -1 if it is none. */
const char *reason_text(enum reason reason);
int reason_read(const char *text, size_t len, enum reason *reason);

/* "ValueCreated", "ValueUpdated" or "CommandRejected". */
const char *outcome_action(const struct outcome *outcome);

/* The id of the outcome that a command has on its value. */
void outcome_derive_id(const struct id *value_id, const struct id *command_id, struct id *id);

/* The id of an outcome that changes no memory (malformed, misplaced, id_reused): of the position's
 * text, a newline, and the first LINE_MAX_BYTES of the line. */
void outcome_derive_id_from_line(const char *position, const char *line, size_t len,
                                 struct id *id);

/* The rejection of a line that is no command. */
void outcome_malformed(struct outcome *outcome, const char *position, const char *line,
                       size_t len);

/* Read a line of the events log, or of the rejections log. line[len] must be readable. -1 with the
 * reason if it is no event, no rejection (EX_DATAERR), or no memory. */
int event_parse(const char *line, size_t len, struct outcome *outcome, struct error *error);
int rejection_parse(const char *line, size_t len, struct outcome *outcome, struct error *error);

/* Reads an event or a rejection in its canonical spelling, without taking memory, up to its last brace or to
 * a member that stands behind: returns where that is, or NULL, which says nothing about the line. */
const char *outcome_scan(const char *line, size_t len, struct outcome *outcome);

/* Appends the canonical spelling of an event or a rejection, and a newline. */
void outcome_write(const struct outcome *outcome, struct buffer *out);

/* Appends what clients are told of a command, without braces: `"status":"pending"` (NULL), or
 * "applied" with version and result, or "rejected" with reason and version. */
void outcome_write_status(const struct outcome *outcome, struct buffer *out);

#endif
