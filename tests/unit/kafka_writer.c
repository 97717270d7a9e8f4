#include "mock.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tap.h"

static struct writer *open_writer(void)
{
    struct writer *writer = NULL;
    struct error error = {0};

    ok(writer_open("kafka:commands", &writer, &error) == 0, "a writer finds its topic %s", error.text);
    return writer;
}

/* Puts so many records, of one value. Returns how many were taken. */
static int put(struct writer *writer, int count)
{
    static const struct id id = {{7}};
    struct error error;
    int taken = 0;

    for (int i = 0; i < count; i++) {
        buffer_printf(writer_batch(writer), "{\"n\":%d}\n", i);
        taken += writer_end_record(writer, &id, &error) == 0;
    }
    return taken;
}

static int count(const struct writer *writer, int records, enum delivery delivery)
{
    char position[STREAM_POSITION_TEXT];
    int found = 0;

    for (int i = 0; i < records; i++)
        found += writer_position(writer, (size_t)i, position) == delivery;
    return found;
}

static void test_delivers(void)
{
    struct writer *writer = open_writer();
    char position[STREAM_POSITION_TEXT];
    struct error error = {0};
    int faults = 0;

    ok(put(writer, 100) == 100 && writer_commit(writer, NULL, NULL, &error) == 0,
       "a batch is delivered %s", error.text);
    for (int i = 0; i < 100; i++) {
        char expected[STREAM_POSITION_TEXT];
        snprintf(expected, sizeof expected, "0:%d", i);
        faults += wrong(writer_position(writer, (size_t)i, position) == DELIVERY_DONE &&
                            strcmp(position, expected) == 0,
                        "record %d is at %s", i, position);
    }
    ok(!faults, "each record is where it says");
    ok(put(writer, 1) == 1 && writer_commit(writer, NULL, NULL, &error) == 0 &&
           writer_position(writer, 0, position) == DELIVERY_DONE && strcmp(position, "0:100") == 0,
       "the next batch begins behind it");
    writer_close(writer);
    ok(mock_records("commands", 0) == 101, "and that is all there is");
}

/* As many refusals as requests can be under way, and what came behind them would be taken. */
static void test_refused(void)
{
    enum { REFUSED = RD_KAFKA_RESP_ERR_POLICY_VIOLATION };
    int64_t before = mock_records("commands", 0);
    struct writer *writer = open_writer();
    struct error error = {0};
    int done;

    rd_kafka_mock_push_request_errors(mock, MOCK_PRODUCE, 6, RD_KAFKA_RESP_ERR_NO_ERROR, REFUSED,
                                      REFUSED, REFUSED, REFUSED, REFUSED);
    put(writer, 50);
    ok(writer_commit(writer, NULL, NULL, &error) < 0, "a batch with a refused record fails");
    done = count(writer, 50, DELIVERY_DONE);
    ok(done == 1 && writer_failed(writer) == 1, "the first one is delivered, the second one failed");
    ok(mock_records("commands", 0) == before + 1, "nothing behind it was sent");
    ok(strstr(error.text, "olicy") && (error.status == EX_IOERR || error.status == EX_UNAVAILABLE),
       "and it says why: %s", error.text);
    ok(put(writer, 1) == 0 && writer_commit(writer, NULL, NULL, &error) < 0,
       "the writer takes no more");
    writer_close(writer);
    rd_kafka_mock_clear_request_errors(mock, MOCK_PRODUCE);
}

static void test_away(void)
{
    int64_t before = mock_records("commands", 0);
    struct writer *writer = open_writer();
    struct error error = {0};

    rd_kafka_mock_broker_set_down(mock, 1);
    put(writer, 50);
    ok(writer_commit(writer, NULL, NULL, &error) < 0 && error.status == EX_TEMPFAIL,
       "a broker that is away is told after message.timeout.ms: %s", error.text);
    ok(count(writer, 50, DELIVERY_FAILED) == 50, "nothing was done");
    rd_kafka_mock_broker_set_up(mock, 1);
    writer_close(writer);
    ok(mock_records("commands", 0) == before, "and nothing is when it comes back");
}

static void test_retried(void)
{
    struct writer *writer = open_writer();
    struct error error = {0};

    rd_kafka_mock_push_request_errors(mock, MOCK_PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    ok(put(writer, 50) == 50 && writer_commit(writer, NULL, NULL, &error) == 0 &&
           count(writer, 50, DELIVERY_DONE) == 50,
       "what passes is tried again %s", error.text);
    writer_close(writer);
}

int main(void)
{
    struct error error;

    mock_start("commands", 1);
    kafka_install();
    kafka_set("batch.num.messages=1", &error);
    kafka_set("message.timeout.ms=2000", &error);
    test_delivers();
    test_refused();
    test_away();
    test_retried();
    mock_stop();
    return tap_done();
}
