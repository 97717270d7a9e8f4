/* The policy that a file has, as long as a program runs. When the file changes it is taken anew, as a
 * whole; one that is broken changes nothing. See calc-policy(5). */
#ifndef TOOL_POLICY_FILE_H
#define TOOL_POLICY_FILE_H

#include "calc/policy.h"

struct policy_file;

/* Reads the file, which has to be a good one: EX_CONFIG, "FILE:LINE: what", if it isn't. */
int policy_file_open(const char *path, struct policy_file **file, struct error *error);
void policy_file_close(struct policy_file *file);

/* To be called once a second or so, by one thread: looks whether the file is another one by now. 1 if it
 * was taken; 0 if not; -1 if it can't be, which is said once of each broken one: what was taken before
 * goes on. NULL is no file, and 0. */
int policy_file_look(struct policy_file *file, struct error *error);

/* The same, and says what came of it on standard error. Whether it was taken. */
bool policy_file_renew(struct policy_file *file);

/* Goes up with every policy that was taken. */
unsigned policy_file_edition(struct policy_file *file);

/* As policy_allows(), policy_changes() and policy_admit(), thread-safe. Without a file (NULL) everything
 * is allowed. Who keeps an answer asks for the edition before: when that goes up, ask again. */
bool policy_file_allows(struct policy_file *file, enum deed deed, const struct actor *actor);
enum refusal policy_file_changes(struct policy_file *file, const struct actor *actor);
enum refusal policy_file_admit(struct policy_file *file, struct command *command);

#endif
