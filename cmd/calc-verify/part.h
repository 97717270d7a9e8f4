/* A partition of the commands, and what was made of it: outcomes, and a handler's state. A file has one. */
#ifndef CALC_VERIFY_PART_H
#define CALC_VERIFY_PART_H

#include "output.h"
#include "store/state_check.h"
#include "store/view_check.h"

enum { PART_OUTPUTS = 2 }; /* events, rejections: as VIEW_EVENTS, VIEW_REJECTIONS */

struct part {
    int32_t number;
    struct source commands;
    struct output outputs[PART_OUTPUTS];
    struct state derived;
    struct state_read *state; /* a snapshot of what is stored; NULL: not to be compared */
    struct state_position position;
    char state_folder[4096];
    bool any;            /* a command was met */
    bool last_met[PART_OUTPUTS]; /* the outcome that the state of files knows as the last one */
    bool state_checked;  /* the commands went to where the state is */
    uint64_t count;      /* of commands that were handled */
    uint64_t state_lag;  /* of these, the ones behind the state */
    struct buffer line;  /* of the outcome at hand */
};

/* Opens the state of the partition in its folder, before any log. */
int part_open_state(struct part *part, const char *folder, struct error *error);

/* Whether state and view go no further than the logs, which are open: at once, without reading them. */
int part_check_ends(const struct part *part, const struct view_check *view, const char *view_folder,
                    struct error *error);

/* Takes a command, derives its outcome and compares it, and the state when it is there. -1: EX_DATAERR
 * with the difference. */
int part_take(struct part *part, const struct record *command, struct view_check *view,
              const char *view_folder, void (*tick)(void), struct error *error);

/* When all commands were taken. */
int part_finish(struct part *part, void (*tick)(void), struct error *error);

void part_close(struct part *part);

/* Takes an error about a store, whose name comes in front: EX_TEMPFAIL if it was only disturbed. */
int part_blame(const char *store, const char *folder, bool disturbed, struct error *error);

#endif
