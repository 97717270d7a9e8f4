/* A cursor's text:
 *
 *   1.DIGEST.PLACES.PLACES.    the format, the digest, places in events, places in rejections; the
 *                              dot at the end tells that nothing was cut off
 *   DIGEST                     16 hexadecimal digits: the first 8 bytes of the UUIDv5 of, for each
 *                              place, log:1 partition:4 first_digest:16 (numbers big-endian)
 *   PLACES                     PARTITION-LAST, joined by "_", ordered by partition; decimal numbers
 *
 * A partition of which nothing was read isn't named. When any of it changes, the format goes up, and a
 * cursor of another format is refused: subscribers begin anew. */
#include "store/view_cursor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "calc/message.h"
#include "store/view_records.h"

void view_cursor_release(struct view_cursor *cursor)
{
    for (int log = 0; log < VIEW_LOGS; log++)
        free(cursor->logs[log].places);
    *cursor = (struct view_cursor){0};
}

/* --- places --- */

/* The partition's place, or NULL; *index is where it is or belongs. */
static struct view_place *find(const struct view_cursor *cursor, int log, int32_t partition,
                               int32_t *index)
{
    struct view_place *places = cursor->logs[log].places;
    int32_t low = 0, high = cursor->logs[log].count;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (places[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return low < cursor->logs[log].count && places[low].partition == partition ? places + low
                                                                               : NULL;
}

/* Makes a partition's place, zeroed, which isn't there yet. NULL when memory ran out. */
static struct view_place *insert(struct view_cursor *cursor, int log, int32_t partition,
                                 int32_t index)
{
    struct view_place *places = cursor->logs[log].places, *grown;
    int32_t count = cursor->logs[log].count, cap = cursor->logs[log].cap;

    if (count == cap) {
        cap = cap ? cap * 2 : 4;
        grown = realloc(places, (size_t)cap * sizeof *places);
        if (!grown)
            return NULL;
        places = grown;
        cursor->logs[log].places = places;
        cursor->logs[log].cap = cap;
    }
    memmove(places + index + 1, places + index, (size_t)(count - index) * sizeof *places);
    places[index] = (struct view_place){.partition = partition};
    cursor->logs[log].count++;
    cursor->digested = false;
    return places + index;
}

static bool is_behind(const struct view_cursor *cursor, const struct view_record *record)
{
    int32_t index;
    const struct view_place *place = find(cursor, (int)record->log, record->partition, &index);

    return !place || record->offset > place->last;
}

/* Moves the cursor to a place of which the view knows the first record. */
static int move(struct view_txn *txn, struct view_cursor *cursor, int log, int32_t partition,
                uint64_t last, struct error *error)
{
    struct view_position position;
    int32_t index;
    struct view_place *place = find(cursor, log, partition, &index);

    if (!place) {
        if (view_get_position(txn, (enum view_log)log, partition, &position, error) < 0)
            return -1;
        if (!position.begun)
            return view_damaged("meta", error);
        place = insert(cursor, log, partition, index);
        if (!place)
            return error_memory(error);
        place->first_digest = position.first_digest;
    }
    place->last = last;
    return 0;
}

/* The digest of all places; false when memory ran out. */
static bool digest(const struct view_cursor *cursor, uint64_t *sum)
{
    struct buffer name = {0};
    struct id id;

    for (int log = 0; log < VIEW_LOGS; log++)
        for (int32_t i = 0; i < cursor->logs[log].count; i++) {
            const struct view_place *place = &cursor->logs[log].places[i];
            uint32_t partition = htobe32((uint32_t)place->partition);
            unsigned char bytes[21] = {(unsigned char)log};
            put_bytes(put_bytes(bytes + 1, &partition, 4), place->first_digest.bytes, 16);
            buffer_append(&name, bytes, sizeof bytes);
        }
    if (!name.failed) {
        id_derive(&calc_namespace, name.data ? name.data : "", name.len, &id);
        get_u64(id.bytes, sum);
    }
    buffer_release(&name);
    return !name.failed;
}

/* --- the text --- */

void view_cursor_write(struct view_cursor *cursor, struct buffer *out)
{
    if (!cursor->digested && !digest(cursor, &cursor->digest)) {
        out->failed = true;
        return;
    }
    cursor->digested = true;
    buffer_printf(out, "1.%016" PRIx64, cursor->digest);
    for (int log = 0; log < VIEW_LOGS; log++) {
        buffer_append(out, ".", 1);
        for (int32_t i = 0; i < cursor->logs[log].count; i++)
            buffer_printf(out, "%s%" PRId32 "-%" PRIu64, i ? "_" : "",
                          cursor->logs[log].places[i].partition,
                          cursor->logs[log].places[i].last);
    }
    buffer_append(out, ".", 1);
}

/* A decimal number as it is written. False if there is none, or it is larger than `most`. */
static bool read_number(const char **at, const char *end, uint64_t most, uint64_t *number)
{
    const char *first = *at;

    for (*number = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (most - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *at > first && (*first != '0' || *at == first + 1);
}

static bool read_digest(const char *at, uint64_t *sum)
{
    *sum = 0;
    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *digit = at[i] ? strchr(digits, at[i]) : NULL;
        if (!digit)
            return false;
        *sum = *sum << 4 | (uint64_t)(digit - digits);
    }
    return true;
}

/* Reads the places of a log up to a dot or the end. 1, 0 if they are none, -1 when memory ran out. */
static int read_places(const char **at, const char *end, struct view_cursor *cursor, int log)
{
    uint64_t partition, last;
    int64_t before = -1;

    while (*at < end && **at != '.') {
        struct view_place *place;
        if (before >= 0 && *(*at)++ != '_')
            return 0;
        if (!read_number(at, end, INT32_MAX, &partition) || (int64_t)partition <= before ||
            *at == end || *(*at)++ != '-' || !read_number(at, end, UINT64_MAX, &last))
            return 0;
        before = (int64_t)partition;
        place = insert(cursor, log, (int32_t)partition, cursor->logs[log].count);
        if (!place)
            return -1;
        place->last = last;
    }
    return 1;
}

int view_cursor_read(const char *text, size_t len, struct view_cursor *cursor,
                     struct error *error)
{
    const char *at = text, *end = text + len;
    int result = 0;

    if (len >= 18 && memcmp(at, "1.", 2) == 0 && read_digest(at + 2, &cursor->digest)) {
        at += 18;
        result = 1;
    }
    for (int log = 0; result > 0 && log < VIEW_LOGS; log++)
        result = at == end || *at++ != '.' ? 0 : read_places(&at, end, cursor, log);
    cursor->digested = true; /* as it was written, for view_cursor_place() to compare */
    if (result > 0 && end - at == 1 && *at == '.')
        return 0;
    view_cursor_release(cursor);
    return result < 0 ? error_memory(error) : error_set(error, EX_DATAERR, "this is no cursor");
}

/* --- placing --- */

static int other_log(struct view_cursor *cursor, struct error *error)
{
    cursor->foreign = true;
    return error_set(error, EX_DATAERR, "the cursor is of another log");
}

/* Whether the cursor is of the logs that the view was folded from. Its digest is known if it was read. */
static int check_logs(struct view_txn *txn, struct view_cursor *cursor, struct error *error)
{
    struct view_position position;
    uint64_t found;

    for (int log = 0; log < VIEW_LOGS; log++)
        for (int32_t i = 0; i < cursor->logs[log].count; i++) {
            struct view_place *place = &cursor->logs[log].places[i];
            if (view_get_position(txn, (enum view_log)log, place->partition, &position, error) < 0)
                return -1;
            if (!position.begun)
                return error_set(error, EX_TEMPFAIL,
                                 "the view has nothing yet of what the cursor has read");
            if (!cursor->digested && !id_equal(&place->first_digest, &position.first_digest))
                return other_log(cursor, error);
            place->first_digest = position.first_digest;
        }
    if (!digest(cursor, &found))
        return error_memory(error);
    if (cursor->digested && found != cursor->digest)
        return other_log(cursor, error);
    return 0;
}

/* What of the order was looked through for a record behind the cursor. */
struct search {
    uint64_t first;   /* the first one that was found, or behind the last of all */
    uint64_t scanned; /* everything from here to the end of the stretch was looked at */
};

/* Looks through the rest of a stretch. */
static int scan(struct view_txn *txn, const struct view_cursor *cursor, uint64_t from,
                struct search *search, struct error *error)
{
    uint64_t end = (from / MARK_STRETCH + 1) * MARK_STRETCH, previous;
    struct view_record record;
    int result = 1;

    if (search->scanned / MARK_STRETCH == from / MARK_STRETCH && search->scanned < end)
        end = search->scanned;
    for (uint64_t sequence = from; sequence < end && sequence < search->first; sequence++) {
        result = view_read_record(txn, sequence, &record, &previous, error);
        if (result == 0)
            return view_damaged("order", error);
        if (result < 0)
            return -1;
        if (is_behind(cursor, &record))
            search->first = sequence;
    }
    if (from < end)
        search->scanned = from;
    return 0;
}

/* Looks for a partition's first record behind the cursor. */
static int search_partition(struct view_txn *txn, const struct view_cursor *cursor, int log,
                            int32_t partition, struct search *search, struct error *error)
{
    unsigned char key[MARK_KEY];
    const struct view_place *place;
    uint64_t sequence;
    int32_t index;
    int result;

    place = find(cursor, log, partition, &index);
    if (!place || place->last < UINT64_MAX) {
        view_mark_key((enum view_log)log, partition, place ? place->last + 1 : 0, key);
        result = view_seek_sequence(txn, VIEW_MARKS, key, sizeof key, 5, &sequence, error);
        if (result < 0)
            return -1;
        if (result > 0 && sequence < search->first)
            search->first = sequence;
    }
    if (!place)
        return 0;
    view_mark_key((enum view_log)log, partition, place->last, key);
    result = view_seek_last_sequence(txn, VIEW_MARKS, key, sizeof key, 5, &sequence, error);
    if (result > 0 && sequence < search->first)
        return scan(txn, cursor, sequence, search, error);
    return result < 0 ? -1 : 0;
}

/* The first partition of a log from *partition on that has marks. 1, 0 if there is none, -1. */
static int next_marked(struct view_txn *txn, int log, int32_t *partition,
                       unsigned char key[MARK_KEY], struct error *error)
{
    uint64_t sequence;
    uint32_t number;
    int result;

    view_mark_key((enum view_log)log, *partition, 0, key);
    result = view_seek_sequence(txn, VIEW_MARKS, key, MARK_KEY, 1, &sequence, error);
    if (result <= 0)
        return result;
    memcpy(&number, key + 1, sizeof number);
    number = be32toh(number);
    if (number >= INT32_MAX)
        return view_damaged("marks", error);
    *partition = (int32_t)number;
    return 1;
}

int view_cursor_place(struct view_txn *txn, struct view_cursor *cursor, struct error *error)
{
    unsigned char key[MARK_KEY];
    struct search search = {0};
    int32_t partition;
    int result;

    if (check_logs(txn, cursor, error) < 0 ||
        view_read_last_sequence(txn, &search.first, error) < 0)
        return -1;
    search.first++;
    search.scanned = UINT64_MAX;
    for (int log = 0; log < VIEW_LOGS; log++)
        for (partition = 0; (result = next_marked(txn, log, &partition, key, error)) != 0;
             partition++)
            if (result < 0 || search_partition(txn, cursor, log, partition, &search, error) < 0)
                return -1;
    cursor->sequence = search.first;
    return 0;
}

int view_cursor_place_at_end(struct view_txn *txn, struct view_cursor *cursor,
                             struct error *error)
{
    struct view_position position;
    int32_t count;

    for (int log = 0; log < VIEW_LOGS; log++) {
        if (view_get_partitions(txn, (enum view_log)log, &count, error) < 0)
            return -1;
        for (int32_t i = 0; i < count; i++) {
            if (view_get_position(txn, (enum view_log)log, i, &position, error) < 0)
                return -1;
            if (position.begun && move(txn, cursor, log, i, position.last, error) < 0)
                return -1;
        }
    }
    if (view_read_last_sequence(txn, &cursor->sequence, error) < 0)
        return -1;
    cursor->sequence++;
    return 0;
}

/* Moves the cursor over what a stretch has up to a record. */
static int pass_stretch(struct view_txn *txn, struct view_cursor *cursor, uint64_t stretch,
                        uint64_t last, struct error *error)
{
    uint64_t sequence = stretch ? stretch * MARK_STRETCH : 1, previous;
    struct view_record record;
    int result;

    for (; sequence <= last && sequence / MARK_STRETCH == stretch; sequence++) {
        result = view_read_record(txn, sequence, &record, &previous, error);
        if (result == 0)
            return view_damaged("order", error);
        if (result < 0 || (is_behind(cursor, &record) &&
                           move(txn, cursor, (int)record.log, record.partition, record.offset,
                                error) < 0))
            return -1;
    }
    return 0;
}

/* A partition's last mark that isn't behind a sequence. 1 with the mark's, 0 if there is none, -1. */
static int find_mark(struct view_txn *txn, int log, int32_t partition, uint64_t last,
                     uint64_t *sequence, struct error *error)
{
    uint64_t low = 0, high = UINT64_MAX, found;
    unsigned char key[MARK_KEY];
    int result;

    while (low < high) { /* between offsets: those of the marks grow as their sequences do */
        uint64_t middle = low + (high - low) / 2 + 1;
        view_mark_key((enum view_log)log, partition, middle, key);
        result = view_seek_last_sequence(txn, VIEW_MARKS, key, sizeof key, 5, &found, error);
        if (result < 0)
            return -1;
        if (result == 0 || found <= last)
            low = middle;
        else
            high = middle - 1;
    }
    view_mark_key((enum view_log)log, partition, low, key);
    result = view_seek_last_sequence(txn, VIEW_MARKS, key, sizeof key, 5, sequence, error);
    return result > 0 && *sequence > last ? 0 : result;
}

int view_cursor_place_behind(struct view_txn *txn, struct view_cursor *cursor, uint64_t last,
                             struct error *error)
{
    uint64_t sequence, passed = UINT64_MAX;
    unsigned char key[MARK_KEY];
    int32_t partition;
    int result;

    for (int log = 0; log < VIEW_LOGS; log++)
        for (partition = 0; (result = next_marked(txn, log, &partition, key, error)) != 0;
             partition++) {
            if (result > 0)
                result = find_mark(txn, log, partition, last, &sequence, error);
            if (result > 0 && sequence / MARK_STRETCH != passed) { /* with all partitions in it */
                passed = sequence / MARK_STRETCH;
                result = pass_stretch(txn, cursor, passed, last, error);
            }
            if (result < 0)
                return -1;
        }
    cursor->sequence = last + 1;
    return 0;
}

int view_cursor_next(struct view_txn *txn, struct view_cursor *cursor, struct view_record *record,
                     struct error *error)
{
    uint64_t previous;
    int result;

    do {
        result = view_read_record(txn, cursor->sequence, record, &previous, error);
        if (result <= 0)
            return result;
        cursor->sequence++;
    } while (!is_behind(cursor, record));
    return move(txn, cursor, (int)record->log, record->partition, record->offset, error) < 0 ? -1
                                                                                          : 1;
}

/* --- many cursors --- */

int view_cursor_move(struct view_cursor *cursor, const struct view_cursor *other,
                     enum view_log log, int32_t partition, uint64_t offset)
{
    int32_t index;
    struct view_place *place = find(cursor, (int)log, partition, &index);
    const struct view_place *known;

    if (!place) {
        place = insert(cursor, (int)log, partition, index);
        known = find(other, (int)log, partition, &index);
        if (!place || !known)
            return -1;
        place->first_digest = known->first_digest;
    }
    if (offset > place->last)
        place->last = offset;
    return 0;
}

int view_cursor_join(struct view_cursor *cursor, const struct view_cursor *other)
{
    for (int log = 0; log < VIEW_LOGS; log++)
        for (int32_t i = 0; i < other->logs[log].count; i++) {
            const struct view_place *place = &other->logs[log].places[i];
            if (view_cursor_move(cursor, other, (enum view_log)log, place->partition,
                                 place->last) < 0)
                return -1;
        }
    return 0;
}

bool view_cursor_has(const struct view_cursor *cursor, const struct view_record *record)
{
    return !is_behind(cursor, record);
}

bool view_cursor_covers(const struct view_cursor *outer, const struct view_cursor *inner)
{
    for (int log = 0; log < VIEW_LOGS; log++)
        for (int32_t i = 0; i < inner->logs[log].count; i++) {
            const struct view_place *place = &inner->logs[log].places[i], *there;
            int32_t index;
            there = find(outer, log, place->partition, &index);
            if (!there || there->last < place->last)
                return false;
        }
    return true;
}
