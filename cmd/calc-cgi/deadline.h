/* How long a thread may be held up by others: by a web server that sends slowly, or takes slowly, or
 * by who has the log's lock. */
#ifndef CALC_CGI_DEADLINE_H
#define CALC_CGI_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

enum { DEADLINE_THREADS = 1024 }; /* that can be watched */

/* Once, before the others: SIGUSR2 interrupts system calls from now on, and does nothing else. */
void deadline_install(void);

/* Sets the calling thread's deadline, and begins anew: from then on its system calls are interrupted
 * (EINTR), again and again, so that it can ask deadline_passed(). It may come a second late: of the many
 * that are set in a second one has to be told to the system. 0: none. */
void deadline_set(int64_t ms);
bool deadline_passed(void);

/* For who watches: how long ago the deadline of a thread passed that is still at it, of all threads the
 * longest time; 0 if none is late. */
int64_t deadline_overdue_ms(void);

#endif
