#include "part.h"

#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "stream/kafka.h"

/* What the handler writes at once, at most: of files it may have written the events of a batch and not
 * yet its rejections, of topics a part of a transaction may be seen a moment before the rest. */
enum { FILE_BATCH_BYTES = 66 << 20, TOPIC_BATCH_COMMANDS = 2 * 20000 };

int part_blame(const char *store, const char *folder, bool disturbed, struct error *error)
{
    struct error why = *error;

    if (disturbed && why.status == EX_DATAERR)
        return error_set(error, EX_TEMPFAIL,
                         "the %s in %s was written to while it was read, and its writer can't know "
                         "that: verify a copy, or as who may write its lock.mdb",
                         store, folder);
    return error_set(error, why.status, "the %s in %s: %s", store, folder, why.text);
}

/* --- the state --- */

int part_open_state(struct part *part, const char *folder, struct error *error)
{
    int result;

    snprintf(part->state_folder, sizeof part->state_folder, "%s", folder);
    guard_enter("state", part->state_folder);
    result = state_read_open(folder, &part->state, &part->position, error);
    guard_leave();
    return result < 0 ? part_blame("state", folder, false, error) : 0;
}

static int wrong_state(const struct part *part, const char *what, uint64_t at, struct error *error)
{
    char text[STREAM_POSITION_TEXT];

    error_set(error, EX_DATAERR, "%s, %s at %s", what, part->commands.name,
              source_position(&part->commands, at, text));
    return part_blame("state", part->state_folder, state_read_disturbed(part->state), error);
}

/* Whether the end that the state knows of an output is that of the outcomes that were derived until here.
 * That of a topic may be behind: after a batch that was taken back it isn't moved again. */
static int check_state_end(const struct part *part, int i, struct error *error)
{
    const struct output *output = &part->outputs[i];
    uint64_t end = part->position.ends[i];
    bool is_topic = part->commands.is_topic;

    if (output->given && output->missing)
        return error_set(error, EX_DATAERR, "it is behind an %s that %s doesn't have: it leads",
                         output->what, output->source.name);
    if ((output->given || !is_topic) && (is_topic ? end > output->end : end != output->end))
        return error_set(error, EX_DATAERR,
                         "its end of the %ss is %llu, and the commands derive %llu", output->what,
                         (unsigned long long)end, (unsigned long long)output->end);
    if (!is_topic && end && !part->last_met[i])
        return error_set(error, EX_DATAERR, "the last %s that it knows, at %llu, is another one",
                         output->what, (unsigned long long)part->position.last_outcomes[i]);
    if (part->position.durable[i] < end)
        return error_set(error, EX_DATAERR, "its %ss go to %llu and are durable to %llu only",
                         output->what, (unsigned long long)end,
                         (unsigned long long)part->position.durable[i]);
    return 0;
}

/* Takes an outcome that the state of files may know as its last one. */
static void meet_outcome(struct part *part, int i, const struct derived *derived, uint64_t start)
{
    struct id digest;

    if (!part->state || part->state_checked || start != part->position.last_outcomes[i])
        return;
    state_digest(derived->line, derived->len, &digest);
    part->last_met[i] = start + derived->len + 1 == part->position.ends[i] &&
                        id_equal(&digest, &part->position.outcome_digests[i]);
}

/* The commands were derived to where the state is. */
static int compare_state(struct part *part, void (*tick)(void), struct error *error)
{
    uint64_t at = part->position.begun ? part->position.last : 0;
    char text[STREAM_POSITION_TEXT];
    struct error why;
    int result;

    part->state_checked = true;
    guard_enter("state", part->state_folder);
    result = state_check(part->state, &part->derived, tick, &why);
    guard_leave();
    for (int i = 0; i < PART_OUTPUTS && result == 0 && part->position.begun; i++)
        result = check_state_end(part, i, &why);
    if (result == 0)
        return 0;
    error_set(error, why.status, "after the command at %s: %s",
              source_position(&part->commands, at, text), why.text);
    return part_blame("state", part->state_folder, state_read_disturbed(part->state), error);
}

/* Before a command is handled: whether the state may still be compared. */
static int meet_command(struct part *part, const struct line *command, void (*tick)(void),
                        struct error *error)
{
    const struct state_position *position = &part->position;
    bool first = !part->any;
    struct id digest;

    part->any = true;
    if (!part->state || part->state_checked)
        return 0;
    if (!position->begun)
        return compare_state(part, tick, error);
    if (first) {
        state_digest(command->data, command->len, &digest);
        if (command->start != position->first || !id_equal(&digest, &position->first_digest))
            return wrong_state(part, "its first command is not the first one", position->first,
                               error);
    }
    if (command->start > position->last)
        return wrong_state(part, "no command begins where its last one does", position->last,
                           error);
    if (command->start < position->last)
        return 0;
    state_digest(command->data, command->len, &digest);
    if (!id_equal(&digest, &position->last_digest))
        return wrong_state(part, "its last command is another than the one", position->last, error);
    if (command->end != position->next)
        return wrong_state(part, "its position is not the end of its last command", position->next,
                           error);
    return 0;
}

/* --- outcomes --- */

/* A log may end before outcomes that the other one has only as far as the handler writes at once; of
 * files, it writes the events first. */
static int check_siblings(struct part *part, const struct derived *derived, int present,
                          struct error *error)
{
    struct output *lacking = &part->outputs[!present];
    const struct output *there = &part->outputs[present];
    bool is_topic = there->source.is_topic;
    char text[2][STREAM_POSITION_TEXT];
    bool allowed;

