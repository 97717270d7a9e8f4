/* Short inputs that stand for long ones. */
#ifndef FUZZ_EXPAND_H
#define FUZZ_EXPAND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A byte from 0xf0 on stands for many of the next one, so that a short input can hold a line that is
 * too long. Returns how many of `cap` bytes were filled. */
static inline size_t expand(const uint8_t *data, size_t size, unsigned more, char *bytes, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < size; i++) {
        size_t run = 1;
        if (data[i] >= 0xf0 && i + 1 < size) {
            run = (size_t)(data[i] & 15) * 8192 + more % 4;
            i++;
        }
        if (len + run > cap)
            break;
        memset(bytes + len, data[i], run);
        len += run;
    }
    return len;
}

#endif
