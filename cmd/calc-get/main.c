/* calc-get: queries on the view. */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "query.h"
#include "tool/inputs.h"
#include "tool/options.h"

static const char help[] =
    "usage: calc-get [--view DIR] [--at-version N | --as-of TIME | --history]\n"
    "                [--seen COMMAND_ID] [--wait SECONDS] [VALUE_ID...]\n"
    "       calc-get [--view DIR] --command COMMAND_ID [--wait SECONDS] VALUE_ID\n"
    "       calc-get [--view DIR] --all [--after VALUE_ID] [--limit N]\n"
    "\n"
    "Prints values as lines of JSON. Without arguments the value ids are lines of stdin.\n"
    "\n"
    "      --view DIR            the view's folder; $CALC_VIEW by default\n"
    "      --at-version N        the value as it was at this version\n"
    "      --as-of TIME          the value as it was at this time (RFC 3339)\n"
    "      --history             the value's events, in the order of their versions\n"
    "      --all                 every value, ordered by id\n"
    "      --after VALUE_ID      only those behind this id\n"
    "      --limit N             only so many\n"
    "      --command COMMAND_ID  what became of a command on the value\n"
    "      --seen COMMAND_ID     only when the outcome of this command on the value is visible\n"
    "      --wait SECONDS        how long to wait for that; 0 by default\n"
    "      --help, --version\n"
    "\n"
    "Exit status: 0; 1 if a value is unknown or the command was rejected; 69 if it isn't decided\n"
    "yet. See calc-get(1).\n";

enum {
    OPTION_VIEW = OPTION_FIRST,
    OPTION_ALL,
    OPTION_AFTER,
    OPTION_LIMIT,
    OPTION_HISTORY,
    OPTION_AT_VERSION,
    OPTION_AS_OF,
    OPTION_COMMAND,
    OPTION_SEEN,
    OPTION_WAIT
};

/* What is asked for, which is one thing. */
static void ask(struct query *query, enum ask what)
{
    if (query->ask != ASK_VALUE && query->ask != what)
        options_bad("only one of --all, --command, --history, --at-version and --as-of");
    query->ask = what;
}

static void parse_option(struct query *query, int option)
{
    if (option == OPTION_VIEW) {
        query->folder = optarg;
    } else if (option == OPTION_ALL) {
        ask(query, ASK_ALL);
    } else if (option == OPTION_AFTER) {
        query->after_text = optarg;
    } else if (option == OPTION_LIMIT) {
        query->limited = true;
        query->limit = options_count("--limit", optarg);
    } else if (option == OPTION_HISTORY) {
        ask(query, ASK_HISTORY);
    } else if (option == OPTION_AT_VERSION) {
        ask(query, ASK_VERSION);
        query->version = options_count("--at-version", optarg);
    } else if (option == OPTION_AS_OF) {
        ask(query, ASK_TIME);
        query->time_text = optarg;
    } else if (option == OPTION_COMMAND) {
        ask(query, ASK_COMMAND);
        query->command_text = optarg;
    } else if (option == OPTION_SEEN) {
        query->seen_text = optarg;
    } else if (option == OPTION_WAIT) {
        query->waits = true;
        query->wait_ms = options_seconds("--wait", optarg);
    }
}

static void parse_options(struct query *query, int argc, char **argv)
{
    static const struct option longer[] = {{"view", required_argument, NULL, OPTION_VIEW},
                                           {"all", no_argument, NULL, OPTION_ALL},
                                           {"after", required_argument, NULL, OPTION_AFTER},
                                           {"limit", required_argument, NULL, OPTION_LIMIT},
                                           {"history", no_argument, NULL, OPTION_HISTORY},
                                           {"at-version", required_argument, NULL, OPTION_AT_VERSION},
                                           {"as-of", required_argument, NULL, OPTION_AS_OF},
                                           {"command", required_argument, NULL, OPTION_COMMAND},
                                           {"seen", required_argument, NULL, OPTION_SEEN},
                                           {"wait", required_argument, NULL, OPTION_WAIT},
                                           OPTIONS_COMMON};
    struct options options;
    int option;

    query->folder = getenv("CALC_VIEW");
    options_open(&options, argc, argv, "+:", longer, help);
    while ((option = options_next(&options)) != OPTION_END)
        parse_option(query, option);
    query->operands = options.operands;
    query->operand_count = options.operand_count;
}

