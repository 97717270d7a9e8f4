/* JSON as strictly as the format wants it. The one place that knows jansson.
 *
 * Refused are duplicate keys (after unescaping, at any depth), trailing text, NaN, numbers that
 * overflow a double, lone surrogates, U+0000, invalid UTF-8, nesting deeper than JSON_DEPTH. */
#ifndef CALC_JSON_H
#define CALC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum { JSON_DEPTH = 64 }; /* the outermost object or array is 1 */

struct json;

/* Parses a text whose outermost value is an object. NULL with a reason otherwise (status
 * EX_DATAERR, or error_memory()'s). The caller frees it. */
struct json *json_parse_object(const char *text, size_t len, struct error *error);

/* The same of a file that people write: *line is where the fault is. */
struct json *json_parse_file(const char *text, size_t len, int *line, struct error *error);
void json_free(struct json *object);

/* A member, owned by its object; NULL if it is absent, null, or `object` is no object. */
const struct json *json_get(const struct json *object, const char *key);

/* Whether a member is there, null included. */
bool json_has(const struct json *object, const char *key);

/* The UTF-8 of a string, owned by it, and its length in bytes; NULL if it is no string. */
const char *json_text(const struct json *value, size_t *len);

/* The double of a number, however it is spelled. False if it is no number. */
bool json_number(const struct json *value, double *number);

/* False if it is neither true nor false. */
bool json_truth(const struct json *value, bool *truth);

/* An object's members in the order of the text: the key, and its value, null included; NULL behind the
 * last one. */
const char *json_member(const struct json *object, size_t index, const struct json **value);

/* A list's length; false if it is none. And its elements. */
bool json_list(const struct json *value, size_t *count);
const struct json *json_element(const struct json *list, size_t index);

/* The line, from 1 on, on which a member of the outermost object of a text stands that
 * json_parse_object took, or, if `element` is not JSON_MEMBER, that of its list's element. */
#define JSON_MEMBER SIZE_MAX
int json_line(const char *text, size_t len, size_t member, size_t element);

/* An integer token without sign, fraction and exponent behind a key of the outermost object of a
 * text that json_parse_object took: true, with its exact value, or UINT64_MAX if it is larger.
 * False if the member is spelled in any other way. */
bool json_count(const char *text, size_t len, const char *key, uint64_t *count);

/* Writes a string of valid UTF-8 with its quotes: raw but for `"`, `\` and controls. */
void json_write_string(struct buffer *out, const char *text, size_t len);

#endif
