#include "told.h"

#include "calc/json.h"
#include "calc/scan.h"

static bool is_cursor(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '.' || c == '-' || c == '_'))
            return false;
    }
    return len > 0;
}

static int set_cursor(struct told *told, const char *text, size_t len, struct error *error)
{
    told->cursor.len = 0;
    buffer_append(&told->cursor, text, len);
    return told->cursor.failed ? error_memory(error) : 0;
}

/* As calc-watch writes it. False says nothing about the line. */
static bool scan_told(const char *line, size_t len, struct outcome *outcome, const char **cursor,
                      size_t *cursor_len)
{
    struct scan scan = {outcome_scan(line, len, outcome), line + len};

    return scan.at && scan_literal(&scan, ",\"cursor\":\"") &&
           scan_string(&scan, cursor, cursor_len) && is_cursor(*cursor, *cursor_len) &&
           scan_literal(&scan, "}") && scan.at == scan.end;
}

static bool is_rejection(const struct json *object)
{
    static const char action[] = "CommandRejected";
    size_t len = 0;
    const char *text = json_text(json_get(object, "action"), &len);

    return text && len == sizeof action - 1 && memcmp(text, action, len) == 0;
}

/* Any spelling. A message doesn't know the cursor, and passes over it. */
static int parse(const struct json *object, const char *line, size_t len, struct told *told,
                 struct error *error)
{
    size_t cursor_len = 0;
    const char *cursor = json_text(json_get(object, "cursor"), &cursor_len);

    if ((is_rejection(object) ? rejection_parse(line, len, &told->outcome, error)
                              : event_parse(line, len, &told->outcome, error)) < 0)
        return -1;
    if (!cursor || !is_cursor(cursor, cursor_len))
        return error_set(error, EX_DATAERR, "there is no cursor, as calc-watch has it");
    return set_cursor(told, cursor, cursor_len, error);
}

/* What SQL has no room for: its largest integer is signed. */
static int check(const struct outcome *outcome, struct error *error)
{
    if (outcome->reason != REASON_MALFORMED && outcome->version > INT64_MAX)
        return error_set(error, EX_DATAERR, "version is larger than a bigint");
    return 0;
}

int told_parse(const char *line, size_t len, struct told *told, struct error *error)
{
    const char *cursor;
    struct json *object;
    size_t cursor_len;
    int result;

    if (scan_told(line, len, &told->outcome, &cursor, &cursor_len))
        return check(&told->outcome, error) < 0 ? -1 : set_cursor(told, cursor, cursor_len, error);
    object = json_parse_object(line, len, error);
    if (!object)
        return -1;
    result = parse(object, line, len, told, error);
    json_free(object);
    return result < 0 ? -1 : check(&told->outcome, error);
}

void told_release(struct told *told)
{
    buffer_release(&told->cursor);
}
