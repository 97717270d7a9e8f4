#include "submit.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "input.h"
#include "tool/inputs.h"
#include "tool/kafka_check.h"
#include "tool/stats.h"
#include "tool/stop.h"
#include "tool/wait.h"

enum {
    BATCH_BYTES = 1 << 20,
    TOPIC_BATCH_BYTES = 1 << 24, /* sent while it fills: only the wait for its end counts */
    PIPE_BATCH_BYTES = 1 << 16,
    LOOK_EVERY = 4096 /* records after which statistics may be due */
};

/* Where a command came from: a line, counted from 1 (0: the command line), or an offset of a topic's
 * partition. */
struct place {
    uint64_t line;
    int32_t partition;
};

/* A command in the batch that is not durable yet. */
struct pending {
    struct id id, value_id;
    struct body body;
    struct place place;
    bool told; /* who asked may read what becomes of it */
};

static struct place place_of(const struct submitter *submitter, const struct line *line)
{
    if (submitter->input_kind == STREAM_KAFKA)
        return (struct place){line->start, line->partition};
    return (struct place){line->number, 0};
}

enum { PLACE_TEXT = 64 };

/* "line 17, ", "2:17, " or nothing. */
static const char *place_write(const struct submitter *submitter, const struct place *place,
                               char text[PLACE_TEXT])
{
    unsigned long long line = place->line;

    *text = '\0';
    if (submitter->input_kind == STREAM_KAFKA)
        snprintf(text, PLACE_TEXT, "record %d:%llu, ", (int)place->partition, line);
    else if (line)
        snprintf(text, PLACE_TEXT, "line %llu, ", line);
    return text;
}

/* --- one command --- */

/* Completes a command as the policy wants it. Whether it may be appended; if not, it is told. */
static bool admit(struct submitter *submitter, struct command *command, const struct line *line)
{
    enum refusal refusal = policy_file_admit(submitter->policy, command);
    struct buffer why = {0};
    char text[PLACE_TEXT] = "";
    struct place place;

    if (refusal == REFUSAL_NONE)
        return true;
    if (line) {
        place = place_of(submitter, line);
        place_write(submitter, &place, text);
        strcpy(text + strlen(text) - 2, ": ");
    }
    refusal_write(refusal, &command->actor, (enum deed)command->action, &why);
    buffer_append(&why, "", 1);
    diag_error("%s%s", text, why.failed ? "refused, and out of memory" : why.data);
    buffer_release(&why);
    submitter->rejected = true;
    return false;
}

/* `line` is NULL for the command of the command line. */
static int add(struct submitter *submitter, struct command *command, const struct line *line,
               struct error *error)
{
    struct pending pending = {.id = command->id, .value_id = command->value_id};

    if (!admit(submitter, command, line))
        return 0;
    if (line)
        pending.place = place_of(submitter, line);
    if (command_write_checked(command, writer_batch(submitter->output), error) < 0)
        return -1;
    if (!writer_is_log(submitter->output))
        return 0;
    if (submitter->waits) {
        body_of(command->action, command->value, &command->actor, &pending.body);
        pending.told = policy_file_allows(submitter->policy, DEED_READ, &command->actor);
    }
    buffer_append(&submitter->pending, &pending, sizeof pending);
    if (submitter->pending.failed)
        return error_memory(error);
    if (writer_end_record(submitter->output, &command->value_id, error) < 0)
        return -1;
    submitter->ended++;
    return 0;
}

static int take_line(struct submitter *submitter, const struct line *line, struct error *error)
{
    char text[PLACE_TEXT];
    struct error reason;
    struct command command;
    struct place place;
    int result;

    if (line_fault(line))
        result = error_set(&reason, EX_DATAERR, "%s", line_fault(line));
    else
        result = input_parse(line->data, line->len, timestamp_now(), &command, &reason);
    if (result == 0)
        result = add(submitter, &command, line, &reason);
    if (result == 0)
        return 0;
    if (reason.status != EX_DATAERR) {
        *error = reason;
        return -1;
    }
    place = place_of(submitter, line);
    place_write(submitter, &place, text);
    diag_error("%.*s: %s", (int)strlen(text) - 2, text, reason.text);
    submitter->bad = true;
    submitter->refused++;
    return 0;
}

/* --- a batch --- */

static void acknowledge(struct submitter *submitter, const struct pending *pending,
                        const char *position)
{
    struct buffer *out = writer_batch(submitter->acknowledgements);
    char id[ID_TEXT];

    buffer_append_text(out, "{\"id\":\""); /* printf would show among many */
    id_write(&pending->id, id);
    buffer_append(out, id, sizeof id);
    buffer_append_text(out, "\",\"value_id\":\"");
    id_write(&pending->value_id, id);
    buffer_append(out, id, sizeof id);
    buffer_append_text(out, "\",\"position\":\"");
    buffer_append_text(out, position);
    buffer_append_text(out, "\"}\n");
    submitter->appended = true;
    submitter->acknowledged++;
}

