#include "tool/wait.h"

#include "base/clock.h"
#include "tool/stats.h"

static int look(const char *folder, struct view **view, const struct id *value_id,
                const struct id *command_id, struct outcome *outcome, struct error *error)
{
    struct view_txn *txn;
    int result;

    if (view_refresh(folder, view, error) < 0)
        return error->status == EX_TEMPFAIL ? 0 : -1;
    if (view_snapshot(*view, &txn, error) < 0)
        return -1;
    result = view_get_outcome(txn, value_id, command_id, outcome, error);
    view_abort(txn);
    return result;
}

int wait_for_outcome(const char *folder, struct view **view, const struct id *value_id,
                     const struct id *command_id, int64_t deadline_ms, struct outcome *outcome,
                     struct error *error)
{
    struct view_waiter waiter;
    int result = look(folder, view, value_id, command_id, outcome, error);

    if (result != 0 || clock_ms() >= deadline_ms)
        return result;
    view_waiter_open(&waiter, folder);
    for (;;) {
        int64_t left = deadline_ms - clock_ms();
        result = look(folder, view, value_id, command_id, outcome, error);
        if (result != 0 || left <= 0)
            break;
        stats_tick();
        view_wait(&waiter, left);
    }
    view_waiter_close(&waiter);
    return result;
}
