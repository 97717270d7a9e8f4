/* Apache Kafka: logs that are partitioned topics, by librdkafka. Who calls kafka_install() links it;
 * the other tools don't. See calc-kafka(7). */
#ifndef STREAM_KAFKA_H
#define STREAM_KAFKA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"

/* What a topic is for. */
enum kafka_role { KAFKA_COMMANDS, KAFKA_EVENTS, KAFKA_REJECTIONS, KAFKA_ROLES };

/* From now on reader_open() and writer_open() know streams named kafka:TOPIC. */
void kafka_install(void);

/* Asked every second while the opening of a topic waits for a broker: true gives it up, with
 * EX_TEMPFAIL. NULL at first: to wait. */
extern bool (*kafka_give_up)(void);

/* A property of librdkafka as "name=value", for every client that is opened later: as -X has it.
 * EX_USAGE if it is none, one that the guarantees rest on, or a secret, since a command line isn't. */
int kafka_set(const char *property, struct error *error);

/* The same for each line of a file, as -F has it: "name=value", "#" begins a comment. EX_CONFIG for a
 * bad line, or if it has a secret and everybody may read or write it; EX_IOERR if it can't be read. */
int kafka_load(const char *path, struct error *error);

/* The topic that a stream's path names: the path itself or, if it is empty, the default of the role:
 * KAFKA_COMMANDS_TOPICS, KAFKA_EVENTS_TOPICS, KAFKA_REJECTIONS_TOPICS, else commands, events,
 * rejections. The text lives as long as the path and the environment. */
const char *kafka_topic(const char *path, enum kafka_role role);

/* The group that a role's readers publish their offsets in: KAFKA_COMMANDS_GROUP_ID
 * (commands-processors) for commands, KAFKA_EVENTS_GROUP_ID (events-processors) else. */
const char *kafka_group(enum kafka_role role);

/* Room for a stream's name with its NUL: "kafka:" and a topic, which has 249 characters at most. */
enum { KAFKA_STREAM_TEXT = 6 + 249 + 1 };

/* The stream `name` with the role's default topic put in, if it is "kafka:": then in `text`, which has
 * KAFKA_STREAM_TEXT bytes. */
const char *kafka_stream(const char *name, enum kafka_role role, char *text);

/* The partition of a value among `count`: that of the Java clients' default partitioner (murmur2) for
 * the key, which is the id's canonical text. */
int32_t kafka_partition(const struct id *value_id, int32_t count);

/* The topics that are used together: which they are, how to look at them, and what was found. */
struct kafka_topics {
    const char *names[KAFKA_ROLES]; /* NULL: none for that role */
    unsigned needed; /* those that have to be there: 1u << KAFKA_COMMANDS and so on */
    bool unsampled;  /* don't read the first events: quicker, and blind to partitions added later */
    int timeout_ms;  /* for everything */

    struct kafka_found {
        bool exists, created; /* created: by kafka_topics_create() */
        int32_t partitions;
        int replicas, min_insync; /* 0 if unknown */
    } found[KAFKA_ROLES];
    int32_t partitions;               /* that each has, if nothing is wrong; 0 if none is there */
    struct buffer problems, warnings; /* a sentence a line */
};

/* Looks at the topics, those that aren't needed too if they are there, for what would lose records or
 * split a value's history. EX_CONFIG if anything is wrong: then the problems are all in `problems`,
 * the first one in *error. EX_TEMPFAIL if a broker didn't answer in time. The warnings are filled in
 * any case. The caller releases. */
int kafka_topics_check(struct kafka_topics *topics, struct error *error);
void kafka_topics_release(struct kafka_topics *topics);

/* How topics are to be made; 0 is the default. */
struct kafka_wanted {
    int32_t partitions; /* as many as those have that are there, else KAFKA_PARTITIONS */
    int replicas;       /* 3, or as many as there are brokers */
    int min_insync;     /* 2 of 3 replicas and more, else 1 */
};

/* More than one handler is likely to need, and few enough not to be felt: partitions can't be added
 * later. */
enum { KAFKA_PARTITIONS = 8 };

/* Makes the topics that aren't there, with the settings that kafka_topics_check() asks for, and waits
 * until every broker knows all of them. Those that are there stay as they are; who makes them at the
 * same time does no harm. EX_CONFIG if it can't be done so, EX_TEMPFAIL if the time went by. */
int kafka_topics_create(struct kafka_topics *topics, const struct kafka_wanted *wanted,
                        struct error *error);

#endif
