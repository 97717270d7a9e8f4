#include "calc/json.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What jansson doesn't refuse by itself: nesting deeper than ours, and control characters outside
 * strings. On a text that is no JSON the answer doesn't matter, jansson refuses that. */
static bool within_limits(const char *text, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

/* jansson reports memory that ran out in its parser as some error of the text, or not at all: a member
 * is missing then. A wrong "malformed" would be for ever, so its allocations are watched. */
static _Thread_local bool out_of_memory;

static void *watched_malloc(size_t size)
{
    void *memory = malloc(size);

    out_of_memory |= !memory;
    return memory;
}

static void watch_memory(void)
{
    json_set_alloc_funcs(watched_malloc, free);
}

struct json *json_parse_object(const char *text, size_t len, struct error *error)
{
    int line;

    return json_parse_file(text, len, &line, error);
}

struct json *json_parse_file(const char *text, size_t len, int *line, struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_error_t reason = {0};
    json_t *root;

    *line = 1;
    if (memchr(text, '\0', len)) {
        error_set(error, EX_DATAERR, "it has a NUL byte");
        return NULL;
    }
    if (!within_limits(text, len)) {
        error_set(error, EX_DATAERR, "it is nested deeper than %d", JSON_DEPTH);
        return NULL;
    }
    pthread_once(&once, watch_memory);
    out_of_memory = false;
    /* whole numbers as doubles: of any length, and -0 keeps its sign */
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &reason);
    if (out_of_memory) { /* even if there is a root: it may lack members */
        json_decref(root);
        error_memory(error);
        return NULL;
    }
    if (!root) {
        *line = reason.line > 0 ? reason.line : 1;
        error_set(error, EX_DATAERR, "not JSON: %s (column %d)", reason.text, reason.column);
        return NULL;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        error_set(error, EX_DATAERR, "not a JSON object");
        return NULL;
    }
    return (struct json *)root;
}

void json_free(struct json *object)
{
    json_decref((json_t *)object);
}

const struct json *json_get(const struct json *object, const char *key)
{
    json_t *value = json_object_get((const json_t *)object, key);

    return json_is_null(value) ? NULL : (const struct json *)value;
}

bool json_has(const struct json *object, const char *key)
{
    return json_object_get((const json_t *)object, key) != NULL;
}

const char *json_text(const struct json *value, size_t *len)
{
    if (!value || json_typeof((const json_t *)value) != JSON_STRING)
        return NULL;
    *len = json_string_length((const json_t *)value);
    return json_string_value((const json_t *)value);
}

bool json_number(const struct json *value, double *number)
{
    if (!value || json_typeof((const json_t *)value) != JSON_REAL)
        return false;
    *number = json_real_value((const json_t *)value);
    return true;
}

bool json_truth(const struct json *value, bool *truth)
{
    *truth = json_is_true((const json_t *)value);
    return json_is_boolean((const json_t *)value);
}

const char *json_member(const struct json *object, size_t index, const struct json **value)
{
    void *at = json_object_iter((json_t *)(uintptr_t)object); /* which changes nothing of it */

    while (at && index--)
        at = json_object_iter_next((json_t *)(uintptr_t)object, at);
    if (!at)
        return NULL;
    *value = (const struct json *)json_object_iter_value(at);
    return json_object_iter_key(at);
}

bool json_list(const struct json *value, size_t *count)
{
    *count = json_array_size((const json_t *)value);
    return json_is_array((const json_t *)value);
}

const struct json *json_element(const struct json *list, size_t index)
{
    return (const struct json *)json_array_get((const json_t *)list, index);
}

/* Where a string token ends, behind its closing quote. */
static const char *string_end(const char *at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at + 1;
}

/* Whether a string token, which may be escaped, spells a key of plain letters. */
static bool spells(const char *token, const char *end, const char *key)
{
    for (token++, end--; token < end; key++) {
        unsigned code = (unsigned char)*token;
        if (!*key)
            return false;
        if (code != '\\') {
            token++;
        } else if (token[1] != 'u') {
            return false; /* the short escapes stand for no letter */
        } else {
            char hex[5] = {token[2], token[3], token[4], token[5]};
            code = (unsigned)strtoul(hex, NULL, 16);
            token += 6;
        }
        if (code != (unsigned char)*key)
            return false;
    }
    return !*key;
}

static bool read_count(const char *at, const char *end, uint64_t *count)
{
    const char *first = at;

    for (*count = 0; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        *count = *count > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *count * 10 + digit;
    }
    return at > first && (at == end || !strchr(".eE", *at));
}

bool json_count(const char *text, size_t len, const char *key, uint64_t *count)
{
    const char *at = text, *end = text + len;
    bool found = false; /* the token at hand is the value behind our key */
    int depth = 0;

    while (at < end) {
        if (strchr(" \t\r\n:", *at)) {
            at++;
        } else if (found) {
            return read_count(at, end, count);
        } else if (*at == '"') {
            const char *token = at, *colon;
            at = colon = string_end(at);
            while (strchr(" \t\r\n", *colon))
                colon++;
            found = depth == 1 && *colon == ':' && spells(token, at, key);
        } else {
            depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
            at++;
        }
    }
    return false;
}

int json_line(const char *text, size_t len, size_t member, size_t element)
{
    size_t members = 0, elements = 0; /* before the place at hand: as many as there are commas */
    int line = 1, depth = 0, wanted = element == JSON_MEMBER ? 1 : 2;

    for (const char *at = text, *end = text + len; at < end;) {
        bool closes = *at == '}' || *at == ']';
        if (!closes && !strchr(" \t\r\n,:", *at) && depth == wanted && members == member &&
            (wanted == 1 || elements == element))
            break;
        line += *at == '\n';
        members += *at == ',' && depth == 1;
        elements += *at == ',' && depth == 2 && members == member;
        depth += (*at == '{' || *at == '[') - closes;
        at = *at == '"' ? string_end(at) : at + 1;
    }
    return line;
}
