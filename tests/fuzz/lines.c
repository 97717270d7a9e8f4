/* Any bytes in pieces of any size give the lines of a simple split. */
#include "../unit/lines_model.h"
#include "expand.h"
#include "require.h"

enum { CAP = 1 << 19 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random random = {0x9e3779b97f4a7c15};
    const char *problem;
    size_t len, chunk;
    char *bytes;

    if (size < 4)
        return 0;
    random.state += data[0];
    chunk = (size_t)1 << data[1] % 20;
    bytes = malloc(CAP);
    len = expand(data + 4, size - 4, data[2], bytes, CAP);
    problem = model_disagrees(bytes, len, chunk < len / 100 ? len / 100 : chunk, data[3] & 1,
                              data[3] >> 1, &random);
    free(bytes);
    if (problem)
        fail(problem);
    return 0;
}
