/* What the projector does to a view: events and rejections, each once. */
#include "base/bytes.h"
#include "calc/projection.h"
#include "store/view_batch.h"

static int put_sequence(struct view_txn *txn, int table, const unsigned char *key, size_t len,
                        uint64_t sequence, struct error *error)
{
    unsigned char bytes[8];

    put_u64(bytes, sequence);
    return db_insert(txn->db, table, key, len, bytes, sizeof bytes, error);
}

/* What became of a command. 1, 0, -1. */
static int find_outcome(struct view_txn *txn, const struct outcome *of, struct view_record *there,
                        struct error *error)
{
    uint64_t sequence, previous;
    int result = view_batch_get_outcome(txn, &of->parent, &of->value_id, &sequence, error);

    if (result <= 0)
        return result;
    result = view_read_record(txn, sequence, there, &previous, error);
    return result == 0 ? view_damaged("outcomes", error) : result;
}

/* Nearly always its command's outcome tells; the history does where a command has had several. */
static int known_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    struct view_record there;
    struct outcome other;
    char id[ID_TEXT];
    int result = find_outcome(txn, event, &there, error);

    if (result < 0)
        return -1;
    if (result > 0 && there.log == VIEW_EVENTS && there.outcome.version == event->version &&
        id_equal(&there.outcome.id, &event->id))
        return 0;
    result = view_get_event(txn, &event->value_id, event->version, &other, error);
    if (result < 0)
        return -1;
    if (result > 0 && id_equal(&other.id, &event->id))
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

/* The event's command may have been applied before, but not rejected: only a value that has seen
 * rejections needs a look. 0 if it wasn't. */
static int check_not_rejected(struct view_txn *txn, const struct value_entry *value,
                              const struct outcome *event, struct error *error)
{
    struct view_record there;
    int result = value->rejected ? find_outcome(txn, event, &there, error) : 0;

    if (result > 0 && there.log == VIEW_REJECTIONS)
        return other_outcome(&event->parent, error);
    return result < 0 ? -1 : 0;
}

static int write_event(struct view_txn *txn, struct value_entry *value, const struct outcome *event,
                       int32_t partition, uint64_t offset, struct error *error)
{
    unsigned char key[HISTORY_KEY];
    uint64_t sequence;

    if (view_batch_change(txn, value, error) < 0 ||
        view_batch_append(txn, event, partition, offset, value->latest, &sequence, error) < 0)
        return -1;
    if (event->version / VIEW_HISTORY_PAGE != value->value.version / VIEW_HISTORY_PAGE) {
        view_history_key(&event->value_id, event->version, key);
        if (put_sequence(txn, VIEW_HISTORY, key, sizeof key, sequence, error) < 0)
            return -1;
    }
    calculator_evolve(&value->value, event);
    value->timestamp = event->timestamp;
    value->latest = sequence;
    value->any_next = false;
    return view_batch_set_outcome(txn, &event->parent, &event->value_id, sequence, error);
}

/* Every check comes before the first change: on a bad record's error nothing of it is applied. */
int view_apply_event(struct view_txn *txn, const struct outcome *event, int32_t partition,
                     uint64_t offset, struct error *error)
{
    struct value_entry *value = view_batch_value(txn, &event->value_id, error);
    struct allowance allowance = {.unplaced = &txn->unplaced};
    uint64_t before = txn->unplaced;
    char id[ID_TEXT];

    if (!value)
        return -1;
    allowance.any_next = value->any_next;
    switch (projection_judge(value->value.version, event->version, allowance)) {
    case PROJECTION_KNOWN:
        return known_event(txn, event, error);
    case PROJECTION_GAP:
        id_write(&event->value_id, id);
        return error_set(error, EX_DATAERR,
                         "a gap: version %llu of value %.36s comes after version %llu",
                         (unsigned long long)event->version, id,
                         (unsigned long long)value->value.version);
    case PROJECTION_APPLY:
        break;
    }
    if (check_not_rejected(txn, value, event, error) < 0) {
        txn->unplaced = before;
        return -1;
    }
    txn->unplaced_changed |= txn->unplaced != before;
    return write_event(txn, value, event, partition, offset, error) < 0 ? -1 : 1;
}

/* A rejection that is no command's outcome is known by its own id. */
static int apply_unbound(struct view_txn *txn, const struct outcome *rejection, int32_t partition,
                         uint64_t offset, struct error *error)
{
    uint64_t sequence;
    int result = view_read_sequence(txn, VIEW_OUTCOMES, rejection->id.bytes,
                                    sizeof rejection->id.bytes, &sequence, error);

    if (result != 0)
        return result < 0 ? -1 : 0;
    if (view_batch_append(txn, rejection, partition, offset, 0, &sequence, error) < 0 ||
        put_sequence(txn, VIEW_OUTCOMES, rejection->id.bytes, sizeof rejection->id.bytes, sequence,
                     error) < 0)
        return -1;
    return 1;
}

int view_apply_rejection(struct view_txn *txn, const struct outcome *rejection, int32_t partition,
                         uint64_t offset, struct error *error)
{
    struct view_record there;
    struct value_entry *value;
    uint64_t sequence;
    int result;

    if (rejection->reason == REASON_MALFORMED || rejection->reason == REASON_MISPLACED ||
        rejection->reason == REASON_ID_REUSED)
        return apply_unbound(txn, rejection, partition, offset, error);
    result = find_outcome(txn, rejection, &there, error);
    if (result < 0)
        return -1;
    if (result > 0) {
        if (id_equal(&there.outcome.id, &rejection->id) &&
            there.outcome.reason == rejection->reason &&
            there.outcome.version == rejection->version)
            return 0;
        return other_outcome(&rejection->parent, error);
    }
    value = view_batch_value(txn, &rejection->value_id, error);
    if (!value || (!value->rejected && view_batch_change(txn, value, error) < 0))
        return -1;
    value->rejected = true;
    if (view_batch_append(txn, rejection, partition, offset, 0, &sequence, error) < 0 ||
        view_batch_set_outcome(txn, &rejection->parent, &rejection->value_id, sequence, error) < 0)
        return -1;
    return 1;
}

int view_skip_event(struct view_txn *txn, const struct outcome *event, struct error *error)
{
    struct value_entry *value;

    if (!event) {
        txn->unplaced++;
        txn->unplaced_changed = true;
        return 0;
    }
    value = view_batch_value(txn, &event->value_id, error);
    if (!value || view_batch_change(txn, value, error) < 0)
        return -1;
    value->any_next = true;
    return 0;
}
