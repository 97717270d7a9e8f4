/* A store that is damaged may be shorter than its pages say, or lead the library astray. */
#ifndef CALC_VERIFY_GUARD_H
#define CALC_VERIFY_GUARD_H

/* Until guard_leave(), a crash is told as damage of the store ("view") in a folder, and the process exits
 * with EX_DATAERR. Cheap for a folder that is the last one's, by its address. */
void guard_enter(const char *store, const char *folder);
void guard_leave(void);

#endif
