#include "tool/kafka_options.h"

#include <stdlib.h>

#include "base/diag.h"
#include "stream/kafka.h"

bool kafka_option(int option, const char *argument)
{
    struct error error;

    if (option != 'X' && option != 'F')
        return false;
    if ((option == 'X' ? kafka_set(argument, &error) : kafka_load(argument, &error)) == 0)
        return true;
    if (error.status == EX_USAGE)
        options_bad("-%c: %s", option, error.text);
    diag_error("%s", error.text);
    exit(error.status);
}
