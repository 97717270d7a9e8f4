/* What SQL looks like: literals that keep every bit, and the statements that don't depend on input.
 */
#ifndef CALC_SQL_SQL_H
#define CALC_SQL_SQL_H

#include "base/buffer.h"
#include "base/id.h"

enum dialect { DIALECT_POSTGRESQL, DIALECT_SQLITE };

/* "postgresql" or "sqlite"; -1 if it is neither. */
int dialect_read(const char *text, enum dialect *dialect);

/* The tables, made where they aren't there yet. */
const char *sql_schema(enum dialect dialect);

/* A query of one line: the cursor to go on from. */
const char *sql_from(void);

/* What comes before the first transaction: the client ends at the first error. */
const char *sql_opening(enum dialect dialect);

/* How a transaction begins. */
const char *sql_begin(enum dialect dialect);

/* A row is begun, gets its literals, and ends with a comma, too, which the last row loses. */
void sql_row(struct buffer *out);
void sql_row_end(struct buffer *out);

/* Each appends a literal with a comma behind it. Text is valid UTF-8 without U+0000; a word needs
 * no escapes. NULL, text of length 0 and TIMESTAMP_NONE are null. */
void sql_word(const char *word, struct buffer *out);
void sql_text(enum dialect dialect, const char *text, size_t len, struct buffer *out);
void sql_id(const struct id *id, struct buffer *out);
void sql_count(uint64_t number, struct buffer *out);
void sql_number(enum dialect dialect, double number, struct buffer *out);
void sql_time(int64_t micros, struct buffer *out);

#endif
