#include "headers.h"

#include <string.h>
#include <strings.h>

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* --- entity tags --- */

bool tag_is_star(const char *text)
{
    text = skip_space(text);
    return *text == '*' && !*skip_space(text + 1);
}

/* A version as we spell it in a tag. */
static bool read_version(const char *at, size_t len, uint64_t *version)
{
    *version = 0;
    if (!len || len > 19 || *at == '0')
        return false;
    for (; len; at++, len--) {
        if (*at < '0' || *at > '9')
            return false;
        *version = *version * 10 + (uint64_t)(*at - '0');
    }
    return true;
}

int tag_next(const char **at, struct tag *tag)
{
    const char *from = *at + strspn(*at, " \t,"), *end;

    *at = from;
    if (!*from)
        return 0;
    tag->weak = strncmp(from, "W/", 2) == 0;
    if (tag->weak)
        from += 2;
    if (*from++ != '"')
        return -1;
    for (end = from; *end != '"'; end++) {
        unsigned char c = (unsigned char)*end;
        if (c < 0x21 || c == 0x7f)
            return -1;
    }
    tag->text = from;
    tag->len = (size_t)(end - from);
    tag->ours = read_version(from, tag->len, &tag->version);
    *at = skip_space(end + 1);
    return **at && **at != ',' ? -1 : 1;
}

/* --- Prefer --- */

static bool is_token(char c)
{
    return c && strchr("!#$%&'*+-.^_`|~0123456789"
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c);
}

/* A piece of a header; of a quoted string without the quotes, and with its escapes. */
struct piece {
    const char *text;
    size_t len;
};

static bool read_token(const char **at, struct piece *piece)
{
    piece->text = *at;
    while (is_token(**at))
        ++*at;
    piece->len = (size_t)(*at - piece->text);
    return piece->len > 0;
}

static bool read_quoted(const char **at, struct piece *piece)
{
    if (**at != '"')
        return false;
    piece->text = ++*at;
    for (; **at && **at != '"'; ++*at)
        if (**at == '\\' && !(*at)[1])
            return false;
        else if (**at == '\\')
            ++*at;
    piece->len = (size_t)(*at - piece->text);
    if (!**at)
        return false;
    ++*at;
    return true;
}

/* `token`, or `token=word`; then value->text isn't NULL. */
static bool read_pair(const char **at, struct piece *name, struct piece *value)
{
    const char *behind;

    *value = (struct piece){0};
    if (!read_token(at, name))
        return false;
    behind = skip_space(*at);
    if (*behind != '=')
        return true;
    *at = skip_space(behind + 1);
    return read_quoted(at, value) || read_token(at, value);
}

/* A preference with its parameters, of which we know none, up to its comma. */
static bool read_preference(const char **at, struct piece *name, struct piece *value)
{
    struct piece parameter, ignored;

    if (!read_pair(at, name, value))
        return false;
    for (*at = skip_space(*at); **at == ';'; *at = skip_space(*at)) {
        *at = skip_space(*at + 1);
        if (**at && **at != ';' && **at != ',' && !read_pair(at, &parameter, &ignored))
            return false;
    }
    return !**at || **at == ',';
}

static void skip_preference(const char **at)
{
    struct piece ignored;

    while (**at && **at != ',')
        if (**at != '"')
            ++*at;
        else if (!read_quoted(at, &ignored))
            *at += strlen(*at);
}

static bool is(const struct piece *piece, const char *name)
{
    return piece->len == strlen(name) && strncasecmp(piece->text, name, piece->len) == 0;
}

static bool read_seconds(const struct piece *piece, int *seconds)
{
    *seconds = 0;
    for (size_t i = 0; i < piece->len; i++) {
        if (piece->text[i] < '0' || piece->text[i] > '9')
            return false;
        *seconds = *seconds * 10 + piece->text[i] - '0';
        if (*seconds > WAIT_MAX_SECONDS)
            *seconds = WAIT_MAX_SECONDS;
    }
    return piece->len > 0;
}

void prefer_read(const char *text, struct prefer *prefer)
{
    bool wait_seen = false;

    *prefer = (struct prefer){0};
    for (const char *at = text; at && *(at += strspn(at, " \t,"));) {
        const char *from = at;
        struct piece name, value;
        if (!read_preference(&at, &name, &value)) {
            at = from;
            skip_preference(&at);
        } else if (is(&name, "wait") && !wait_seen) {
            wait_seen = true;
            prefer->waits = read_seconds(&value, &prefer->wait_seconds);
        } else if (is(&name, "respond-async") && !value.len) {
            prefer->respond_async = true;
        }
    }
}

/* --- Idempotency-Key --- */

static bool is_printable(char c)
{
    return c >= 0x20 && c < 0x7f;
}

int key_read(const char *text, char key[KEY_MAX_BYTES], size_t *len)
{
    const char *at = skip_space(text);
    bool quoted = *at == '"';

    *len = 0;
    if (quoted)
        at++;
    for (; *at && *at != (quoted ? '"' : ' '); at++) {
        if (!quoted && strchr("\"\\,;", *at))
            return -1;
        if (quoted && *at == '\\' && *++at != '"' && *at != '\\')
            return -1;
        if (!is_printable(*at) || *len == KEY_MAX_BYTES)
            return -1;
        key[(*len)++] = *at;
    }
    if (quoted && *at++ != '"')
        return -1;
    return *len && !*skip_space(at) ? 0 : -1;
}
