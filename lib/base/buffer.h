/* A growing run of bytes. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed is empty. `failed` stays set once memory ran out: what was appended since is lost, and
 * whoever hands the bytes on checks it once. */
struct buffer {
    char *data;
    size_t len, cap;
    bool failed;
};

/* Where buffer_reserve() has to get memory. */
char *buffer_grow(struct buffer *buffer, size_t more);

/* Room for `more` bytes behind the content: a pointer to it, or NULL when memory ran out. The
 * caller adds what it wrote to `len`. */
static inline char *buffer_reserve(struct buffer *buffer, size_t more)
{
    return more < buffer->cap - buffer->len && !buffer->failed ? buffer->data + buffer->len
                                                                : buffer_grow(buffer, more);
}

void buffer_append(struct buffer *buffer, const void *data, size_t len);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Takes the first `len` bytes away. */
void buffer_consume(struct buffer *buffer, size_t len);

/* Frees the memory; the buffer is empty and can be used again. */
void buffer_release(struct buffer *buffer);

#endif
