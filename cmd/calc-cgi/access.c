#include "api.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "base/diag.h"

int access_actor(const struct request *request, struct actor *actor, struct response *response)
{
    const char *user = request_param(request, "REMOTE_USER");

    actor->len = 0;
    if (!user || actor_read(actor, user, strlen(user)) == 0)
        return 0;
    response_problem(response, 400, "the user's name is no valid actor: it is 1 to %d bytes of UTF-8",
                     ACTOR_MAX_BYTES);
    return -1;
}

/* --- refusals --- */

/* The answer tells nothing of others: not who may, and not what there is. */
static void refuse(enum refusal refusal, const struct actor *actor, enum deed deed,
                   struct response *response)
{
    struct buffer text = {0};

    refusal_write(refusal, actor, deed, &text);
    buffer_append(&text, "", 1);
    diag_warn("refused: %s", text.failed ? "out of memory" : text.data);
    buffer_release(&text);
    response_problem_begin(response, 403, "not-allowed", "%s may not %s: %s",
                           actor->len ? "this user" : "a request without a user's name",
                           deed_text(deed), refusal_text(refusal));
    response_problem_end(response);
}

bool access_may(struct api *api, const struct actor *actor, enum deed deed,
                struct response *response)
{
    if (policy_file_allows(api->policy, deed, actor))
        return true;
    refuse(REFUSAL_ACTOR, actor, deed, response);
    return false;
}

bool access_may_change(struct api *api, const struct actor *actor, struct response *response)
{
    enum refusal refusal = policy_file_changes(api->policy, actor);

    if (refusal != REFUSAL_NONE)
        refuse(refusal, actor, DEED_ADD, response);
    return refusal == REFUSAL_NONE;
}

bool access_admits(struct api *api, struct command *command, struct response *response)
{
    enum refusal refusal = policy_file_admit(api->policy, command);

    if (refusal != REFUSAL_NONE)
        refuse(refusal, &command->actor, (enum deed)command->action, response);
    return refusal == REFUSAL_NONE;
}

/* --- changes --- */

bool access_lasts(struct policy_file *policy, struct asker *asker)
{
    unsigned edition = policy_file_edition(policy);
    struct buffer text = {0};

    if (edition == asker->edition)
        return true;
    asker->edition = edition;
    if (policy_file_allows(policy, DEED_WATCH, &asker->actor))
        return true;
    refusal_write(REFUSAL_ACTOR, &asker->actor, DEED_WATCH, &text);
    buffer_append(&text, "", 1);
    diag_warn("a stream ends: %s", text.failed ? "out of memory" : text.data);
    buffer_release(&text);
    return false;
}

/* --- who can reach us --- */

/* Whether an address is this machine's own, as web servers spell them. */
static bool is_loopback(const char *text)
{
    struct in6_addr six;
    struct in_addr four;

    if (strncasecmp(text, "::ffff:", 7) == 0)
        text += 7;
    if (inet_pton(AF_INET, text, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, text, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return true; /* a Unix socket, or a name that says nothing */
}

void access_warn_of_socket(int socket)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";

    if (getsockname(socket, (struct sockaddr *)&address, &len) < 0)
        return;
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, text, sizeof text);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, text, sizeof text);
    if (*text && !is_loopback(text))
        diag_warn("the socket for web servers is at %s: whoever reaches it may do everything, as "
                  "whatever user they say",
                  text);
}

void access_warn(struct api *api, const struct request *request)
{
    const char *server, *client;

    if (api->policy || atomic_load_explicit(&api->warned, memory_order_relaxed) ||
        (!api->streams && *request->method != 'P'))
        return;
    server = request_param(request, "SERVER_ADDR");
    client = request_param(request, "REMOTE_ADDR");
    if ((!server || is_loopback(server)) && (!client || is_loopback(client)))
        return;
    if (!atomic_exchange(&api->warned, true))
        diag_warn("CALC_POLICY is not set: everybody who reaches the server, at %s, may do everything",
                  server ? server : "an address that isn't this machine's own");
}
