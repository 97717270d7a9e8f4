/* What a kind of stream must be able to do to be written. */
#ifndef STREAM_WRITER_H
#define STREAM_WRITER_H

#include "stream/log.h"
#include "stream/stream.h"

/* A record of the batch, or of the one that was committed last. */
struct writer_record {
    size_t from;       /* where its line begins in the batch */
    int32_t partition; /* where it is, once it was committed */
    uint64_t offset;
    enum delivery delivery;
};

struct writer_operations {
    bool is_log;
    /* Takes the record that was added last; may be NULL. */
    int (*put)(struct writer *writer, size_t index, const struct id *key, struct error *error);
    /* Writes the batch and sets what became of its records. */
    int (*commit)(struct writer *writer, uint64_t *offset, uint64_t *cut, struct error *error);
    void (*position)(const struct writer_record *record, char text[STREAM_POSITION_TEXT]);
    void (*close)(struct writer *writer);
};

struct writer {
    const struct writer_operations *operations;
    struct kafka_writer *kafka; /* what only kafka_writer.c knows */
    char *name;                 /* a file's path, a topic */
    struct buffer batch;
    size_t ended; /* bytes of it that are in records */
    struct buffer records; /* of struct writer_record */
    bool committed;        /* the records are those of the last batch */
    size_t failed;         /* see writer_failed() */
    struct log log;        /* a file's */
    uint64_t written;      /* to stdout; bytes */
};

/* The record with this index. */
static inline struct writer_record *writer_record(const struct writer *writer, size_t index)
{
    return (struct writer_record *)writer->records.data + index;
}

#endif
