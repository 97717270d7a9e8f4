/* What the projector does to a view: events and rejections, each once. */
#include "calc/projection.h"
#include "store/view_records.h"

static int known_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    char id[ID_TEXT];
    struct outcome there;
    int result = view_read_event(txn, &event->value_id, event->version, &there, error);

    if (result < 0)
        return -1;
    if (result > 0 && id_equal(&there.id, &event->id))
        return 0;
    id_write(&event->value_id, id);
    return error_set(error, EX_DATAERR,
                     "a fork: version %llu of value %.36s is there already, by another event",
                     (unsigned long long)event->version, id);
}

static int other_outcome(const struct id *command_id, struct error *error)
{
    char id[ID_TEXT];

    id_write(command_id, id);
    return error_set(error, EX_DATAERR, "a fork: command %.36s has another outcome already", id);
}

/* Every check comes before the first change: on a bad record's error nothing of it is applied. */
int view_apply_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    struct allowance allowance = {.unplaced = &txn->unplaced};
    struct view_value value;
    uint64_t before = txn->unplaced;
    enum reason reason = REASON_NONE;
    char id[ID_TEXT];
    int known;

    if (view_read_value(txn, &event->value_id, &value, &allowance.any_next, error) < 0)
        return -1;
    switch (projection_judge(value.value.version, event->version, allowance)) {
    case PROJECTION_KNOWN:
        return known_event(txn, event, error);
    case PROJECTION_GAP:
        id_write(&event->value_id, id);
        return error_set(error, EX_DATAERR,
                         "a gap: version %llu of value %.36s comes after version %llu",
                         (unsigned long long)event->version, id,
                         (unsigned long long)value.value.version);
    case PROJECTION_APPLY:
        break;
    }
    known = view_read_reason(txn, &event->value_id, &event->parent, &reason, error);
    if (known < 0 || reason != REASON_NONE) {
        txn->unplaced = before;
        return known < 0 ? -1 : other_outcome(&event->parent, error);
    }
    txn->unplaced_changed |= txn->unplaced != before;
    calculator_evolve(&value.value, event);
    value.timestamp = event->timestamp;
    if (view_write_value(txn, &value, false, error) < 0 || view_write_event(txn, event, error) < 0 ||
        (!known && view_write_applied(txn, event, error) < 0)) /* the first outcome stands */
        return -1;
    return 1;
}

int view_apply_rejection(struct view_txn *txn, const struct outcome *rejection,
                         struct error *error)
{
    struct outcome there;
    int result;

    if (rejection->reason == REASON_MALFORMED || rejection->reason == REASON_MISPLACED ||
        rejection->reason == REASON_ID_REUSED)
        return 0;
    result =
        view_get_outcome(txn, &rejection->value_id, &rejection->parent, &there, error);
    if (result < 0)
        return -1;
    if (result == 0)
        return view_write_rejected(txn, rejection, error) < 0 ? -1 : 1;
    if (id_equal(&there.id, &rejection->id) && there.reason == rejection->reason &&
        there.version == rejection->version)
        return 0;
    return other_outcome(&rejection->parent, error);
}

int view_skip_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    struct view_value value;
    bool any_next;

    if (!event) {
        txn->unplaced++;
        txn->unplaced_changed = true;
        return 0;
    }
    if (view_read_value(txn, &event->value_id, &value, &any_next, error) < 0)
        return -1;
    return view_write_value(txn, &value, true, error);
}