/* Acknowledges what is durable, in order. */
static int acknowledge_all(struct submitter *submitter, struct error *error)
{
    const struct pending *pending = (const struct pending *)submitter->pending.data;
    char position[STREAM_POSITION_TEXT];

    for (size_t i = 0; i < submitter->ended; i++)
        if (writer_position(submitter->output, i, position) == DELIVERY_DONE)
            acknowledge(submitter, &pending[i], position);
    return writer_commit(submitter->acknowledgements, NULL, NULL, error);
}

/* After a failed commit to a topic, of which a part may be there: which record the error is about,
 * and what became of the others. */
static void tell_failure(const struct submitter *submitter, struct error *error)
{
    const struct pending *pending = (const struct pending *)submitter->pending.data;
    const struct pending *failed = &pending[writer_failed(submitter->output)];
    size_t count = submitter->pending.len / sizeof *pending, unknown = 0, lost = 0;
    char position[STREAM_POSITION_TEXT], id[ID_TEXT], place[PLACE_TEXT];
    struct error reason = *error;

    for (size_t i = 0; i < count; i++) {
        enum delivery delivery = DELIVERY_FAILED;
        if (i < submitter->ended)
            delivery = writer_position(submitter->output, i, position);
        lost += delivery == DELIVERY_FAILED;
        if (delivery != DELIVERY_UNKNOWN)
            continue;
        unknown++;
        id_write(&pending[i].id, id);
        diag_info("%scommand %.36s: may be there or not",
                  place_write(submitter, &pending[i].place, place), id);
    }
    id_write(&failed->id, id);
    error_set(error, reason.status,
              "%scommand %.36s: %s (of the last %zu commands, %zu were appended, %zu were not, "
              "and %zu may be there or not)",
              place_write(submitter, &failed->place, place), id, reason.text, count,
              count - lost - unknown, lost, unknown);
    if (submitter->appended && !unknown)
        error->status = EX_IOERR;
}

/* Prints what became of a command; another body's outcome means that its id was used before. */
static int report(struct submitter *submitter, const struct pending *pending,
                  int64_t deadline_ms, struct error *error)
{
    struct buffer *out = writer_batch(submitter->acknowledgements);
    char id[ID_TEXT], value_id[ID_TEXT];
    struct outcome outcome;
    struct body body;
    int result = wait_for_outcome(submitter->folder, &submitter->view, &pending->value_id,
                                  &pending->id, deadline_ms, &outcome, error);

    if (result < 0)
        return -1;
    id_write(&pending->id, id);
    id_write(&pending->value_id, value_id);
    if (result == 0) {
        diag_error("command %.36s on value %.36s is not decided yet", id, value_id);
        submitter->undecided = true;
        return 0;
    }
    body_of(outcome.action, outcome.value, &outcome.actor, &body);
    if (!body_equal(&body, &pending->body))
        outcome.reason = REASON_ID_REUSED;
    submitter->rejected |= outcome.reason != REASON_NONE;
    buffer_printf(out, "{\"id\":\"%.36s\",\"value_id\":\"%.36s\",", id, value_id);
    outcome_write_status(&outcome, out);
    buffer_append_text(out, "}\n");
    return writer_commit(submitter->acknowledgements, NULL, NULL, error);
}

static int commit(struct submitter *submitter, struct error *error)
{
    const struct pending *pending = (const struct pending *)submitter->pending.data;
    size_t count = submitter->pending.len / sizeof *pending;
    uint64_t base = 0, cut = 0;
    int64_t deadline_ms;
    struct error acknowledging;
    bool any = writer_batch(submitter->output)->len > 0;
    int64_t begun_us = clock_us();
    int result = writer_commit(submitter->output, &base, &cut, error);

    if (result == 0 && any)
        histogram_add(&submitter->commits, clock_us() - begun_us);
    if (result == 0 && !writer_is_log(submitter->output))
        submitter->acknowledged = submitter->read - submitter->refused;

    if (cut)
        diag_warn("cut off a torn tail of %llu bytes that a crash left before %llu",
                  (unsigned long long)cut, (unsigned long long)base);
    if (acknowledge_all(submitter, result < 0 ? &acknowledging : error) < 0 && result == 0)
        return -1;
    if (result < 0) {
        if (submitter->output_kind == STREAM_KAFKA)
            tell_failure(submitter, error);
        return -1;
    }
    deadline_ms = clock_ms() + submitter->wait_ms;
    for (size_t i = 0; submitter->waits && i < count; i++)
        if (pending[i].told && report(submitter, &pending[i], deadline_ms, error) < 0)
            return -1;
    submitter->pending.len = 0;
    submitter->ended = 0;
    return 0;
}

/* As much as gathers before it is committed, if the input doesn't pause. */
static bool is_full(const struct submitter *submitter)
{
    size_t bytes = submitter->output_kind == STREAM_KAFKA  ? TOPIC_BATCH_BYTES
                   : submitter->output_kind == STREAM_FILE ? BATCH_BYTES
                                                           : PIPE_BATCH_BYTES;

    return writer_batch(submitter->output)->len >= bytes;
}

