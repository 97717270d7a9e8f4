#include "outlet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 8,
    VERSION = 1,
    END_REQUEST = 3,
    STDOUT = 6,
    CONTENT_MOST = 65528, /* what fits, and needs no padding */
};

static void write_header(const struct outlet *outlet, int type, size_t len, size_t padding,
                         unsigned char header[HEADER_BYTES])
{
    header[0] = VERSION;
    header[1] = (unsigned char)type;
    header[2] = (unsigned char)(outlet->request >> 8);
    header[3] = (unsigned char)outlet->request;
    header[4] = (unsigned char)(len >> 8);
    header[5] = (unsigned char)len;
    header[6] = (unsigned char)padding;
    header[7] = 0;
}

/* What the socket takes: a number of bytes, 0 for none, -1 if the connection is gone. */
static ssize_t send_some(const struct outlet *outlet, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;

    while ((sent = sendmsg(outlet->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 &&
           errno == EINTR)
        ;
    return sent >= 0 || errno != EAGAIN ? sent : 0;
}

/* Writes a record; behind what is kept, it is kept. */
static int put_record(struct outlet *outlet, const void *data, size_t len)
{
    static const unsigned char zeros[8];
    unsigned char header[HEADER_BYTES];
    size_t padding = -len % 8, done;
    struct iovec parts[] = {{header, sizeof header}, {(void *)data, len}, {(void *)zeros, padding}};
    ssize_t sent;

    write_header(outlet, STDOUT, len, padding, header);
    sent = outlet->rest.len ? 0 : send_some(outlet, parts, 3);
    if (sent < 0)
        return -1;
    done = (size_t)sent;
    for (int i = 0; i < 3; i++) {
        size_t skip = done < parts[i].iov_len ? done : parts[i].iov_len;
        buffer_append(&outlet->rest, (char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
        done -= skip;
    }
    return outlet->rest.failed ? -1 : 0;
}

int outlet_put(struct outlet *outlet, const void *data, size_t len)
{
    const char *at = data;

    while (len) {
        size_t some = len < CONTENT_MOST ? len : CONTENT_MOST;
        if (put_record(outlet, at, some) < 0)
            return -1;
        at += some;
        len -= some;
    }
    return 0;
}

int outlet_flush(struct outlet *outlet)
{
    ssize_t sent = 1;

    while (outlet->rest.len && sent > 0) {
        struct iovec part = {outlet->rest.data, outlet->rest.len};
        sent = send_some(outlet, &part, 1);
        if (sent < 0)
            return -1;
        buffer_consume(&outlet->rest, (size_t)sent);
    }
    if (!outlet->rest.len)
        buffer_release(&outlet->rest);
    return 0;
}

bool outlet_is_gone(const struct outlet *outlet)
{
    char scratch[256];
    ssize_t got;

    while ((got = recv(outlet->fd, scratch, sizeof scratch, MSG_DONTWAIT)) > 0 ||
           (got < 0 && errno == EINTR))
        ;
    return got == 0 || errno != EAGAIN;
}

void outlet_close(struct outlet *outlet)
{
    unsigned char end[2 * HEADER_BYTES + 8] = {0}; /* a status of 0, and "request complete" */
    struct iovec part = {end, sizeof end};

    write_header(outlet, STDOUT, 0, 0, end);
    write_header(outlet, END_REQUEST, 8, 0, end + HEADER_BYTES);
    if (outlet_flush(outlet) == 0 && !outlet_is_full(outlet))
        send_some(outlet, &part, 1);
    close(outlet->fd);
    buffer_release(&outlet->rest);
}
