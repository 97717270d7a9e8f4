/* A transaction, which may come again, in part or whole, before or after others of the same lines:
 *
 *   begin;
 *   insert into calc_cursor ...       first, so that of two clients one waits for the other here
 *   insert into calc_events ...       on conflict do nothing
 *   insert into calc_values ...       on conflict only what is newer
 *   insert into calc_rejections ...   on conflict do nothing
 *   commit;
 *
 * What a conflict is about is the id: another event with the version of one that is there is an
 * error, and ends the client. */
#include "batch.h"

enum { BATCH_BYTES = 1 << 20 };

/* What the batch's events make of a value. */
struct batch_value {
    struct id id;
    uint64_t version;
    double number;
    int64_t updated, created; /* or TIMESTAMP_NONE */
    struct actor owner;       /* as `created` only if the value was created in this batch */
};

void batch_init(struct batch *batch, enum dialect dialect)
{
    *batch = (struct batch){.dialect = dialect};
    table_init(&batch->values, sizeof(struct id), sizeof(struct batch_value));
}

void batch_release(struct batch *batch)
{
    buffer_release(&batch->events);
    buffer_release(&batch->rejections);
    buffer_release(&batch->cursor);
    table_release(&batch->values);
}

/* --- rows --- */

static void put_actor(enum dialect dialect, const struct actor *actor, struct buffer *out)
{
    sql_text(dialect, actor->text, actor->len, out);
}

static void put_event(enum dialect dialect, const struct outcome *event, struct buffer *out)
{
    sql_row(out);
    sql_id(&event->id, out);
    sql_id(&event->parent, out);
    sql_word(outcome_action(event), out);
    sql_id(&event->value_id, out);
    sql_word(action_operation(event->action), out);
    sql_number(dialect, event->value, out);
    sql_count(event->version, out);
    sql_number(dialect, event->result, out);
    sql_time(event->timestamp, out);
    put_actor(dialect, &event->actor, out);
    sql_row_end(out);
}

static void put_rejection(enum dialect dialect, const struct outcome *rejection, struct buffer *out)
{
    sql_row(out);
    sql_id(&rejection->id, out);
    sql_id(&rejection->parent, out);
    sql_id(&rejection->value_id, out);
    sql_word(action_operation(rejection->action), out);
    sql_number(dialect, rejection->value, out);
    sql_word(reason_text(rejection->reason), out);
    sql_count(rejection->version, out);
    sql_word(NULL, out);
    sql_time(rejection->timestamp, out);
    put_actor(dialect, &rejection->actor, out);
    sql_row_end(out);
}

/* Nothing is known of it but where it stood. */
static void put_malformed(enum dialect dialect, const struct outcome *rejection, struct buffer *out)
{
    sql_row(out);
    sql_id(&rejection->id, out);
    for (int i = 0; i < 4; i++)
        sql_word(NULL, out);
    sql_word(reason_text(rejection->reason), out);
    sql_word(NULL, out);
    sql_text(dialect, rejection->position, strlen(rejection->position), out);
    sql_word(NULL, out);
    sql_word(NULL, out);
    sql_row_end(out);
}

static void put_value(enum dialect dialect, const struct batch_value *value, struct buffer *out)
{
    sql_row(out);
    sql_id(&value->id, out);
    sql_number(dialect, value->number, out);
    sql_count(value->version, out);
    put_actor(dialect, &value->owner, out);
    sql_time(value->created, out);
    sql_time(value->updated, out);
    sql_row_end(out);
}

/* --- gathering --- */

/* The newest version wins, in whatever order they come. */
static int fold(struct batch *batch, const struct outcome *event, struct error *error)
{
    bool created;
    struct batch_value *value = table_insert(&batch->values, &event->value_id, &created);

    if (!value)
        return error_memory(error);
    if (created)
        value->created = value->updated = TIMESTAMP_NONE;
    if (event->action == ACTION_CREATE) {
        value->owner = event->actor;
        value->created = event->timestamp;
    }
    if (event->version > value->version) {
        value->version = event->version;
        value->number = event->result;
        value->updated = event->timestamp;
    }
    return 0;
}

