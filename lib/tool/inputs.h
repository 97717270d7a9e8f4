/* Waiting for more input. */
#ifndef TOOL_INPUTS_H
#define TOOL_INPUTS_H

#include "stream/stream.h"

/* Waits until one of the readers, all of which paused, may have more, a stop is asked for, or a
 * second has gone by. NULL entries are passed over. It is service_alive(), too. */
void inputs_wait(struct reader *const *readers, int count);

#endif
