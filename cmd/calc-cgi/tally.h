/* How many records a commands log has that is a file: counted once, and then only what was added. What was
 * counted is remembered in the process, and for the next one in the view's folder, where there is leave to
 * write. */
#ifndef CALC_CGI_TALLY_H
#define CALC_CGI_TALLY_H

#include "stream/log_look.h"

/* 1 with the count of the whole log, 0 if that would take too long at once: the next call goes on. -1 if it
 * can't be read. Thread-safe; for one log and one folder a process. */
int tally(struct log_look *log, const char *folder, uint64_t *records, struct error *error);

#endif