static void check_id(const char *option, const char *text, struct id *id)
{
    if (text && id_parse(text, strlen(text), id) < 0)
        options_bad("%s takes a UUID, not '%s'", option, text);
}

static void check_options(struct query *query)
{
    struct id id;

    if (!query->folder || !*query->folder)
        options_bad("which view? give --view DIR, or set CALC_VIEW");
    if (query->ask == ASK_ALL && (query->operand_count || query->seen_text))
        options_bad("--all takes no value ids and no --seen");
    if (query->ask != ASK_ALL && (query->after_text || query->limited))
        options_bad("--after and --limit go with --all");
    if (query->ask == ASK_COMMAND && (query->operand_count != 1 || query->seen_text))
        options_bad("--command needs one value id and no --seen");
    if (query->waits && query->ask != ASK_COMMAND && !query->seen_text)
        options_bad("--wait goes with --seen or --command: what is waited for");
    check_id("--command", query->command_text, &query->command);
    check_id("--seen", query->seen_text, &query->seen);
    check_id("--after", query->after_text, &query->after);
    if (query->time_text &&
        timestamp_read(query->time_text, strlen(query->time_text), &query->time) < 0)
        options_bad("--as-of takes a time of RFC 3339, as 2026-11-23T11:00:00Z, not '%s'",
                    query->time_text);
    for (int i = 0; i < query->operand_count; i++)
        if (id_parse(query->operands[i], strlen(query->operands[i]), &id) < 0)
            options_bad("a value id is a UUID, not '%s'", query->operands[i]);
}

/* A line is a UUID, as it is or as a JSON string. */
static int get_line(struct query *query, const struct line *line, struct error *error)
{
    const char *text = line->data;
    size_t len = line->len;
    struct id id;

    while (len && strchr(" \t\r", text[len - 1]))
        len--;
    while (len && strchr(" \t", *text))
        text++, len--;
    if (len == ID_TEXT + 2 && *text == '"' && text[len - 1] == '"')
        text++, len -= 2;
    if (line->oversize || id_parse(text, len, &id) < 0) {
        diag_error("line %llu: a value id is a UUID", (unsigned long long)line->number);
        query_note(query, EX_DATAERR);
        return 0;
    }
    return query_value(query, &id, error);
}

static int get_lines(struct query *query, struct error *error)
{
    struct reader *input;
    struct line line;
    int got, result = 0;

    if (reader_open("-", false, &input, error) < 0)
        return -1;
    while (result == 0 && (got = reader_next(input, &line, error)) != READ_END) {
        if (got == READ_RECORD)
            result = get_line(query, &line, error);
        else if (got < 0)
            result = -1;
        if (result == 0 && (got == READ_PAUSE || writer_batch(query->out)->len >= 1 << 16))
            result = writer_commit(query->out, NULL, NULL, error);
        if (got == READ_PAUSE)
            inputs_wait(&input, 1);
    }
    if (result == 0 && reader_torn(input)) {
        diag_error("the last line has no newline: it is no record of a file");
        query_note(query, EX_DATAERR);
    }
    reader_close(input);
    return result;
}

/* Opens the view; with --wait one that isn't there yet is waited for by wait_for_outcome(). */
static int answer(struct query *query, struct error *error)
{
    struct id id;

    if (writer_open("-", &query->out, error) < 0)
        return -1;
    if (view_open(query->folder, &query->view, error) < 0 &&
        (error->status != EX_TEMPFAIL || !query->wait_ms))
        return -1;
    if (query->ask == ASK_ALL)
        return query->view ? query_all(query, error) : -1;
    if (!query->operand_count)
        return get_lines(query, error);
    for (int i = 0; i < query->operand_count; i++) {
        id_parse(query->operands[i], strlen(query->operands[i]), &id);
        if (query_value(query, &id, error) < 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct query query = {0};
    struct error error = {0};

    parse_options(&query, argc, argv);
    check_options(&query);
    if (answer(&query, &error) < 0 ||
        (query.out && writer_commit(query.out, NULL, NULL, &error) < 0)) {
        diag_error("%s", error.text);
        query.status = error.status;
    }
    progress_end(&query.progress);
    view_close(query.view);
    writer_close(query.out);
    return query.status;
}
