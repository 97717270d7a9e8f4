/* What a kind of stream must be able to do to be read. */
#ifndef STREAM_READER_H
#define STREAM_READER_H

#include "stream/stream.h"

struct reader_operations {
    /* Puts more bytes into the window: READ_RECORD if it did, else as reader_next(). */
    int (*fill)(struct reader *reader, struct error *error);
    int (*sync)(struct reader *reader, struct error *error);
    void (*close)(struct reader *reader);
};

struct reader {
    const struct reader_operations *operations;
    struct file *file; /* what only file.c knows */
    char *name;
    struct lines lines;
    uint64_t skip;  /* records that begin before are let go */
    int fd;         /* of the data; -1 while a file isn't there */
    int notify_fd;  /* what to poll */
    uint64_t torn;
    bool follow;
    bool seekable;
    bool unterminated_counts; /* a last line without a newline is a record */
};

/* Takes over fd, which is closed with the reader or, if this fails, at once. */
int pipe_reader_init(struct reader *reader, int fd, struct error *error);
int file_reader_init(struct reader *reader, int fd, const char *path, struct error *error);

#endif
