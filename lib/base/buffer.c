#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buffer_grow(struct buffer *buffer, size_t more)
{
    size_t cap = buffer->cap ? buffer->cap : 256;
    char *data;

    if (buffer->failed || more > SIZE_MAX / 4 - buffer->len) {
        buffer->failed = true;
        return NULL;
    }
    if (buffer->data && buffer->len + more <= buffer->cap)
        return buffer->data + buffer->len;
    while (cap < buffer->len + more)
        cap *= 2;
    data = realloc(buffer->data, cap);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->cap = cap;
    return data + buffer->len;
}

void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    char *room = buffer_reserve(buffer, len);

    if (!room || !len)
        return;
    memcpy(room, data, len);
    buffer->len += len;
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
    size_t space = buffer->failed ? 0 : buffer->cap - buffer->len;
    char *room = space ? buffer->data + buffer->len : NULL;
    va_list again;
    int len;

    va_copy(again, args);
    len = vsnprintf(room, space, format, args);
    if ((size_t)len >= space) { /* most often it fits where there is room already */
        room = buffer_reserve(buffer, (size_t)len + 1);
        if (room)
            vsnprintf(room, (size_t)len + 1, format, again);
    }
    if (room)
        buffer->len += (size_t)len;
    va_end(again);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buffer_vprintf(buffer, format, args);
    va_end(args);
}

void buffer_consume(struct buffer *buffer, size_t len)
{
    buffer->len -= len;
    if (buffer->len)
        memmove(buffer->data, buffer->data + len, buffer->len);
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
