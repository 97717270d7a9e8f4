/* A policy: which actors may do what, and whether values may only be changed by who created them. Pure,
 * as the rest of the domain; tool/policy_file.h has the file that it comes from. */
#ifndef CALC_POLICY_H
#define CALC_POLICY_H

#include "calc/command.h"

/* What a policy has rules for; the first three are the commands' actions. */
enum deed {
    DEED_CREATE = ACTION_CREATE,
    DEED_ADD = ACTION_ADD,
    DEED_MULTIPLY = ACTION_MULTIPLY,
    DEED_READ,  /* values, their history, and what became of commands */
    DEED_WATCH, /* what happens, as it does */
};
enum { DEEDS = DEED_WATCH + 1, POLICY_MAX_BYTES = 1 << 20 };

struct policy;

/* Reads a policy:
 *
 *     {"create": WHO, "add": WHO, "multiply": WHO, "read": WHO, "watch": WHO, "own": true}
 *
 * WHO is "everyone", "actors" (everyone who has a name), or a list of names. Who isn't named, and what
 * isn't mentioned, is refused, and so is a text that has anything else (EX_DATAERR, with the line
 * before the reason: "3: ..."). text[len] must be readable. To be freed. */
int policy_parse(const char *text, size_t len, struct policy **policy, struct error *error);
void policy_free(struct policy *policy);

/* Whether an actor (of length 0: nobody) may do it. Allocates nothing. Without a policy (NULL)
 * everything is allowed. */
bool policy_allows(const struct policy *policy, enum deed deed, const struct actor *actor);

/* Why something was refused. */
enum refusal {
    REFUSAL_NONE,
    REFUSAL_ACTOR,  /* the actor may not do that */
    REFUSAL_NOBODY, /* only who created a value may change it, and there is no actor */
    REFUSAL_OWNER,  /* the same, and the command has the expected_owner that somebody else is */
};
const char *refusal_text(enum refusal refusal);

/* Whether an actor may change any value at all. */
enum refusal policy_changes(const struct policy *policy, const struct actor *actor);

/* Whether a command may be appended. Where only who created a value may change it, that is for the
 * handler to decide: expected_owner becomes the actor. */
enum refusal policy_admit(const struct policy *policy, struct command *command);

/* "create", "add", "multiply", "read" or "watch". */
const char *deed_text(enum deed deed);

/* Appends who may not do what, and why, for people: `"ann" may not add: ...`. */
void refusal_write(enum refusal refusal, const struct actor *actor, enum deed deed,
                   struct buffer *out);

#endif
