/* calc-get: queries on the view. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "stream/stream.h"
#include "tool/inputs.h"
#include "tool/options.h"
#include "tool/wait.h"

static const char help[] =
    "usage: calc-get [--view DIR] [--seen COMMAND_ID] [--wait SECONDS] [VALUE_ID...]\n"
    "       calc-get [--view DIR] --command COMMAND_ID [--wait SECONDS] VALUE_ID\n"
    "       calc-get [--view DIR] --all\n"
    "\n"
    "Prints values as lines of JSON. Without arguments the value ids are lines of stdin.\n"
    "\n"
    "      --view DIR            the view's folder; $CALC_VIEW by default\n"
    "      --all                 every value, ordered by id\n"
    "      --command COMMAND_ID  what became of a command on the value\n"
    "      --seen COMMAND_ID     only when the outcome of this command on the value is visible\n"
    "      --wait SECONDS        how long to wait for that; 0 by default\n"
    "      --help, --version\n"
    "\n"
    "Exit status: 0; 1 if a value is unknown or the command was rejected; 69 if it isn't decided\n"
    "yet. See calc-get(1).\n";

enum { OPTION_VIEW = OPTION_FIRST, OPTION_ALL, OPTION_COMMAND, OPTION_SEEN, OPTION_WAIT };

struct query {
    const char *folder;
    bool all, waits;
    const char *command_text, *seen_text; /* NULL: not given */
    struct id command, seen;
    int64_t wait_ms;
    char **operands;
    int operand_count;
    struct view *view;
    struct writer *out;
    int status; /* of what was answered so far */
};

static void parse_options(struct query *query, int argc, char **argv)
{
    static const struct option longer[] = {{"view", required_argument, NULL, OPTION_VIEW},
                                           {"all", no_argument, NULL, OPTION_ALL},
                                           {"command", required_argument, NULL, OPTION_COMMAND},
                                           {"seen", required_argument, NULL, OPTION_SEEN},
                                           {"wait", required_argument, NULL, OPTION_WAIT},
                                           OPTIONS_COMMON};
    struct options options;
    int option;

    query->folder = getenv("CALC_VIEW");
    options_open(&options, argc, argv, "+:", longer, help);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option == OPTION_VIEW)
            query->folder = optarg;
        else if (option == OPTION_ALL)
            query->all = true;
        else if (option == OPTION_COMMAND)
            query->command_text = optarg;
        else if (option == OPTION_SEEN)
            query->seen_text = optarg;
        else if (option == OPTION_WAIT) {
            query->waits = true;
            query->wait_ms = options_seconds("--wait", optarg);
        }
    }
    query->operands = options.operands;
    query->operand_count = options.operand_count;
}

static void check_options(struct query *query)
{
    const char *command = query->command_text, *seen = query->seen_text;
    struct id id;

    if (!query->folder || !*query->folder)
        options_bad("which view? give --view DIR, or set CALC_VIEW");
    if (query->all && (query->operand_count || command || seen))
        options_bad("--all takes no value ids and no other query");
    if (command && (query->operand_count != 1 || seen))
        options_bad("--command needs one value id and no --seen");
    if (query->waits && !command && !seen)
        options_bad("--wait goes with --seen or --command: what is waited for");
    if (command && id_parse(command, strlen(command), &query->command) < 0)
        options_bad("--command takes a UUID, not '%s'", command);
    if (seen && id_parse(seen, strlen(seen), &query->seen) < 0)
        options_bad("--seen takes a UUID, not '%s'", seen);
    for (int i = 0; i < query->operand_count; i++)
        if (id_parse(query->operands[i], strlen(query->operands[i]), &id) < 0)
            options_bad("a value id is a UUID, not '%s'", query->operands[i]);
}

/* The gravest status wins: bad data, then not decided, then a clean no. */
static void note(struct query *query, int status)
{
    if (status > query->status)
        query->status = status;
    if (status == EX_DATAERR)
        query->status = EX_DATAERR;
}

static void write_command(struct query *query, const struct id *value_id,
                          const struct outcome *outcome)
{
    struct buffer *out = writer_batch(query->out);
    char command[ID_TEXT], value[ID_TEXT];

    id_write(&query->command, command);
    id_write(value_id, value);
    buffer_printf(out, "{\"id\":\"%.36s\",\"value_id\":\"%.36s\",", command, value);
    outcome_write_status(outcome, out);
    buffer_append_text(out, "}\n");
}

static int get_command(struct query *query, const struct id *value_id, struct error *error)
{
    struct outcome outcome;
    int result = wait_for_outcome(query->folder, &query->view, value_id, &query->command,
                                  clock_ms() + query->wait_ms, &outcome, error);

    if (result < 0 || !query->view)
        return -1;
    write_command(query, value_id, result ? &outcome : NULL);
    if (result == 0)
        note(query, EX_UNAVAILABLE);
    else if (outcome.reason != REASON_NONE)
        note(query, EXIT_NO);
    return 0;
}

static int get_value(struct query *query, const struct id *id, struct error *error)
{
    struct view_value value;
    struct view_txn *txn;
    char text[ID_TEXT];
    int result;

    id_write(id, text);
    if (query->seen_text) {
        struct outcome outcome;
        result = wait_for_outcome(query->folder, &query->view, id, &query->seen,
                                  clock_ms() + query->wait_ms, &outcome, error);
        if (result < 0 || !query->view)
            return -1;
        if (result == 0) {
            diag_error("value %.36s: the outcome of command %s is not visible yet", text,
                       query->seen_text);
            note(query, EX_UNAVAILABLE);
            return 0;
        }
    }
    if (view_refresh(query->folder, &query->view, error) < 0 ||
        view_snapshot(query->view, &txn, error) < 0)
        return -1;
    result = view_get_value(txn, id, &value, error);
    view_abort(txn);
    if (result > 0) {
        value_write(&value.id, &value.value, value.timestamp, writer_batch(query->out));
    } else if (result == 0) {
        diag_error("no value %.36s", text);
        note(query, EXIT_NO);
    }
    return result < 0 ? -1 : 0;
}

static int get_all(struct query *query, struct error *error)
{
    struct view_value value;
    struct view_txn *txn;
    int result;

    if (view_snapshot(query->view, &txn, error) < 0)
        return -1;
    result = view_next_value(txn, NULL, &value, error);
    while (result > 0) {
        struct id after = value.id;
        value_write(&value.id, &value.value, value.timestamp, writer_batch(query->out));
        if (writer_batch(query->out)->len >= 1 << 16 &&
            writer_commit(query->out, NULL, NULL, error) < 0)
            result = -1;
        else
            result = view_next_value(txn, &after, &value, error);
    }
    view_abort(txn);
    return result;
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
        note(query, EX_DATAERR);
        return 0;
    }
    return get_value(query, &id, error);
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
        note(query, EX_DATAERR);
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
    if (query->all)
        return query->view ? get_all(query, error) : -1;
    if (!query->operand_count)
        return get_lines(query, error);
    for (int i = 0; i < query->operand_count; i++) {
        id_parse(query->operands[i], strlen(query->operands[i]), &id);
        if ((query->command_text ? get_command(query, &id, error)
                                 : get_value(query, &id, error)) < 0)
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
    view_close(query.view);
    writer_close(query.out);
    return query.status;
}
