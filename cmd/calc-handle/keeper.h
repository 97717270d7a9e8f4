/* The state of a commands log that is a file, kept in a folder from one run to the next: which logs it
 * is of, how far it is, and when a checkpoint is written. */
#ifndef CALC_HANDLE_KEEPER_H
#define CALC_HANDLE_KEEPER_H

#include <limits.h>

#include "output.h"
#include "store/state.h"

enum { KEEPER_OUTPUTS = 2 }; /* events, rejections */

struct keeper {
    struct state *state; /* NULL: nothing is kept */
    struct reader *input;
    struct output *outputs[KEEPER_OUTPUTS];
    char folder[PATH_MAX];
    int lock;
    size_t memory;                  /* the cache; bytes */
    uint64_t start;                 /* where the input begins */
    struct state_position position; /* of what was handled */
    struct state_position saved;    /* of the last checkpoint */
    uint64_t moved;                 /* records since then */
    int64_t since_ms;               /* when the first of them came */
};

/* Opens the state in a folder, made if need be, and locks that for life (EX_TEMPFAIL). */
int keeper_open(struct keeper *keeper, const char *folder, struct error *error);
void keeper_close(struct keeper *keeper);

/* Checks that input and outputs are the logs that the state is of (EX_DATAERR), waiting for an input
 * that is followed and isn't there yet, and goes on from the last checkpoint. Can be called again, to
 * begin anew. */
int keeper_resume(struct keeper *keeper, struct error *error);

/* Notes that a record was handled. */
void keeper_moves(struct keeper *keeper, const struct line *record);

/* Before anything is appended: what may be an unsynced tail after a crash begins here. */
int keeper_before_append(struct keeper *keeper, struct error *error);

/* Whether it is time for a checkpoint. `idle`: there is nothing else to do. */
bool keeper_is_due(const struct keeper *keeper, bool idle);

/* Writes it, if anything was handled: everything must be in the outputs. */
int keeper_checkpoint(struct keeper *keeper, struct error *error);

/* For who wrote to the logs without their state: if there is one in the folder, it has to know that
 * they go as far as they do. */
int keeper_mark(const char *folder, struct output *const outputs[KEEPER_OUTPUTS],
                struct error *error);

#endif
