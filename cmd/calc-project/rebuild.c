#include "rebuild.h"

#include <poll.h>

#include "base/clock.h"
#include "base/diag.h"
#include "tool/stop.h"

enum {
    CLOSE_MS = 1000, /* a copy is close to the view in use if it catches up within this time */
    ASK_MS = 50,     /* between looks at what became of an offer */
};

static int interrupted(struct error *error)
{
    return error_set(error, EX_TEMPFAIL,
                     "the rebuild was interrupted; the view in use is as it was");
}

/* --- catching up --- */

/* Of a log that this projector wasn't told nothing may be in the view in use that the copy lacks. */
static int check_untold(const struct projector *projector, enum view_log log,
                        struct view_txn *in_use, struct error *error)
{
    struct view_position theirs, ours;
    struct view_txn *txn;
    int32_t count;
    int result = view_get_partitions(in_use, log, &count, error);

    if (result < 0 || count == 0)
        return result;
    if (view_snapshot(projector->view, &txn, error) < 0)
        return -1;
    for (int32_t i = 0; result == 0 && i < count; i++) {
        result = view_get_position(in_use, log, i, &theirs, error);
        if (result == 0)
            result = view_get_position(txn, log, i, &ours, error);
        if (result == 0 && theirs.begun && (!ours.begun || ours.next < theirs.next))
            result = error_set(error, EX_USAGE,
                               "the view in use was folded from rejections, too: name them with -r");
    }
    view_abort(txn);
    return result;
}

static int mark(struct projector *projector, struct view *in_use, struct error *error)
{
    struct view_txn *txn = NULL;
    int result = in_use ? view_snapshot(in_use, &txn, error) : 0;

    for (int i = 0; result == 0 && i < VIEW_LOGS; i++) {
        struct source *source = &projector->sources[i];
        if (source->reader)
            result = source_mark(source, txn, error);
        else if (txn)
            result = check_untold(projector, (enum view_log)i, txn, error);
    }
    view_abort(txn);
    return result;
}

/* Folds until the copy has everything that is in the view in use now or, without one, in the logs. 1 if
 * a stop was asked for before. */
static int catch_up(struct projector *projector, struct view *in_use, struct error *error)
{
    bool more, ended;
    int reached = mark(projector, in_use, error);

    while (reached == 0) {
        if (projector_step(projector, &more, &ended, error) < 0)
            return -1;
        if (stop_asked())
            return 1;
        reached = 1;
        for (int i = 0; reached > 0 && i < VIEW_LOGS; i++)
            if (projector->sources[i].reader)
                reached = source_reached(&projector->sources[i], error);
        if (reached == 0 && !more)
            projector_wait(projector);
    }
    return reached < 0 ? -1 : 0;
}

/* The view in use, to compare with; NULL if it can't be read: what no reader can see, none can miss. */
static int look_at(const char *folder, struct view **in_use, struct error *error)
{
    if (view_refresh(folder, in_use, error) == 0)
        return 0;
    if (error->status != EX_DATAERR && error->status != EX_TEMPFAIL)
        return -1;
    diag_info("%s", error->text);
    return 0;
}

/* Catches up with the view in use as it is now. */
static int catch_up_once(struct projector *projector, struct error *error)
{
    struct view *in_use = NULL;
    int result = look_at(projector->folder, &in_use, error);

    if (result == 0)
        result = catch_up(projector, in_use, error);
    view_close(in_use);
    if (result == 0)
        result = view_settle(projector->view, error);
    return result > 0 ? interrupted(error) : result;
}

/* Catches up while that view goes on, until the copy is close behind it, or doesn't come closer. */
static int catch_up_closely(struct projector *projector, struct error *error)
{
    int64_t took = INT64_MAX, before;

    do {
        int64_t begun = clock_ms();
        if (catch_up_once(projector, error) < 0)
            return -1;
        before = took;
        took = clock_ms() - begun;
    } while (took >= CLOSE_MS && took < before);
    return 0;
}

/* --- rebuilding --- */

/* Opens the logs as they would be without --rebuild, to find what is wrong with them. Then all that have
 * an end are followed: the view in use does, too. */
static int open_logs(struct projector *projector, struct error *error)
{
    if (projector_open_logs(projector, error) < 0)
        return -1;
    for (int i = 0; i < VIEW_LOGS; i++) {
        struct source *source = &projector->sources[i];
        const char *name = projector->names[i];
        if (name && (reader_is_file(source->reader) || projector_is_topic(name))) {
            source_close(source);
            *source = (struct source){.log = (enum view_log)i, .timestamp = TIMESTAMP_NONE};
            if (source_open(source, name, true, projector->view, error) < 0)
                return -1;
        }
        source->quiet = true; /* the lag is that of the view in use */
    }
    return 0;
}

