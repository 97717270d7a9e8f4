#include "verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "guard.h"
#include "part.h"
#include "stream/kafka.h"
#include "tool/kafka_check.h"
#include "tool/progress.h"

struct verification {
    const struct verify_options *options;
    struct kafka_cursor *cursor; /* NULL: the logs are files */
    struct part *parts;
    int32_t count;
    struct view_check *view;
};

static const char *const output_names[PART_OUTPUTS] = {"event", "rejection"};

/* There is one stderr. */
static struct progress progress;

static void tick(void)
{
    progress_tick(&progress);
}

static bool is_topic(const char *name)
{
    return strncmp(name, "kafka:", 6) == 0;
}

/* --- opening: what is derived comes first, so that nothing can be ahead of its cause --- */

static int check_topics(struct verification *verification, struct error *error)
{
    const struct verify_options *options = verification->options;
    const char *names[KAFKA_ROLES] = {options->commands, options->outputs[0], options->outputs[1]};
    struct kafka_topics topics = {.timeout_ms = KAFKA_CHECK_MS};
    int result;

    for (int role = 0; role < KAFKA_ROLES; role++)
        if (names[role]) {
            topics.names[role] = names[role] + strlen("kafka:");
            topics.needed |= 1u << role;
        }
    result = kafka_topics_check(&topics, error);
    kafka_check_say(&topics, error);
    verification->count = topics.partitions;
    kafka_topics_release(&topics);
    return result < 0 ? -1 : kafka_cursor_open(NULL, &verification->cursor, error);
}

static int make_parts(struct verification *verification, struct error *error)
{
    bool topics = is_topic(verification->options->commands);

    verification->count = 1;
    if (topics && check_topics(verification, error) < 0)
        return -1;
    verification->parts = calloc((size_t)verification->count, sizeof *verification->parts);
    if (!verification->parts)
        return error_memory(error);
    for (int32_t i = 0; i < verification->count; i++) {
        struct part *part = &verification->parts[i];
        part->number = i;
        state_init(&part->derived);
        if (topics)
            part->derived.place = (struct state_place){i, verification->count, kafka_partition};
        for (int log = 0; log < PART_OUTPUTS; log++) {
            part->outputs[log].what = output_names[log];
            part->outputs[log].given = verification->options->outputs[log] != NULL;
        }
    }
    return 0;
}

/* A handler has the state only of the partitions that it had. */
static int open_states(struct verification *verification, struct error *error)
{
    const char *folder = verification->options->state;
    bool topics = is_topic(verification->options->commands);
    int32_t opened = 0, known;
    char path[4096];

    for (int32_t i = 0; folder && i < verification->count; i++) {
        if ((size_t)snprintf(path, sizeof path, "%s/%d", folder, (int)i) >= sizeof path)
            return error_set(error, EX_USAGE, "the state's name is too long");
        if (access(path, F_OK) < 0 && errno == ENOENT)
            continue;
        if (part_open_state(&verification->parts[i], path, error) < 0)
            return -1;
        opened++;
        known = verification->parts[i].position.partitions;
        if (verification->parts[i].position.begun && known != (topics ? verification->count : 0))
            return error_set(error, EX_DATAERR, "the state in %s is of a topic with %d partitions",
                             path, (int)known);
    }
    if (folder && !opened)
        return error_set(error, EX_IOERR, "there is no state in %s", folder);
    return 0;
}

static int open_view(struct verification *verification, struct error *error)
{
    const char *folder = verification->options->view;
    int result;

    if (!folder)
        return 0;
    guard_enter("view", folder);
    result = view_check_open(folder, verification->count, &verification->view, error);
    guard_leave();
    return result < 0 ? part_blame("view", folder, false, error) : 0;
}

static int open_logs(struct verification *verification, struct error *error)
{
    const struct verify_options *options = verification->options;

    for (int32_t i = 0; i < verification->count; i++) {
        struct part *part = &verification->parts[i];
        for (int log = PART_OUTPUTS; log-- > 0;)
            if (part->outputs[log].given &&
                source_open(&part->outputs[log].source, options->outputs[log], i,
                            verification->cursor, part->position.durable[log], error) < 0)
                return -1;
    }
    for (int32_t i = 0; i < verification->count; i++) {
        struct part *part = &verification->parts[i];
        if (source_open(&part->commands, options->commands, i, verification->cursor,
                        part->position.next, error) < 0 ||
            part_check_ends(part, verification->view, options->view, error) < 0)
            return -1;
        part->outputs[0].source.is_topic |= part->commands.is_topic;
        part->outputs[1].source.is_topic |= part->commands.is_topic;
    }
    return 0;
}

/* --- comparing --- */

static int verify_part(struct verification *verification, struct part *part, struct error *error)
{
    const char *folder = verification->options->view;
    struct record record = {0};
    int result;

    while ((result = source_next(&part->commands, &record, error)) > 0) {
        if (part_take(part, &record, verification->view, folder, tick, error) < 0)
            return -1;
        progress_add(&progress, record.line.end - record.line.start, !record.line.blank);
    }
    if (result < 0 || part_finish(part, tick, error) < 0 ||
        part_check_ends(part, verification->view, folder, error) < 0)
        return -1;
    if (!verification->view) /* nothing of it is asked any more */
        state_release(&part->derived);
    return 0;
}

