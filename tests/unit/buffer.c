#include "base/buffer.h"

#include <stdint.h>
#include <stdlib.h>

#include "random.h"
#include "tap.h"

static void test_model(void)
{
    enum { CAP = 1 << 20 };
    struct random random = {1};
    struct buffer buffer = {0};
    char *model = malloc(CAP), piece[3000];
    size_t len = 0;
    int bad = 0;

    for (int i = 0; i < 20000; i++) {
        size_t count = random_below(&random, random_below(&random, 10) ? 40 : sizeof piece);
        if (random_below(&random, 4) == 0 || len + count > CAP) {
            count = random_below(&random, len + 1);
            buffer_consume(&buffer, count);
            len -= count;
            memmove(model, model + count, len);
        } else if (i % 3) {
            memset(piece, (int)random_below(&random, 256), count);
            buffer_append(&buffer, piece, count);
            memcpy(model + len, piece, count);
            len += count;
        } else {
            char *room = buffer_reserve(&buffer, count);
            memset(room, i, count);
            memset(model + len, i, count);
            buffer.len += count;
            len += count;
        }
        bad += wrong(buffer.len == len && (!len || memcmp(buffer.data, model, len) == 0),
                     "after %d steps", i + 1);
    }
    ok(!bad, "what was appended is there in its order, without what was consumed");
    buffer_release(&buffer);
    ok(!buffer.data && !buffer.len && !buffer.failed, "a released buffer is empty");
    free(model);
}

static void test_text(void)
{
    struct buffer buffer = {0};
    char letters[1001];

    memset(letters, 'x', 1000);
    letters[1000] = '\0';
    buffer_append_text(&buffer, "");
    buffer_append(&buffer, NULL, 0);
    buffer_append_text(&buffer, "a=");
    buffer_printf(&buffer, "%d,%s", 42, letters);
    buffer_printf(&buffer, "%s", "");
    ok(buffer.len == 2 + 3 + 1000 && memcmp(buffer.data, "a=42,xxx", 8) == 0,
       "text and formats of any length are appended, without a NUL");
    buffer_consume(&buffer, 0);
    buffer_consume(&buffer, buffer.len);
    ok(buffer.len == 0, "all of it can be consumed");
    buffer_release(&buffer);
}

static void test_failure(void)
{
    struct buffer buffer = {0};

    ok(buffer_reserve(&buffer, 0) && !buffer.failed, "no room in an empty buffer is no failure");
    buffer_append_text(&buffer, "kept");
    ok(!buffer_reserve(&buffer, SIZE_MAX / 2) && buffer.failed, "too much is no memory");
    buffer_append_text(&buffer, "lost");
    buffer_printf(&buffer, "lost");
    ok(buffer.failed && buffer.len == 4 && memcmp(buffer.data, "kept", 4) == 0,
       "a failure stays, and what came before it too");
    buffer_release(&buffer);
    buffer_append_text(&buffer, "new");
    ok(!buffer.failed && buffer.len == 3, "until the buffer is released");
    buffer_release(&buffer);
}

int main(void)
{
    test_model();
    test_text();
    test_failure();
    return tap_done();
}
