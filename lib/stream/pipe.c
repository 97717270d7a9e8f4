/* Pipes, terminals and whatever else can only be read forward. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "stream/reader.h"

static int pipe_fill(struct reader *reader, struct error *error)
{
    struct pollfd input = {.fd = reader->fd, .events = POLLIN};
    size_t room;
    char *at = lines_room(&reader->lines, &room);
    ssize_t got;

    switch (poll(&input, 1, 0)) {
    case 0:
        return READ_PAUSE;
    case -1:
        return READ_INTERRUPTED; /* a read might wait now for what never comes */
    default:
        break;
    }
    got = read(reader->fd, at, room);
    if (got < 0 && errno == EAGAIN)
        return READ_PAUSE;
    if (got < 0 && errno == EINTR)
        return READ_INTERRUPTED;
    if (got < 0)
        return error_errno(error, EX_IOERR, "can't read %s", reader->name);
    if (got == 0)
        return READ_END;
    lines_added(&reader->lines, (size_t)got);
    return READ_RECORD;
}

static int pipe_sync(struct reader *reader, struct error *error)
{
    (void)reader; /* what a pipe held is nowhere else */
    (void)error;
    return 0;
}

static void pipe_close(struct reader *reader)
{
    close(reader->fd);
}

int pipe_reader_init(struct reader *reader, int fd, struct error *error)
{
    static const struct reader_operations operations = {
        .fill = pipe_fill, .seek = lines_reader_seek, .position = lines_reader_position,
        .sync = pipe_sync, .close = pipe_close};

    (void)error;
    reader->operations = &operations;
    reader->fd = reader->notify_fd = fd;
    reader->unterminated_counts = true;
    return 0;
}
