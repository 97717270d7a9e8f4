/* transact TOPIC commit|abort|leave: writes lines "KEY<tab>RECORD" of stdin in one transaction, where Java's
 * clients would put them. The aborted ones are in the log, too, for who doesn't read committed ones. Left, it
 * stays open, as that of a process that was killed. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "transact: %s failed\n", what);
    exit(1);
}

static rd_kafka_t *open_producer(void)
{
    const char *const settings[][2] = {{"bootstrap.servers", getenv("KAFKA_BROKER")},
                                       {"transactional.id", "transact"},
                                       {"partitioner", "murmur2_random"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[512];

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        must(rd_kafka_conf_set(conf, settings[i][0], settings[i][1], reason, sizeof reason) ==
                 RD_KAFKA_CONF_OK,
             reason);
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
}

int main(int argc, char **argv)
{
    rd_kafka_t *producer = open_producer();
    char line[8192], *tab;

    must(argc == 3 && producer, "starting");
    must(!rd_kafka_init_transactions(producer, 30000), "init_transactions");
    must(!rd_kafka_begin_transaction(producer), "begin_transaction");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        must((tab = strchr(line, '\t')) != NULL, "finding a tab");
        must(!rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(argv[1]),
                                RD_KAFKA_V_KEY(line, (size_t)(tab - line)),
                                RD_KAFKA_V_VALUE(tab + 1, strlen(tab + 1)),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
             "producev");
    }
    must(!rd_kafka_flush(producer, 30000), "flush");
    if (strcmp(argv[2], "leave") == 0)
        _exit(0);
    if (strcmp(argv[2], "commit") == 0)
        must(!rd_kafka_commit_transaction(producer, 30000), "commit_transaction");
    else
        must(!rd_kafka_abort_transaction(producer, 30000), "abort_transaction");
    rd_kafka_destroy(producer);
    return 0;
}
