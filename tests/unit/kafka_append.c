#include <pthread.h>

#include "mock.h"
#include "stream/append.h"
#include "stream/kafka.h"
#include "tap.h"

enum { THREADS = 8, RECORDS = 50 };

static struct appender *open_appender(void)
{
    static const struct append_questions none;
    struct appender *appender = NULL;
    struct error error = {0};

    ok(appender_open("kafka:commands", &none, &appender, &error) == 0, "an appender opens %s",
       error.text);
    return appender;
}

static int append(struct appender *appender, bool *unknown, struct error *error)
{
    static const struct id id = {{7}};
    uint64_t cut;

    return appender_append(appender, &id, "{}\n", 3, &cut, unknown, error);
}

static void test_appends(struct appender *appender)
{
    int64_t before = mock_records("commands", 0);
    struct error error = {0};
    bool unknown;

    ok(append(appender, &unknown, &error) == 0, "a record is appended %s", error.text);
    ok(mock_records("commands", 0) == before + 1, "and is there");
}

static void test_refused(struct appender *appender)
{
    struct error error = {0};
    bool unknown;

    rd_kafka_mock_push_request_errors(mock, MOCK_PRODUCE, 1, RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
    ok(append(appender, &unknown, &error) < 0 && !unknown, "one that is refused isn't there: %s",
       error.text);
    ok(append(appender, &unknown, &error) == 0, "the next one is taken");
}

/* What a broker says that lost the producer's sequence: this client can't go on. */
static void test_broken(struct appender *appender)
{
    struct error error = {0};
    bool unknown;

    rd_kafka_mock_push_request_errors(mock, MOCK_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    ok(append(appender, &unknown, &error) < 0, "a producer whose idempotence broke fails: %s",
       error.text);
    ok(append(appender, &unknown, &error) == 0, "another one takes the next record %s", error.text);
}

static void test_away(struct appender *appender)
{
    int64_t before = mock_records("commands", 0);
    struct error error = {0};
    bool unknown;

    rd_kafka_mock_broker_set_down(mock, 1);
    ok(append(appender, &unknown, &error) < 0 && !unknown && error.status == EX_TEMPFAIL,
       "a broker that is away takes nothing: %s", error.text);
    rd_kafka_mock_broker_set_up(mock, 1);
    ok(append(appender, &unknown, &error) == 0, "one that is back takes the next one");
    ok(mock_records("commands", 0) == before + 1, "and has nothing else");
}

/* --- many threads --- */

static struct {
    struct appender *appender;
    pthread_mutex_t mutex;
    int done, unknown;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *work(void *argument)
{
    (void)argument;
    for (int i = 0; i < RECORDS; i++) {
        struct error error;
        bool unknown;
        int result = append(shared.appender, &unknown, &error);
        pthread_mutex_lock(&shared.mutex);
        shared.done += result == 0;
        shared.unknown += unknown;
        pthread_mutex_unlock(&shared.mutex);
    }
    return NULL;
}

static void test_threads(struct appender *appender)
{
    int64_t before = mock_records("commands", 0), added;
    pthread_t threads[THREADS];
    struct error error = {0};
    bool unknown;

    shared.appender = appender;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 5; i++)
        rd_kafka_mock_push_request_errors(
            mock, MOCK_PRODUCE, 5, RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_NO_ERROR,
            RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_NO_ERROR,
            RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    rd_kafka_mock_clear_request_errors(mock, MOCK_PRODUCE);
    added = mock_records("commands", 0) - before;
    ok(shared.done < THREADS * RECORDS, "some of many threads' records fail");
    ok(shared.done <= added && added <= shared.done + shared.unknown,
       "what is there is what was told: %d done, %d unknown, %d there", shared.done, shared.unknown,
       (int)added);
    ok(append(appender, &unknown, &error) == 0, "and it goes on %s", error.text);
}

int main(void)
{
    struct appender *appender;
    struct error error;

    mock_start("commands", 1);
    kafka_install();
    kafka_set("message.timeout.ms=2000", &error);
    appender = open_appender();
    test_appends(appender);
    test_refused(appender);
    test_broken(appender);
    test_away(appender);
    test_threads(appender);
    appender_close(appender);
    mock_stop();
    return tap_done();
}
