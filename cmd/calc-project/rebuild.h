/* A new copy of the view in place of the one in use. */
#ifndef CALC_PROJECT_REBUILD_H
#define CALC_PROJECT_REBUILD_H

#include "projector.h"

/* Folds a new copy beside the one in use, until it has caught up with that one, and switches to it.
 * The projector's view is NULL, or one of an older format that it has claimed. 1 if the copy is the
 * projector's view now, with its logs opened; 0 if another projector, which runs, has taken it over. */
int rebuild(struct projector *projector, struct error *error);

/* Between two batches of a projector that runs: takes over a copy that is offered. 1 if it did; 0 if
 * there is none, or it can't: that is said, and it goes on with the view it has. */
int rebuild_take_over(struct projector *projector, struct error *error);

#endif
