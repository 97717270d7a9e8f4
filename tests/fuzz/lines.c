/* Any bytes in pieces of any size give the lines of a simple split. A byte from 0xf0 on stands for
 * many of the next one, so that a short input can hold a line that is too long. */
#include <stdlib.h>

#include "../unit/lines_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 1 << 19 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random random = {0x9e3779b97f4a7c15};
    const char *problem;
    size_t len = 0, chunk;
    char *bytes;

    if (size < 4)
        return 0;
    random.state += data[0];
    chunk = (size_t)1 << data[1] % 20;
    bytes = malloc(CAP);
    for (size_t i = 4; i < size; i++) {
        size_t run = 1;
        if (data[i] >= 0xf0 && i + 1 < size) {
            run = (size_t)(data[i] & 15) * 8192 + data[2] % 4;
            i++;
        }
        if (len + run > CAP)
            break;
        memset(bytes + len, data[i], run);
        len += run;
    }
    problem = model_disagrees(bytes, len, chunk < len / 100 ? len / 100 : chunk, data[3] & 1,
                              data[3] >> 1, &random);
    free(bytes);
    if (problem) {
        fprintf(stderr, "%s\n", problem);
        abort();
    }
    return 0;
}
