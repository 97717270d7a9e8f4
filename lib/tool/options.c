#include "tool/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/diag.h"
#include "base/number.h"

static const char *program = "calc";

/* Started without stdin, stdout or stderr, a program would get their numbers for the files that it
 * opens, and write its answers into a log. What is missing fails when it is used; stderr is nowhere. */
static void fill_standard_descriptors(void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", flags[fd]) != fd)
            exit(EX_IOERR);
}

void options_open(struct options *options, int argc, char **argv, const char *letters,
                  const struct option *longer, const char *help)
{
    program = argc && strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    diag_open(program);
    *options = (struct options){argc, argv, letters, longer, help, argv, 0, false};
    opterr = 0;
    fill_standard_descriptors();
}

/* Whether an argument is -3 or -.5: no tool has an option that begins so. */
static bool is_number(const char *argument)
{
    return argument[0] == '-' && strspn(argument + 1, ".0123456789") > 0;
}

static _Noreturn void print(const char *text)
{
    exit(fputs(text, stdout) < 0 || fflush(stdout) < 0
             ? (diag_error("can't write to stdout: %s", strerror(errno)), EX_IOERR)
             : EXIT_OK);
}

int options_next(struct options *options)
{
    int option;

    for (;;) {
        char *argument;
        if (optind >= options->argc)
            return OPTION_END;
        argument = options->argv[optind];
        if (!options->only_operands && !is_number(argument)) {
            int before = optind;
            option = getopt_long(options->argc, options->argv, options->letters, options->longer,
                                 NULL);
            if (option == OPTION_HELP)
                print(options->help);
            if (option == OPTION_VERSION) {
                char text[64];
                snprintf(text, sizeof text, "%s %s\n", program, CALC_VERSION);
                print(text);
            }
            if (option == '?' || option == ':') {
                char *wrong = options->argv[optind > before ? optind - 1 : before];
                if (option == ':')
                    options_bad("option %s needs an argument", wrong);
                options_bad("unknown option, or one with a wrong argument: %s", wrong);
            }
            if (option != -1)
                return option;
            if (optind > before) { /* it was "--" */
                options->only_operands = true;
                continue;
            }
        }
        /* operands gather at the front, over arguments that were read already */
        options->argv[1 + options->operand_count++] = argument;
        options->operands = options->argv + 1;
        optind++;
    }
}

void options_bad(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    diag_error("%s (see %s --help)", text, program);
    exit(EX_USAGE);
}

int64_t options_seconds(const char *name, const char *text)
{
    double seconds;

    if (number_read(text, strlen(text), &seconds) != strlen(text) || !*text || seconds < 0 ||
        seconds > 1e9)
        options_bad("%s is a number of seconds, not '%s'", name, text);
    return (int64_t)(seconds * 1000 + 0.999);
}

uint64_t options_count(const char *name, const char *text)
{
    char *end;
    unsigned long long count;

    errno = 0;
    count = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-'))
        options_bad("%s is a whole number, not '%s'", name, text);
    return count;
}