    if (!lacking->given || !lacking->missing)
        return 0;
    lacking->missing_bytes += derived->len + 1;
    if (is_topic)
        allowed = derived->command->line.start - lacking->missing_from <= TOPIC_BATCH_COMMANDS;
    else
        allowed = present == VIEW_EVENTS && lacking->missing_bytes <= FILE_BATCH_BYTES;
    if (allowed)
        return 0;
    return error_set(error, EX_DATAERR,
                     "%s ends at %s, before the %s of the command at %s, and %s has the %s of the "
                     "later one at %s: its tail is lost",
                     lacking->source.name,
                     source_position(&lacking->source, lacking->source.end, text[0]), lacking->what,
                     source_position(&part->commands, lacking->missing_from, text[1]),
                     there->source.name, there->what, derived->position);
}

static int check_view(const struct part *part, const struct derived *derived, uint64_t start,
                      struct view_check *view, const char *folder, struct error *error)
{
    bool rejected = derived->outcome->reason != REASON_NONE;
    struct view_derived seen = {.outcome = derived->outcome,
                                .partition = part->number,
                                .start = start,
                                .end = part->outputs[rejected].end,
                                .line = derived->line,
                                .len = derived->len};
    struct error why;
    int result;

    guard_enter("view", folder);
    result = view_check_outcome(view, &seen, &why);
    guard_leave();
    if (result == 0)
        return 0;
    error_set(error, why.status, "after the command at %s: %s", derived->position, why.text);
    return part_blame("view", folder, view_check_disturbed(view), error);
}

static int compare_outcome(struct part *part, const struct record *command,
                           const struct outcome *outcome, const char *position,
                           struct view_check *view, const char *folder, struct error *error)
{
    int which = outcome->reason == REASON_NONE ? VIEW_EVENTS : VIEW_REJECTIONS;
    struct output *output = &part->outputs[which];
    struct derived derived = {.outcome = outcome, .command = command, .position = position};
    uint64_t start, before = output->missing;

    part->line.len = 0;
    outcome_write(outcome, &part->line);
    if (part->line.failed)
        return error_memory(error);
    derived.line = part->line.data;
    derived.len = part->line.len - 1;
    if (output_take(output, &derived, &start, error) < 0 ||
        (output->given && output->missing == before &&
         check_siblings(part, &derived, which, error) < 0))
        return -1;
    meet_outcome(part, which, &derived, start);
    return view ? check_view(part, &derived, start, view, folder, error) : 0;
}

int part_take(struct part *part, const struct record *command, struct view_check *view,
              const char *view_folder, void (*tick)(void), struct error *error)
{
    const struct line *line = &command->line;
    char position[STREAM_POSITION_TEXT];
    struct outcome outcome;
    int result = 0;

    if (meet_command(part, line, tick, error) < 0)
        return -1;
    if (!line->blank) {
        part->count++;
        part->state_lag += part->state && part->state_checked;
        source_position(&part->commands, line->start, position);
        result = state_handle(&part->derived, position, line->data, line->len,
                              line_fault(line) != NULL, &outcome, error);
    }
    if (result < 0 || (result > 0 && compare_outcome(part, command, &outcome, position, view,
                                                     view_folder, error) < 0))
        return -1;
    if (part->state && !part->state_checked && line->start == part->position.last)
        return compare_state(part, tick, error);
    return 0;
}

/* --- before and after --- */

int part_check_ends(const struct part *part, const struct view_check *view, const char *view_folder,
                    struct error *error)
{
    char text[2][STREAM_POSITION_TEXT];

    if (part->state && part->position.begun && part->position.next > part->commands.end)
        return wrong_state(part, "it is ahead of the commands", part->position.next, error);
    for (int i = 0; i < PART_OUTPUTS; i++) {
        const struct source *source = &part->outputs[i].source;
        uint64_t next = view ? view_check_next(view, (enum view_log)i, part->number) : 0;
        if (!part->outputs[i].given)
            continue;
        source_position(source, source->end, text[0]);
        if (next > source->end) {
            error_set(error, EX_DATAERR, "it is at %s of %s, which ends at %s",
                      source_position(source, next, text[1]), source->name, text[0]);
            return part_blame("view", view_folder, view_check_disturbed(view), error);
        }
        if (part->state && part->position.durable[i] > source->end) {
            error_set(error, EX_DATAERR, "%s ends at %s, and was durable to %s: its tail is lost",
                      source->name, text[0],
                      source_position(source, part->position.durable[i], text[1]));
            return part_blame("state", part->state_folder, state_read_disturbed(part->state),
                              error);
        }
    }
    return 0;
}

int part_finish(struct part *part, void (*tick)(void), struct error *error)
{
    for (int i = 0; i < PART_OUTPUTS; i++)
        if (output_finish(&part->outputs[i], error) < 0)
            return -1;
    if (!part->state || part->state_checked)
        return 0;
    if (part->position.begun)
        return wrong_state(part, "the commands end before its last one", part->position.last,
                           error);
    return compare_state(part, tick, error);
}

void part_close(struct part *part)
{
    source_close(&part->commands);
    for (int i = 0; i < PART_OUTPUTS; i++)
        source_close(&part->outputs[i].source);
    state_read_close(part->state);
    part->state = NULL;
    buffer_release(&part->line);
}
