#include <string.h>

#include "calc/json.h"

void json_write_string(struct buffer *out, const char *text, size_t len)
{
    char *at = buffer_reserve(out, len * 6 + 2);

    if (!at)
        return;
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        const char *known = c < 0x20 ? memchr("\bb\ff\nn\rr\tt", c, 10) : NULL;
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (known) {
            *at++ = '\\';
            *at++ = known[1];
        } else if (c < 0x20) {
            memcpy(at, "\\u00", 4);
            at[4] = (char)('0' + (c >> 4));
            at[5] = "0123456789abcdef"[c & 15];
            at += 6;
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    out->len = (size_t)(at - out->data);
}
