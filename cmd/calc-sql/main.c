/* calc-sql: what calc-watch prints, to SQL. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/diag.h"
#include "batch.h"
#include "stream/stream.h"
#include "tool/options.h"

static const char help[] =
    "usage: calc-sql [--dialect NAME]\n"
    "       calc-sql [--dialect NAME] --schema\n"
    "       calc-sql --from\n"
    "\n"
    "Turns what calc-watch prints into SQL for psql or sqlite3, which keeps tables current: inserts\n"
    "and updates that may be repeated, in transactions that store the cursor, too.\n"
    "\n"
    "      --dialect NAME        whose SQL: postgresql, the default, or sqlite\n"
    "      --schema              print what makes the tables, where they aren't there yet\n"
    "      --from                print the query that tells where calc-watch has to go on\n"
    "      --help, --version\n"
    "\n"
    "Exit status: 0; 65 if a line was none of calc-watch's. See calc-sql(1).\n";

enum { OPTION_DIALECT = OPTION_FIRST, OPTION_SCHEMA, OPTION_FROM };

struct translator {
    struct reader *input;
    struct writer *output;
    struct told told;
    struct batch batch;
    bool bad; /* a line was left out */
};

/* What is asked for instead of the translation: a text to be printed, or NULL. */
static const char *parse_options(enum dialect *dialect, int argc, char **argv)
{
    static const struct option longer[] = {{"dialect", required_argument, NULL, OPTION_DIALECT},
                                           {"schema", no_argument, NULL, OPTION_SCHEMA},
                                           {"from", no_argument, NULL, OPTION_FROM},
                                           OPTIONS_COMMON};
    bool schema = false, from = false;
    struct options options;
    int option;

    options_open(&options, argc, argv, "+:", longer, help);
    while ((option = options_next(&options)) != OPTION_END)
        if (option == OPTION_DIALECT) {
            if (dialect_read(optarg, dialect) < 0)
                options_bad("--dialect takes postgresql or sqlite, not '%s'", optarg);
        } else if (option == OPTION_SCHEMA) {
            schema = true;
        } else {
            from = true;
        }
    if (options.operand_count)
        options_bad("unexpected argument '%s'", options.operands[0]);
    if (schema && from)
        options_bad("--schema and --from: only one of them");
    return schema ? sql_schema(*dialect) : from ? sql_from() : NULL;
}

static int take(struct translator *translator, const struct line *line, struct error *error)
{
    int result = line_fault(line) ? error_set(error, EX_DATAERR, "%s", line_fault(line))
                                  : told_parse(line->data, line->len, &translator->told, error);

    if (result == 0)
        return batch_add(&translator->batch, &translator->told, error);
    if (error->status != EX_DATAERR)
        return -1;
    diag_error("line %llu: %s", (unsigned long long)line->number, error->text);
    batch_leave_out(&translator->batch);
    translator->bad = true;
    return 0;
}

static int flush(struct translator *translator, struct error *error)
{
    if (batch_write(&translator->batch, writer_batch(translator->output), error) < 0)
        return -1;
    return writer_commit(translator->output, NULL, NULL, error);
}

/* Whoever doesn't read our output any more ends us, as if we had written to them: the whole pipe
 * begins anew, and not only when something happens. */
static int wait_for_input(const struct reader *input, struct error *error)
{
    struct pollfd wait[] = {{.fd = reader_fd(input), .events = POLLIN}, {.fd = STDOUT_FILENO}};

    poll(wait, 2, 1000);
    if (!(wait[1].revents & POLLERR))
        return 0;
    raise(SIGPIPE);
    errno = EPIPE; /* it is ignored, as systemd does */
    return error_errno(error, EX_IOERR, "can't write to stdout");
}

/* A transaction has what came without a pause. */
static int translate(struct translator *translator, struct error *error)
{
    struct line line;

    for (;;) {
        int got = reader_next(translator->input, &line, error);
        if (got < 0 || (got == READ_RECORD && take(translator, &line, error) < 0))
            return -1;
        if (got == READ_INTERRUPTED || (got == READ_RECORD && !batch_is_full(&translator->batch)))
            continue;
        if (flush(translator, error) < 0)
            return -1;
        if (got == READ_END)
            break;
        if (got == READ_PAUSE && wait_for_input(translator->input, error) < 0)
            return -1;
    }
    if (reader_torn(translator->input)) {
        diag_error("the last line, at %llu, has no newline: a file's record ends with one",
                   (unsigned long long)reader_offset(translator->input));
        translator->bad = true;
    }
    return 0;
}

static int run(struct translator *translator, const char *text, struct error *error)
{
    if (writer_open("-", &translator->output, error) < 0)
        return -1;
    if (text) {
        buffer_append_text(writer_batch(translator->output), text);
        return writer_commit(translator->output, NULL, NULL, error);
    }
    if (reader_open("-", false, &translator->input, error) < 0)
        return -1;
    return translate(translator, error);
}

int main(int argc, char **argv)
{
    struct translator translator = {0};
    enum dialect dialect = DIALECT_POSTGRESQL;
    const char *text = parse_options(&dialect, argc, argv);
    struct error error;
    int status = EXIT_OK;

    batch_init(&translator.batch, dialect);
    if (run(&translator, text, &error) < 0) {
        diag_error("%s", error.text);
        status = error.status;
    } else if (translator.bad) {
        status = EX_DATAERR;
    }
    told_release(&translator.told);
    batch_release(&translator.batch);
    reader_close(translator.input);
    writer_close(translator.output);
    return status;
}
