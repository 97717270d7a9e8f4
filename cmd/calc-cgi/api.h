/* The HTTP paths: what is answered to a request. */
#ifndef CALC_CGI_API_H
#define CALC_CGI_API_H

#include <pthread.h>

#include "http.h"
#include "store/view.h"
#include "stream/append.h"
#include "stream/kafka.h"

/* What all requests of a process share. */
struct api {
    const char *folder; /* of the view */
    struct appender *commands;
    char topic_name[KAFKA_STREAM_TEXT];
    pthread_rwlock_t view_lock; /* shared by who uses the view, exclusive to open it */
    struct view *view;          /* NULL: not open */
};

/* Takes the settings: CALC_COMMANDS and CALC_VIEW, and CALC_KAFKA_CONFIG. EX_CONFIG if one is missing
 * or wrong. */
int api_open(struct api *api, struct error *error);
void api_close(struct api *api);

/* Answers a request, whose params and read are set. Thread-safe. */
void api_answer(struct api *api, struct request *request, struct response *response);

#endif
