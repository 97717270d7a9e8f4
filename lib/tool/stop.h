/* SIGTERM and SIGINT, for programs that end after the batch at hand. */
#ifndef TOOL_STOP_H
#define TOOL_STOP_H

#include <stdbool.h>

/* From now on both signals ask to stop instead of killing. Blocking system calls are interrupted. */
void stop_install(void);

/* Whether one came. */
bool stop_asked(void);

/* A descriptor that is readable once one came; -1 before stop_install(). */
int stop_fd(void);

#endif
