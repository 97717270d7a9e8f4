/* What every client of Kafka has in common. For kafka_*.c only, so the types are librdkafka's, by their
 * tags: a header doesn't bring rdkafka.h into files that aren't for it. */
#ifndef STREAM_KAFKA_CLIENT_H
#define STREAM_KAFKA_CLIENT_H

#include "stream/kafka.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct append_questions;
struct kafka_appender;
struct reader;
struct writer;

/* librdkafka's name and value of a property. */
struct kafka_property {
    const char *name, *value;
};

/* A default of consumers: how soon a fetch that a broker refused is tried again, milliseconds. One of a topic that
 * was just made, or whose leader moves, may be; librdkafka's 500 would be half of a start. */
#define KAFKA_FETCH_AGAIN {"fetch.error.backoff.ms", "20"}

enum kafka_client { KAFKA_PRODUCER, KAFKA_CONSUMER };

/* What rd_kafka_seek_partitions() takes for ten seconds: before 2.1 it took microseconds. */
#define KAFKA_SEEK_WAIT (rd_kafka_version() < 0x020100ff ? 10000 * 1000 : 10000)

/* A configuration: the defaults of all our clients, then `defaults` (which the user may change), then
 * the user's, then `fixed`. Both lists end with a NULL name and may be NULL. The caller may set
 * callbacks and gives it to kafka_new(). NULL with EX_CONFIG if librdkafka refuses a property. */
struct rd_kafka_conf_s *kafka_conf(const struct kafka_property *defaults,
                                   const struct kafka_property *fixed, struct error *error);

/* A client; takes over conf. NULL with EX_CONFIG. */
struct rd_kafka_s *kafka_new(enum kafka_client kind, struct rd_kafka_conf_s *conf,
                             struct error *error);

/* How many partitions a topic has; waits until a broker answers, for timeout_ms at most, and lets the
 * client know the topic. EX_CONFIG if there is no such topic, EX_TEMPFAIL if no broker answered. */
int kafka_partition_count(struct rd_kafka_s *client, const char *topic, int timeout_ms,
                          int32_t *count, struct error *error);

/* librdkafka's log, as diagnostics: the callback that kafka_conf() sets. Who has an error callback is
 * told there that connections fail, and may want a word less about it here. */
void kafka_log(const struct rd_kafka_s *client, int level, const char *facility, const char *text);

/* Whether librdkafka's code says that a connection was refused, by either side: for a name, a password,
 * a certificate. It keeps trying, but somebody has to change a setting. */
bool kafka_turned_away(int code);

/* Whether a broker's code says that we may not do this. */
bool kafka_forbidden(int code);

/* Has refusals of this client's connections kept for kafka_refusal(). Not for a client that isn't polled
 * all the time: librdkafka then says nothing of its errors before it is. */
void kafka_watch_refusals(struct rd_kafka_conf_s *conf);

/* 0, or -1 with EX_CONFIG if a connection of such a client was refused since this was asked last. It
 * serves the client's callbacks. */
int kafka_refusal(struct rd_kafka_s *client, struct error *error);

/* Why there is no answer, for who waits for one: -1 with EX_CONFIG if a broker turns us away, by a client
 * of its own; 0 if it is something else, which may pass. */
int kafka_ask_why(int timeout_ms, struct error *error);

/* The brokers, for messages. */
const char *kafka_brokers(void);

/* Fills *error with librdkafka's reason for `code` (a rd_kafka_resp_err_t). Returns -1. */
int kafka_error(struct error *error, int status, int code, const char *what);

/* The driver of kafka:TOPIC streams: reader.h, writer.h and append.h say what they have to do. */
int kafka_reader_init(struct reader *reader, struct error *error);
int kafka_writer_init(struct writer *writer, struct error *error);
struct kafka_appender *kafka_appender_new(const char *name, const char *topic,
                                          const struct append_questions *questions);
int kafka_appender_append(struct kafka_appender *appender, const struct id *key, const char *line,
                          size_t len, bool *unknown, struct error *error);
void kafka_appender_free(struct kafka_appender *appender);

#endif
