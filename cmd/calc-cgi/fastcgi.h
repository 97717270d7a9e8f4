/* The FastCGI server: many threads that answer requests from one listening socket. */
#ifndef CALC_CGI_FASTCGI_H
#define CALC_CGI_FASTCGI_H

#include "api.h"

/* The socket to serve: `listen_on` (a path, or HOST:PORT, or :PORT; NULL: none given), else the one
 * that LISTEN_FDS hands over, else fd 0 if it listens. Returns its descriptor; -2 if there is none
 * (this is a plain CGI request); -1 with EX_IOERR, EX_TEMPFAIL if the path is taken, or EX_USAGE. */
int fastcgi_socket(const char *listen_on, struct error *error);

/* Serves until SIGTERM or SIGINT; requests under way are answered first. */
int fastcgi_serve(struct api *api, int socket, struct error *error);

/* Removes the Unix socket that `listen_on` made, if it did. */
void fastcgi_unlink(const char *listen_on);

#endif