int batch_add(struct batch *batch, const struct told *told, struct error *error)
{
    const struct outcome *outcome = &told->outcome;

    if (outcome->reason == REASON_NONE) {
        put_event(batch->dialect, outcome, &batch->events);
        if (fold(batch, outcome, error) < 0)
            return -1;
    } else if (outcome->reason == REASON_MALFORMED) {
        put_malformed(batch->dialect, outcome, &batch->rejections);
    } else {
        put_rejection(batch->dialect, outcome, &batch->rejections);
    }
    if (!batch->stays) {
        batch->cursor.len = 0;
        buffer_append(&batch->cursor, told->cursor.data, told->cursor.len);
    }
    return 0;
}

void batch_leave_out(struct batch *batch)
{
    batch->stays = true;
}

bool batch_is_full(const struct batch *batch)
{
    return batch->events.len + batch->rejections.len >= BATCH_BYTES;
}

/* --- statements --- */

/* Rows between an insert's two ends. */
static void put_insert(const char *head, const struct buffer *rows, const char *tail,
                       struct buffer *out)
{
    if (!rows->len)
        return;
    buffer_append_text(out, head);
    buffer_append(out, rows->data, rows->len - 2); /* the last comma */
    buffer_append_text(out, tail);
}

static void put_values(const struct batch *batch, struct buffer *out)
{
    if (!batch->values.count)
        return;
    buffer_append_text(
        out,
        "insert into calc_values (value_id, value, version, owner, created, updated) values\n");
    for (uint32_t i = 0; i < batch->values.count; i++)
        put_value(batch->dialect, table_at(&batch->values, i), out);
    if (!out->failed)
        out->len -= 2;
    /* who began late and goes over everything again learns who created the values */
    buffer_append_text(out, "\non conflict (value_id) do update set\n"
                            "value = case when excluded.version > calc_values.version"
                            " then excluded.value else calc_values.value end,\n"
                            "updated = case when excluded.version > calc_values.version"
                            " then excluded.updated else calc_values.updated end,\n"
                            "version = case when excluded.version > calc_values.version"
                            " then excluded.version else calc_values.version end,\n"
                            "owner = coalesce(calc_values.owner, excluded.owner),\n"
                            "created = coalesce(calc_values.created, excluded.created)\n"
                            "where excluded.version > calc_values.version\n"
                            "or calc_values.owner is null and excluded.owner is not null\n"
                            "or calc_values.created is null and excluded.created is not null;\n");
}

static void put_cursor(const struct buffer *cursor, struct buffer *out)
{
    if (!cursor->len)
        return;
    buffer_append_text(out, "insert into calc_cursor (id, cursor) values (1, '");
    buffer_append(out, cursor->data, cursor->len);
    buffer_append_text(out, "')\non conflict (id) do update set cursor = excluded.cursor;\n");
}

int batch_write(struct batch *batch, struct buffer *out, struct error *error)
{
    if (!batch->events.len && !batch->rejections.len)
        return 0;
    if (!batch->opened)
        buffer_append_text(out, sql_opening(batch->dialect));
    batch->opened = true;
    buffer_append_text(out, sql_begin(batch->dialect));
    put_cursor(&batch->cursor, out);
    put_insert("insert into calc_events (id, parent, action, value_id, operation, value, version,"
               " result, timestamp, actor) values\n",
               &batch->events, "\non conflict (id) do nothing;\n", out);
    put_values(batch, out);
    put_insert("insert into calc_rejections (id, parent, value_id, operation, value, reason,"
               " version, position, timestamp, actor) values\n",
               &batch->rejections, "\non conflict (id) do nothing;\n", out);
    buffer_append_text(out, "commit;\n");
    if (batch->events.failed || batch->rejections.failed || batch->cursor.failed || out->failed)
        return error_memory(error);
    batch->events.len = batch->rejections.len = batch->cursor.len = 0;
    table_truncate(&batch->values, 0);
    return 0;
}
