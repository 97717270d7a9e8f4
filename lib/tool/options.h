/* Command lines, read the same way in every tool. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

struct options {
    int argc;
    char **argv;
    const char *letters;         /* getopt(3)'s, beginning with "+" */
    const struct option *longer; /* getopt_long(3)'s */
    const char *help;            /* the whole text of --help */
    char **operands;             /* what is no option, in order */
    int operand_count;
    bool only_operands; /* "--" was seen */
};

enum { OPTION_END = -1, OPTION_HELP = 256, OPTION_VERSION, OPTION_FIRST };

/* Every tool's own table ends with these. */
#define OPTIONS_COMMON                                                                            \
    {"help", no_argument, NULL, OPTION_HELP}, {"version", no_argument, NULL, OPTION_VERSION},     \
    {                                                                                             \
        NULL, 0, NULL, 0                                                                          \
    }

/* Names the program for its diagnostics and begins with its command line. */
void options_open(struct options *options, int argc, char **argv, const char *letters,
                  const struct option *longer, const char *help);

/* The next option's letter or number, its argument in optarg; OPTION_END when none is left and the
 * operands are complete. Options and operands may be mixed; an argument that is a number (-3, -.5)
 * is an operand. --help and --version are answered here and exit; so is a bad option, with 64. */
int options_next(struct options *options);

/* Says what is wrong with the command line, points to --help, and exits with 64. */
_Noreturn void options_bad(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An option's argument as seconds, fractions allowed: milliseconds. Exits with 64 if it is none. */
int64_t options_seconds(const char *name, const char *text);

/* The same for a count. */
uint64_t options_count(const char *name, const char *text);

#endif
