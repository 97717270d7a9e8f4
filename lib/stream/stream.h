/* Where records come from and where they go. A stream's name says what it is: "-" is stdin or
 * stdout; "file:PATH", or a name without a scheme, an append-only file of JSON lines;
 * "kafka:TOPIC" a topic, in the tools that know Kafka. */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"
#include "base/lines.h"

enum stream_kind { STREAM_STDIO, STREAM_FILE, STREAM_KAFKA };

/* Room for a position as text, with its NUL: "1834" for files and pipes, "partition:offset" for Kafka. */
enum { STREAM_POSITION_TEXT = 44 };

/* Splits a stream's name into its kind and its path or topic (which points into the name; a topic may
 * be empty: the default of its role).
 * Returns -1 (EX_USAGE) for a name that can't be one. */
int stream_parse(const char *name, enum stream_kind *kind, const char **path,
                 struct error *error);

/* Whether what is read from `input` and what is written to `output` is one file: by one name, or one
 * regular file under whatever names. Two outputs can be compared, too, once they are there. */
bool stream_is_same(const char *input, const char *output);

/* --- reading --- */

enum { READ_END = 0, READ_RECORD, READ_PAUSE, READ_INTERRUPTED };

struct reader;

/* Opens a stream for reading from its beginning (stdin that is a regular file: from where it
 * stands). With `follow` a file's end is no end, and a file that isn't there yet is waited for.
 * EX_IOERR if it can't be opened. */
int reader_open(const char *name, bool follow, struct reader **reader, struct error *error);
void reader_close(struct reader *reader);

/* How many partitions the log has: 1, unless it is a topic. */
int32_t reader_partitions(const struct reader *reader);

/* Goes on at a later offset of a partition, where a record begins; a pipe reads what comes before and
 * lets it go. An offset behind the end is found by reader_next(). Without it a partition is read from
 * its beginning. */
int reader_seek(struct reader *reader, int32_t partition, uint64_t offset, struct error *error);

/* Whether the last reader_next() found the end of a partition, all of which was handed out: of a pipe
 * when it is closed; of what is followed, the end for now. */
bool reader_ended(const struct reader *reader, int32_t partition);

/* Where a partition ends by now, what isn't committed included: UINT64_MAX where that can't be told, as
 * of a pipe, or of a topic whose broker doesn't answer. */
uint64_t reader_end(const struct reader *reader, int32_t partition);

/* The same as far as it is known without asking a broker: where the last fetch saw the end. */
uint64_t reader_known_end(const struct reader *reader, int32_t partition);

/* Before the first reader_next(), of a topic: begins at "beginning", "end", an offset (of every
 * partition), or "@TIME" (RFC 3339 or seconds since 1970: the first record that isn't older).
 * EX_USAGE for anything else, and for other streams. */
int reader_start_from(struct reader *reader, const char *from, struct error *error);

/* Says that a partition's records before `next` are done with, for who watches the lag of a topic's
 * group. Nothing rests on it: it fails in silence, and other streams don't know it. */
void reader_publish(struct reader *reader, int32_t partition, uint64_t next);

/* The position of a record as text. */
void reader_position(const struct reader *reader, const struct line *record,
                     char text[STREAM_POSITION_TEXT]);

/* The next record that is not blank, good until the next call:
 *   READ_RECORD  one was there
 *   READ_PAUSE   none is there now: flush what you owe, then wait with reader_wait()
 *   READ_END     none will come any more
 *   READ_INTERRUPTED  a signal came before it was known: ask again, unless it said to stop
 *   -1           reading failed (EX_IOERR), or the log isn't what it was (EX_DATAERR) */
int reader_next(struct reader *reader, struct line *record, struct error *error);

/* A descriptor that is readable when a paused reader should be asked again: to be polled, for a
 * second at most, since a file may lie where nobody tells of changes. */
int reader_fd(const struct reader *reader);

/* Makes durable what was read, so that nothing derived from it outlives it. */
int reader_sync(struct reader *reader, struct error *error);

/* Where the next record of a file or a pipe begins; bytes. */
uint64_t reader_offset(const struct reader *reader);

/* A file that isn't followed shall end where its last whole line ends now, however it grows: at *end.
 * A pipe goes on to its own end, UINT64_MAX. Not for topics. */
int reader_bound(struct reader *reader, uint64_t *end, struct error *error);

/* Bytes behind the last newline at READ_END of a file: a torn tail, which is no record. */
uint64_t reader_torn(const struct reader *reader);

/* Whether it is a file, whose end is known, rather than a pipe, which may have more any time. */
bool reader_is_file(const struct reader *reader);

/* Whether the file that is followed has come. */
bool reader_is_there(const struct reader *reader);

/* The name it was opened with. */
const char *reader_name(const struct reader *reader);

/* --- writing --- */

struct writer;

/* Opens a stream for appending; a file is made if it isn't there, and its folder synced. */
int writer_open(const char *name, struct writer **writer, struct error *error);
void writer_close(struct writer *writer);

bool writer_is_log(const struct writer *writer);

/* The batch that the next writer_commit() will append: whole lines. */
struct buffer *writer_batch(struct writer *writer);

/* Of a log that is a file: where its whole lines end; what it holds somewhere below (EX_DATAERR if it
 * ends before); cuts off, durably, what stands behind `end`, where a line ends (*cut is how many bytes
 * that was); makes durable what it holds. */
int writer_end(const struct writer *writer, uint64_t *end, struct error *error);
int writer_read(const struct writer *writer, uint64_t from, void *data, size_t len,
                struct error *error);
int writer_cut(struct writer *writer, uint64_t end, uint64_t *cut, struct error *error);
int writer_sync(struct writer *writer, struct error *error);

/* Says that what was put into the batch since the last call is one record, a line with its newline, of
 * this value: its key, where the log has partitions. Needed for topics, and for writer_position().
 * A topic's record is on its way then. After -1 writer_commit() fails, too, and tells what became of
 * those before it. */
int writer_end_record(struct writer *writer, const struct id *key, struct error *error);

/* Appends the batch as a whole and, to a log, makes it durable; *offset is where it begins. After a
 * failure the batch is dropped, and the log is as it was before; if even that can't be reached, the
 * writer keeps the log locked and fails from then on. *cut is how many bytes of a torn tail, which
 * a crash had left, were cut off before. Both may be NULL.
 *
 * To a topic a batch isn't one: records that were delivered before the failure are there, see
 * writer_position(), and the writer fails from then on. The status tells: EX_UNAVAILABLE if some may be
 * there, else EX_IOERR if some are, else EX_TEMPFAIL or, if trying again can't help, EX_CONFIG. */
int writer_commit(struct writer *writer, uint64_t *offset, uint64_t *cut, struct error *error);

/* Of a log that is a file: appends these lines, whole ones, as writer_commit() does with the batch, which
 * may be filled meanwhile by another thread. */
int writer_append(struct writer *writer, const struct buffer *lines, uint64_t *offset,
                  uint64_t *cut, struct error *error);

/* After a commit: whether the record with this index in the batch is durable, and where it stands. */
enum delivery { DELIVERY_DONE, DELIVERY_FAILED, DELIVERY_UNKNOWN };
enum delivery writer_position(const struct writer *writer, size_t index,
                              char text[STREAM_POSITION_TEXT]);

/* After a commit to a topic that failed: the index of the record that the error is about. */
size_t writer_failed(const struct writer *writer);

/* Asked while a commit waits: true ends the wait soon, and what isn't written by then fails. */
void writer_set_give_up(struct writer *writer, bool (*give_up)(void));

#endif
