/* How deep jansson says that a text is nested. */
#ifndef FUZZ_DEPTH_H
#define FUZZ_DEPTH_H

#include <jansson.h>

static size_t depth(json_t *value)
{
    size_t deepest = 0, index, below;
    const char *key;
    json_t *member;

    json_object_foreach(value, key, member)
        deepest = (below = depth(member)) > deepest ? below : deepest;
    json_array_foreach(value, index, member)
        deepest = (below = depth(member)) > deepest ? below : deepest;
    return json_is_object(value) || json_is_array(value) ? deepest + 1 : 0;
}

#endif