static const struct state *state_of(void *context, const struct id *value_id)
{
    const struct verification *verification = context;

    return &verification->parts[kafka_partition(value_id, verification->count)].derived;
}

static int finish_view(struct verification *verification, struct error *error)
{
    const char *folder = verification->options->view;
    int result;

    if (!verification->view)
        return 0;
    guard_enter("view", folder);
    result = view_check_finish(verification->view, state_of, verification, tick, error);
    guard_leave();
    return result < 0 ? part_blame("view", folder, view_check_disturbed(verification->view), error)
                      : 0;
}

static int verify_all(struct verification *verification, struct error *error)
{
    uint64_t total = 0;
    int result = 0;

    for (int32_t i = 0; i < verification->count; i++)
        total += verification->parts[i].commands.end;
    if (verification->parts[0].commands.end == UINT64_MAX)
        total = 0;
    progress_begin(&progress, "calc-verify", "commands", total);
    for (int32_t i = 0; result == 0 && i < verification->count; i++)
        result = verify_part(verification, &verification->parts[i], error);
    if (result == 0)
        result = finish_view(verification, error);
    progress_end(&progress);
    return result;
}

/* --- what was found --- */

static void say_torn(const struct source *source)
{
    if (source_torn(source))
        diag_warn("%s: %llu bytes behind its last newline, at %llu, are no record", source->name,
                  (unsigned long long)source_torn(source), (unsigned long long)source->end);
}

static void report_output(const struct part *part, const struct output *output,
                          struct buffer *report)
{
    const struct source *source = &output->source;
    char end[STREAM_POSITION_TEXT], from[STREAM_POSITION_TEXT];

    if (!output->given)
        return;
    source_position(source, source->end, end);
    buffer_printf(report,
                  "{\"verified\":\"%ss\",\"end\":\"%s\",\"records\":%llu,\"missing\":%llu}\n",
                  output->what, end, (unsigned long long)output->count,
                  (unsigned long long)output->missing);
    if (output->missing)
        diag_warn("%s ends at %s, before the %s of the command at %s; still to come: %llu",
                  source->name, end, output->what,
                  source_position(&part->commands, output->missing_from, from),
                  (unsigned long long)output->missing);
    say_torn(source);
}

static int report_state(const struct part *part, struct buffer *report, struct error *error)
{
    uint64_t values, commands, at = part->position.begun ? part->position.next : 0;
    char end[STREAM_POSITION_TEXT];

    if (!part->state)
        return 0;
    if (state_read_counts(part->state, &values, &commands, error) < 0)
        return -1;
    source_position(&part->commands, at, end);
    buffer_printf(report,
                  "{\"verified\":\"state\",\"end\":\"%s\",\"values\":%llu,\"commands\":%llu,"
                  "\"behind\":%llu}\n",
                  end, (unsigned long long)values, (unsigned long long)commands,
                  (unsigned long long)part->state_lag);
    if (part->state_lag)
        diag_warn("the state in %s is at %s; commands still to come: %llu", part->state_folder, end,
                  (unsigned long long)part->state_lag);
    return 0;
}

static void report_view(const struct verification *verification, struct buffer *report)
{
    const struct view_counts *counts;

    if (!verification->view)
        return;
    counts = view_check_counts(verification->view);
    buffer_printf(report,
                  "{\"verified\":\"view\",\"values\":%llu,\"events\":%llu,\"rejections\":%llu,"
                  "\"behind\":%llu}\n",
                  (unsigned long long)counts->values, (unsigned long long)counts->events,
                  (unsigned long long)counts->rejections, (unsigned long long)counts->behind);
    if (counts->behind)
        diag_warn("the view in %s is behind; outcomes still to come: %llu",
                  verification->options->view,
                  (unsigned long long)counts->behind);
}

static int report_all(const struct verification *verification, struct buffer *report,
                      struct error *error)
{
    for (int32_t i = 0; i < verification->count; i++) {
        const struct part *part = &verification->parts[i];
        char end[STREAM_POSITION_TEXT];
        buffer_printf(report, "{\"verified\":\"commands\",\"end\":\"%s\",\"records\":%llu}\n",
                      source_position(&part->commands, part->commands.end, end),
                      (unsigned long long)part->count);
        say_torn(&part->commands);
        report_output(part, &part->outputs[0], report);
        report_output(part, &part->outputs[1], report);
        if (report_state(part, report, error) < 0)
            return -1;
    }
    report_view(verification, report);
    return report->failed ? error_memory(error) : 0;
}

int verify(const struct verify_options *options, struct buffer *report, struct error *error)
{
    struct verification verification = {.options = options};
    int result = make_parts(&verification, error);

    if (result == 0)
        result = open_states(&verification, error);
    if (result == 0)
        result = open_view(&verification, error);
    if (result == 0)
        result = open_logs(&verification, error);
    if (result == 0)
        result = verify_all(&verification, error);
    if (result == 0)
        result = report_all(&verification, report, error);
    view_check_close(verification.view);
    for (int32_t i = 0; verification.parts && i < verification.count; i++) {
        part_close(&verification.parts[i]);
        state_release(&verification.parts[i].derived);
    }
    kafka_cursor_close(verification.cursor);
    free(verification.parts);
    return result;
}
