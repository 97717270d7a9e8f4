/* What a service manager is told: that we are ready, how it goes, and that we are alive; by the
 * protocol of sd_notify(3). Who wasn't started by one, which NOTIFY_SOCKET tells, tells nobody: then
 * everything here costs next to nothing. */
#ifndef TOOL_SERVICE_H
#define TOOL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the manager's address and its watchdog's time from the environment, and out of it. A
 * service's complaints are read in a journal: those that are alike are counted, see diag_calm(). */
void service_open(void);

/* Whether a service manager started us. */
bool service_is_on(void);

/* From the loop that does the work, and only there: we go on. The watchdog ends us if that stays out;
 * before we are ready, and when we stop, it gives us more time. Any thread may call it, as often as it
 * likes. */
void service_alive(void);

/* What comes now may take so long that the watchdog would think we are hung: it waits for ten minutes,
 * until service_alive() is called again. */
void service_takes_long(void);

/* What we were started for can begin. Once is enough, more doesn't harm. */
void service_ready(void);

/* No more work is taken on. */
void service_stopping(void);

/* stop_asked() for who waits, and asks whether to give up again and again: that is being alive. */
bool service_gives_up(void);

/* --- the line that `systemctl status` shows --- */

/* Whether a second has gone by since it was asked with success. Then service_progress() is called. */
bool service_is_due(void);

/* Where we are, in words; how far that is behind, in units (UINT64_MAX: unknown); and how many of
 * something there were since the beginning, from which the rate is made. Nothing is sent unless it says
 * something new. */
struct service_progress {
    const char *place;
    uint64_t behind;
    const char *units;
    uint64_t count;
    const char *counted;
};
void service_progress(const struct service_progress *progress);

#endif
