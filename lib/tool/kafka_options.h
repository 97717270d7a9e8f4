/* The options of tools that know Kafka: -X, -F. */
#ifndef TOOL_KAFKA_OPTIONS_H
#define TOOL_KAFKA_OPTIONS_H

#include "tool/options.h"

/* For getopt(3)'s letters, and for --help. */
#define KAFKA_OPTION_LETTERS "X:F:"
#define KAFKA_OPTIONS_HELP                                                                         \
    "  -X NAME=VALUE            a property of librdkafka\n"                                        \
    "  -F FILE                  a file of such properties\n"

/* Takes the option if it is one of these. Exits with 64 or 78 if its argument is wrong. */
bool kafka_option(int option, const char *argument);

#endif