/* One more record, or what reader_next() says. */
static int take(struct submitter *submitter, struct error *error)
{
    struct line line;
    int got = reader_next(submitter->input, &line, error);

    if (got == READ_RECORD) {
        submitter->read++;
        progress_add(&submitter->progress,
                     submitter->input_kind == STREAM_KAFKA ? 1 : line.end - line.start, 1);
    }
    return got == READ_RECORD && take_line(submitter, &line, error) < 0 ? -1 : got;
}

/* When reading or writing failed: a topic has a part of the batch already, so what became of it has to
 * be told. */
static int end_batch(struct submitter *submitter, struct error *error)
{
    struct error later;

    if (submitter->output_kind == STREAM_KAFKA && commit(submitter, &later) < 0)
        *error = later;
    return -1;
}

static void write_stats(void *context, struct buffer *out)
{
    const struct submitter *submitter = context;

    buffer_printf(out, ",\"records_in\":{\"inputs\":%llu},\"records_out\":{\"commands\":%llu}",
                  (unsigned long long)submitter->read, (unsigned long long)submitter->acknowledged);
    stats_number(out, "refused", submitter->refused);
    stats_histogram(out, "commit_duration_seconds", &submitter->commits);
    if (submitter->input && submitter->input_kind != STREAM_KAFKA)
        buffer_printf(out, ",\"positions\":{\"inputs\":{\"0\":%llu}}",
                      (unsigned long long)reader_offset(submitter->input));
}

/* Where nothing of the data is on the terminal, neither what comes nor what is printed. */
static void begin_progress(struct submitter *submitter)
{
    const struct reader *input = submitter->input;
    uint64_t end = 0, at = 0;

    if (submitter->follow || !isatty(STDERR_FILENO) || isatty(STDOUT_FILENO) ||
        isatty(reader_fd(input)))
        return;
    for (int32_t i = 0; submitter->input_kind == STREAM_KAFKA && i < reader_partitions(input); i++)
        end += reader_end(input, i);
    if (reader_is_file(input)) {
        end = reader_end(input, 0);
        at = reader_offset(input);
    }
    progress_begin(&submitter->progress, "submitting", "inputs", end > at ? end - at : 0);
}

static int submit_lines(struct submitter *submitter, struct error *error)
{
    if (reader_open(submitter->input_name, submitter->follow, &submitter->input, error) < 0 ||
        (submitter->from && reader_start_from(submitter->input, submitter->from, error) < 0))
        return -1;
    begin_progress(submitter);
    for (;;) {
        int got = take(submitter, error);
        if (got < 0)
            return end_batch(submitter, error);
        if (submitter->read % LOOK_EVERY == 0 || got != READ_RECORD)
            stats_tick();
        if (!stop_asked() && (got == READ_INTERRUPTED || (got == READ_RECORD && !is_full(submitter))))
            continue;
        if (commit(submitter, error) < 0)
            return -1;
        if (got == READ_END || stop_asked())
            break;
        if (got == READ_PAUSE)
            inputs_wait(&submitter->input, 1);
        policy_file_renew(submitter->policy); /* it may have changed while nothing came */
    }
    if (!submitter->follow && reader_torn(submitter->input)) {
        diag_error("the last line of %s, at %llu, has no newline: a file's record ends with one",
                   submitter->input_name, (unsigned long long)reader_offset(submitter->input));
        submitter->bad = true;
    }
    return 0;
}

/* A writer waits longer for its broker, so it comes first. */
static int check_topic(const struct submitter *submitter, struct error *error)
{
    const char *streams[KAFKA_ROLES] = {[KAFKA_COMMANDS] = submitter->output_name};

    return kafka_check(streams, 1u << KAFKA_COMMANDS, KAFKA_CHECK_MS, error);
}

static int work(struct submitter *submitter, struct error *error)
{
    if ((submitter->policy_name &&
         policy_file_open(submitter->policy_name, &submitter->policy, error) < 0) ||
        writer_open(submitter->output_name, &submitter->output, error) < 0 ||
        check_topic(submitter, error) < 0 ||
        writer_open("-", &submitter->acknowledgements, error) < 0)
        return -1;
    writer_set_give_up(submitter->output, stop_asked);
    if (!submitter->one_shot)
        return submit_lines(submitter, error);
    submitter->command.timestamp = timestamp_now();
    if (add(submitter, &submitter->command, NULL, error) < 0)
        return end_batch(submitter, error);
    return commit(submitter, error);
}

int submit(struct submitter *submitter, struct error *error)
{
    int result;

    stats_open(submitter->stats, write_stats, submitter);
    result = work(submitter, error);
    progress_end(&submitter->progress);
    stats_close();
    return result;
}

void submit_release(struct submitter *submitter)
{
    policy_file_close(submitter->policy);
    view_close(submitter->view);
    reader_close(submitter->input);
    writer_close(submitter->output);
    writer_close(submitter->acknowledgements);
    buffer_release(&submitter->pending);
}
