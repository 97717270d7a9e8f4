/* Any line, read as a command and as an event: by the scanner of the canonical spelling and by the
 * JSON parser alone, which must agree; and what is written of it reads back, and is a fixed point.
 */
#include "../unit/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(const char *problem)
{
    if (!problem)
        return;
    fprintf(stderr, "%s\n", problem);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool good;

    require(command_disagrees((const char *)data, size, &good));
    require(event_disagrees((const char *)data, size, &good));
    return 0;
}
