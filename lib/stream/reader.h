/* What a kind of stream must be able to do to be read. */
#ifndef STREAM_READER_H
#define STREAM_READER_H

#include "stream/append.h"
#include "stream/stream.h"

struct reader_operations {
    /* Puts more bytes into the window: READ_RECORD if it did, else as reader_next(). */
    int (*fill)(struct reader *reader, struct error *error);
    /* Instead of that, of what has records and no lines: as reader_next(), blank ones included. */
    int (*next)(struct reader *reader, struct line *record, struct error *error);
    int (*seek)(struct reader *reader, int32_t partition, uint64_t offset, struct error *error);
    void (*position)(const struct line *record, char text[STREAM_POSITION_TEXT]);
    /* Only what has partitions needs these; without them it is as stream.c does it. */
    bool (*ended)(const struct reader *reader, int32_t partition);
    uint64_t (*end)(const struct reader *reader, int32_t partition);
    uint64_t (*known_end)(const struct reader *reader, int32_t partition);
    int (*start_from)(struct reader *reader, const char *from, struct error *error);
    void (*publish)(struct reader *reader, int32_t partition, uint64_t next);
    /* Only of a file, as reader_bound(). */
    int (*bound)(struct reader *reader, uint64_t *end, struct error *error);
    int (*sync)(struct reader *reader, struct error *error);
    void (*close)(struct reader *reader);
};

struct reader {
    const struct reader_operations *operations;
    struct file *file; /* what only file.c knows */
    struct kafka_reader *kafka; /* what only kafka_reader.c knows */
    int32_t partitions;
    char *name;
    struct lines lines;
    uint64_t skip;  /* records that begin before are let go */
    int fd;         /* of the data; -1 while a file isn't there */
    int notify_fd;  /* what to poll */
    uint64_t torn;
    bool follow;
    bool seekable;
    bool at_end;    /* the last reader_next() found no more, and what is read has an end */
    bool unterminated_counts; /* a last line without a newline is a record */
};

/* Takes over fd, which is closed with the reader or, if this fails, at once. */
int pipe_reader_init(struct reader *reader, int fd, struct error *error);
int file_reader_init(struct reader *reader, int fd, const char *path, struct error *error);

/* How both seek, and write a position. */
int lines_reader_seek(struct reader *reader, int32_t partition, uint64_t offset,
                      struct error *error);
void lines_reader_position(const struct line *record, char text[STREAM_POSITION_TEXT]);

/* Kafka's streams, if kafka_install() was called; else NULL. Their topic is the reader's name behind
 * "kafka:", and the writer's name. */
struct stream_driver {
    int (*reader_init)(struct reader *reader, struct error *error);
    int (*writer_init)(struct writer *writer, struct error *error);
    /* As append.h says; NULL when memory ran out. */
    struct kafka_appender *(*appender_new)(const char *name, const char *topic,
                                           const struct append_questions *questions);
    int (*appender_append)(struct kafka_appender *appender, const struct id *key, const char *line,
                           size_t len, bool *unknown, struct error *error);
    void (*appender_free)(struct kafka_appender *appender);
};
extern const struct stream_driver *stream_kafka;

#endif
