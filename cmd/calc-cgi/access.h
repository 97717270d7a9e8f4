/* Who asks, and whether that is allowed. */
#ifndef CALC_CGI_ACCESS_H
#define CALC_CGI_ACCESS_H

#include "response.h"
#include "tool/policy_file.h"

struct api;

/* Who asks, and by which edition of the policy that may be. */
struct asker {
    struct actor actor;
    unsigned edition;
};

/* The actor is who the web server says it is, and nobody else. -1 if that is no valid name: it is
 * answered. */
int access_actor(const struct request *request, struct actor *actor, struct response *response);

/* Whether the one who asks may do that, reading or watching, or may change any value at all. If not, it
 * is answered, and said. */
bool access_may(struct api *api, const struct actor *actor, enum deed deed,
                struct response *response);
bool access_may_change(struct api *api, const struct actor *actor, struct response *response);

/* The same of a command, which is completed. */
bool access_admits(struct api *api, struct command *command, struct response *response);

/* Whether who watches still may. */
bool access_lasts(struct policy_file *policy, struct asker *asker);

/* Says that a FastCGI socket can be reached from other machines, if so: who reaches it is who they say. */
void access_warn_of_socket(int socket);

/* Says once that everybody may do everything, if there is no policy and others than this machine's reach
 * the server; of plain CGI, with each command. */
void access_warn(struct api *api, const struct request *request);

#endif
