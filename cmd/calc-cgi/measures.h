/* What logs and view say of each other, for /metrics: where the logs end, and how far handler and projector
 * are. Found out when it is asked for, at a bounded cost. */
#ifndef CALC_CGI_MEASURES_H
#define CALC_CGI_MEASURES_H

#include "api.h"
#include "lag.h"

/* A partition of the logs; files have one. */
struct measured {
    uint64_t end, ends[VIEW_LOGS]; /* of the commands, and of the outputs */
    struct lag visible; /* commands whose outcome isn't in the view */
    struct lag handled; /* commands without an outcome */
    struct lag projected[VIEW_LOGS]; /* records of the outputs that aren't in the view */
};

struct measures {
    bool counted; /* it is known how many commands there are */
    uint64_t commands;
    bool visible;    /* that is known, */
    bool outputs; /* and what else the outputs tell */
    int32_t count;
    struct measured *partitions;
};

/* What a snapshot of the view says. It is taken first, and given back before anybody is waited for: what the
 * view knew then, the logs know since. */
struct view_facts {
    struct view_totals totals;
    struct last_outcomes last;
    int32_t counts[VIEW_LOGS]; /* of partitions, and where it is in them */
    struct view_position *positions[VIEW_LOGS];
};
int view_facts_read(struct api *api, struct view_facts *facts, struct error *error);
void view_facts_release(struct view_facts *facts);
uint64_t view_facts_next(const struct view_facts *facts, enum view_log log, int32_t partition);

/* -1 if a log can't be read. To be released in any case. */
int measure(struct api *api, const struct view_facts *facts, struct measures *measures,
            struct error *error);
void measures_release(struct measures *measures);

/* For logs that are topics (measure_topics.c). */
int measure_topics(struct api *api, const struct view_facts *facts, struct measures *measures,
                   struct error *error);

#endif
