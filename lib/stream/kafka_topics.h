/* What checking topics and making them have in common. For kafka_*.c only. */
#ifndef STREAM_KAFKA_TOPICS_H
#define STREAM_KAFKA_TOPICS_H

#include "stream/kafka_client.h"

struct rd_kafka_topic_s;
struct rd_kafka_queue_s;

enum { SURVEY_AGAIN_MS = 20 }; /* between two questions for what isn't so yet */

/* A client that knows the topics, so that one request asks for all of them. */
struct survey {
    struct kafka_topics *topics;
    int64_t deadline_ms; /* of the monotonic clock */
    struct rd_kafka_s *client;
    struct rd_kafka_topic_s *handles[KAFKA_ROLES]; /* NULL where there is no name */
    struct rd_kafka_queue_s *answers;              /* of the Admin API */
    long long largest_batch;                       /* bytes that our producers send at once */
    int brokers;                                   /* how many there are */
    bool led[KAFKA_ROLES];                         /* each partition has a leader */
    int refusals[KAFKA_ROLES];                     /* why it isn't seen: a rd_kafka_resp_err_t */
};

/* Opens the client; the time begins to run. It asks this broker, or with NULL any one of those that
 * are configured. survey_close() in any case. */
int survey_open(struct survey *survey, struct kafka_topics *topics, const char *broker,
                struct error *error);
void survey_close(struct survey *survey);

/* Fills topics->found, except for min_insync, and what the survey has beside it. EX_TEMPFAIL if no
 * broker answers. */
int survey_look(struct survey *survey, struct error *error);

/* What is left of the time. */
int survey_left_ms(const struct survey *survey);

/* Reads the first events and looks whether the present number of partitions puts them where they
 * are. */
int survey_sample(struct survey *survey, struct error *error);

/* Another sentence for topics->problems, topics->warnings. */
void survey_problem(struct survey *survey, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void survey_warning(struct survey *survey, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* We may not do this with the topic: a problem if it is needed, else a warning, since who only
 * writes commands needs no right to the rest. */
void survey_forbidden(struct survey *survey, int role, const char *right);
bool survey_needs(const struct survey *survey, int role);

#endif
