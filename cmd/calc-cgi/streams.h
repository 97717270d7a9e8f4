/* The streams of server-sent events of a FastCGI process: one thread follows the view, and writes to all of
 * them without blocking. The view is their buffer: one whose reader is slow is told the rest, from
 * where it is, when its socket takes more. */
#ifndef CALC_CGI_STREAMS_H
#define CALC_CGI_STREAMS_H

#include "feed.h"
#include "outlet.h"

struct streams;

/* Starts the thread, for so many streams at most. A stream ends when the policy (NULL: there is none)
 * doesn't allow it any more. stop_install() comes before. */
int streams_open(struct viewer *viewer, struct policy_file *policy, int most,
                 struct streams **streams, struct error *error);

/* Ends all streams, and waits for the thread. NULL is allowed. */
void streams_close(struct streams *streams);

/* Takes a place; false if there is none. It is given back by streams_add(), when its stream ends, or by
 * streams_give_back(). Thread-safe, as the others. */
bool streams_reserve(struct streams *streams);
void streams_give_back(struct streams *streams);

/* How many places are taken. */
int streams_count(struct streams *streams);

/* Hands a stream over: the connection, which `head` was not written to yet, and what it is told. Both are
 * the thread's from now on. */
void streams_add(struct streams *streams, const struct outlet *outlet, const struct buffer *head,
                 struct feed *feed);

/* Says that there is another policy. */
void streams_wake(struct streams *streams);

#endif
