/* Whether partitions were added to topics that were in use.
 *
 * The events of a value are where its commands are. After that they may be in two partitions: those
 * from before in the one of the old number of partitions, the later ones in that of the new number.
 * So the first events of the partitions tell: if the present number doesn't put a value where its
 * first events are, it was another number then. Nothing else puts an event into a wrong partition.
 */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "stream/kafka_topics.h"

/* A partition has been seen enough after so many different values, or so many records: each value
 * is at its place by chance in half of the cases, when the number was doubled. */
enum { SAMPLE_VALUES = 16, SAMPLE_RECORDS = 1000 };

struct sample {
    bool done;
    int records, count;
    struct id values[SAMPLE_VALUES];
};

/* Whether it is the first record of this value. */
static bool is_new(struct sample *sample, const struct id *value)
{
    for (int i = 0; i < sample->count; i++)
        if (id_equal(&sample->values[i], value))
            return false;
    sample->values[sample->count++] = *value;
    return true;
}

/* Returns whether the record is at its place, or can't tell. */
static bool take(struct sample *sample, const rd_kafka_message_t *record, int32_t partitions)
{
    struct id value;
    bool right = id_parse(record->key, record->key_len, &value) < 0 || !is_new(sample, &value) ||
                 kafka_partition(&value, partitions) == record->partition;

    sample->done = ++sample->records == SAMPLE_RECORDS || sample->count == SAMPLE_VALUES;
    return right;
}

static void say_misplaced(struct survey *survey, const rd_kafka_message_t *record)
{
    const struct kafka_topics *topics = survey->topics;

    survey_problem(
        survey,
        "topic %s: value %.36s is in partition %d, where %d partitions don't put it: "
        "partitions were added after the first commands, and the history of a value is "
        "split. Make new topics with the wanted number, and write the commands into them "
        "again in their order (calc-topics(1) shows how)",
        topics->names[KAFKA_EVENTS], (const char *)record->key, (int)record->partition,
        (int)topics->partitions);
}

/* Reads until each partition has been seen enough, or one record is misplaced. */
static int read_samples(struct survey *survey, rd_kafka_queue_t *queue, struct sample *samples,
                        struct error *error)
{
    const struct kafka_topics *topics = survey->topics;
    int32_t left = topics->partitions;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;

    while (left > 0) {
        rd_kafka_message_t *record = rd_kafka_consume_queue(queue, survey_left_ms(survey));
        struct sample *sample;
        if (!record) {
            kafka_error(error, EX_TEMPFAIL, code, "can't read the first events");
            return -1;
        }
        sample = &samples[record->partition];
        if (record->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
            survey_forbidden(survey, KAFKA_EVENTS, "read");
            left = 0;
        } else if (record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            left -= !sample->done;
            sample->done = true;
        } else if (record->err) {
            code = record->err; /* librdkafka tries again */
        } else if (!sample->done) {
            if (take(sample, record, topics->partitions)) {
                left -= sample->done;
            } else {
                say_misplaced(survey, record);
                left = 0;
            }
        }
        rd_kafka_message_destroy(record);
    }
    return 0;
}

int survey_sample(struct survey *survey, struct error *error)
{
    rd_kafka_topic_t *events = survey->handles[KAFKA_EVENTS];
    int32_t partitions = survey->topics->partitions, started = 0;
    struct sample *samples = calloc((size_t)partitions, sizeof *samples);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(survey->client);
    int result = samples ? 0 : error_memory(error);

    /* from 0 and not from "the beginning", which costs a request; if that is gone, it goes there */
    for (; result == 0 && started < partitions; started++)
        if (rd_kafka_consume_start_queue(events, started, 0, queue) < 0) {
            result = kafka_error(error, EX_TEMPFAIL, rd_kafka_last_error(),
                                 "can't read the first events");
            break;
        }
    if (result == 0)
        result = read_samples(survey, queue, samples, error);
    while (started-- > 0)
        rd_kafka_consume_stop(events, started);
    rd_kafka_queue_destroy(queue);
    free(samples);
    return result;
}