/* The projector that runs is asked to take the copy over; or, if it ends before, we have its place. */
static int offer(struct projector *projector, struct view **place, struct error *error)
{
    struct pollfd stop = {.fd = stop_fd(), .events = POLLIN};

    projector_close_logs(projector);
    if (view_offer(projector->view, error) < 0)
        return -1;
    for (;;) {
        bool claimed = view_claim(projector->folder, place, error) == 0;
        enum view_offer answer = view_offered(projector->view);
        if (!claimed && error->status != EX_TEMPFAIL)
            return -1;
        if (answer == VIEW_TAKEN)
            return 0;
        if (claimed) {
            if (view_withdraw(projector->view, error) < 0 || open_logs(projector, error) < 0)
                return -1;
            return 1;
        }
        if (answer == VIEW_REFUSED)
            return error_set(error, EX_TEMPFAIL,
                             "the calc-project that runs on %s didn't take the new copy over, and "
                             "says why; the view in use is as it was",
                             projector->folder);
        if (stop_asked())
            return interrupted(error);
        poll(&stop, 1, ASK_MS);
    }
}

/* With the projector's place: nobody else changes the view in use now. */
static int switch_to_copy(struct projector *projector, struct view **place, struct error *error)
{
    bool follow = false;

    if (catch_up_once(projector, error) < 0 || view_switch(*place, projector->view, error) < 0)
        return -1;
    *place = NULL;
    projector->rebuild = false;
    for (int i = 0; i < VIEW_LOGS; i++) {
        projector->sources[i].quiet = false;
        if (projector->names[i])
            follow |= projector_is_topic(projector->names[i]) ? !projector->end : projector->follow;
    }
    if (follow)
        return 1;
    return catch_up(projector, NULL, error) < 0 ? -1 : 0;
}

/* 1 with the projector's place, 0 if the one that has it has taken the copy over. */
static int find_place(struct projector *projector, struct view **place, struct error *error)
{
    if (*place || view_claim(projector->folder, place, error) == 0)
        return 1;
    return error->status == EX_TEMPFAIL ? offer(projector, place, error) : -1;
}

int rebuild(struct projector *projector, struct error *error)
{
    struct view *place = projector->view;
    int result;

    projector->view = NULL;
    if (place)
        diag_warn("the view in %s has an older format: it is rebuilt first", projector->folder);
    result = view_rebuild(projector->folder, &projector->view, error);
    if (result == 0)
        result = open_logs(projector, error);
    if (result == 0)
        result = catch_up_closely(projector, error);
    if (result == 0)
        result = find_place(projector, &place, error);
    if (result > 0)
        result = switch_to_copy(projector, &place, error);
    view_close(place);
    if (result < 0) {
        view_abort(projector->txn);
        projector->txn = NULL;
        projector_close_logs(projector);
        view_discard(projector->view);
        projector->view = NULL;
    }
    return result;
}

/* --- taking over --- */

/* What was read of a pipe can't be read again. */
static bool can_reread(const struct projector *projector)
{
    for (int i = 0; i < VIEW_LOGS; i++)
        if (projector->names[i] && !projector_is_topic(projector->names[i]) &&
            !reader_is_file(projector->sources[i].reader))
            return false;
    return true;
}

/* Folds the copy up to where the view in use is, by logs of its own. 1 if a stop was asked for before. */
static int bring_up(struct projector *next, const struct projector *projector, struct view *copy,
                    struct error *error)
{
    *next = *projector;
    next->view = copy;
    for (int i = 0; i < VIEW_LOGS; i++)
        next->sources[i] = (struct source){0};
    if (projector_open_logs(next, error) < 0)
        return -1;
    return catch_up(next, projector->view, error);
}

/* The copy's projector in place of the one of the view in use. */
static int change_over(struct projector *projector, struct projector *next, struct error *error)
{
    if (view_switch(projector->view, next->view, error) < 0) {
        projector_close_logs(next);
        view_close(next->view);
        return -1;
    }
    projector_close_logs(projector);
    *projector = *next;
    return 1;
}

int rebuild_take_over(struct projector *projector, struct error *error)
{
    struct projector next;
    struct view *copy = NULL;
    int result;

    if (!can_reread(projector))
        return 0;
    result = view_take_offer(projector->view, &copy, error);
    if (result == 0)
        return 0;
    if (result > 0) {
        result = bring_up(&next, projector, copy, error);
        if (result == 0)
            return change_over(projector, &next, error);
        view_abort(next.txn);
        projector_close_logs(&next);
        if (stop_asked())
            view_close(copy); /* whoever is the projector next may take it */
        else
            view_refuse(projector->view, copy);
    }
    if (!stop_asked())
        diag_warn("the new copy of the view isn't taken over: %s", error->text);
    return 0;
}
