#!/usr/bin/env bats
# calc-handle on Kafka: each command once, whatever is lost in between.

# shellcheck disable=SC2030,SC2031 # each test is a process of its own
load helper
load kafka

oracle=$root/tests/oracle/kafka.py

# start [OPTION...]: with this test's topics, state/ as its state; at a deadline it ends.
start() {
    timeout 60 calc-handle -i kafka: -o kafka: -r kafka: --state state "$@"
}

# What the topics hold is what the commands derive, says an independent fold.
check_topics() {
    python3 "$oracle" check "$KAFKA_COMMANDS_TOPICS" "$KAFKA_EVENTS_TOPICS" \
        "$KAFKA_REJECTIONS_TOPICS" --broker "$KAFKA_BROKER"
}

# submit NUMBER...: creates values.
submit() {
    printf '{"value":%s}\n' "$@" | calc-submit -o kafka: >acks
}

outcomes_are_as_many() {
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq \
        "$(read_topic "$KAFKA_COMMANDS_TOPICS" | wc -l)" ]
}

ended() {
    ! kill -0 "$1" 2>/dev/null
}

@test "outcomes go to their command's partition, with the value's id as key and the position" {
    make_topics 4
    submit 1 2 3 4 5 6 7 8
    calc-submit -o kafka: add 0193a000-0000-7000-8000-000000000001 1 >acks
    status_of 0 start -e
    check_topics
    read_topic_full "$KAFKA_EVENTS_TOPICS" >events
    read_topic_full "$KAFKA_REJECTIONS_TOPICS" >>events
    [ "$(wc -l <events)" -eq 9 ]
    while IFS=$'\t' read -r partition _ key headers payload; do
        [[ $payload == *"\"value_id\":\"$key\""* ]]
        [[ $headers == position=$partition:* ]]
    done <events
}

@test "every command of the examples has its outcome, in one partition and in eight" {
    for partitions in 1 8; do
        make_topics "$partitions"
        # what has no value id goes anywhere; a carriage return and a blank line are records too
        perl -pe 'print /"value_id" *: *"([0-9A-Fa-f-]{36})"/ ? lc $1 : "", "\t"' \
            "$root/tests/examples/commands.jsonl" >lines
        write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t' <lines
        status_of 0 start -e
        check_topics
        rm -r state
    done
    # a partition's positions aren't a file's: only ids of malformed and reused ones differ
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq "$(wc -l <"$root/tests/examples/events.jsonl")" ]
}

@test "with one partition, events are the same bytes as those of a file" {
    make_topics 1
    write_topic "$KAFKA_COMMANDS_TOPICS" <"$root/tests/examples/commands.jsonl"
    status_of 0 start -e
    read_topic "$KAFKA_EVENTS_TOPICS" | cmp - "$root/tests/examples/events.jsonl"
}

@test "a restart goes on where the last one stopped, and emits nothing twice" {
    make_topics 4
    for round in 1 2 3; do
        submit "$round" "$round" "$round" "$round" "$round"
        status_of 0 start -e
        [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq $((5 * round)) ]
    done
    check_topics
}

@test "a handler follows its topics, and ends cleanly on SIGTERM with a checkpoint" {
    make_topics 4
    background calc-handle -i kafka: -o kafka: -r kafka: --state state
    submit 7
    until_true 30 has_records "$KAFKA_EVENTS_TOPICS" 1
    submit 8
    until_true 30 has_records "$KAFKA_EVENTS_TOPICS" 2
    pid=${started[0]}
    kill "$pid"
    status_of 0 wait "$pid"
    check_topics
    LOG_LEVEL=info start -e 2>said
    [ "$(grep -c deriving said)" -eq 0 ]
}

@test "a lost state is derived again and compared" {
    make_topics 4
    submit 1 2 3 4 5 6 7 8
    status_of 0 start -e
    rm -r state
    submit 9
    LOG_LEVEL=info start -e 2>said
    grep -q "deriving from 0" said
    check_topics
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq 9 ]
}

@test "a state that was copied while it was in use goes on from there when it is restored" {
    needs mdb_copy
    make_topics 3
    submit {1..300}
    background calc-handle -i kafka: -o kafka: -r kafka: --state state
    until_true 30 outcomes_are_as_many
    # as calc-overview(7) says
    sed -n '/^for n in/,/^done/{s/\\(aq/'"'"'/g;p}' "$root/man/calc-overview.7" >backup-state
    grep -q mdb_copy backup-state
    bash -eu backup-state
    submit {301..600}
    until_true 30 outcomes_are_as_many
    pid=${started[0]}
    kill "$pid"
    status_of 0 wait "$pid"
    rm -r state
    cp -a backup/state state
    status_of 0 start -e
    submit {601..700}
    status_of 0 start -e
    check_topics
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq 700 ]
}

@test "without committed offsets it goes on behind the last outcomes" {
    make_topics 4
    submit 1 2 3 4 5 6 7 8
    status_of 0 start -e
    submit 9
    KAFKA_COMMANDS_GROUP_ID=$KAFKA_COMMANDS_GROUP_ID-other start -e
    check_topics
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq 9 ]
}

@test "without committed offsets and without a state, too" {
    make_topics 4
    submit 1 2 3 4 5 6 7 8
    status_of 0 start -e
    submit 9
    rm -r state
    KAFKA_COMMANDS_GROUP_ID=$KAFKA_COMMANDS_GROUP_ID-other start -e
    check_topics
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq 9 ]
}

@test "a command in another partition than its value's is misplaced, and harms nobody" {
    make_topics 4
    calc-submit create 7 >asked
    id=$(jq -r .data.value_id asked)
    write_commands <asked
    own=$(kcat -C -e -q -b "$KAFKA_BROKER" -t "$KAFKA_COMMANDS_TOPICS" -f '%p')
    write_topic "$KAFKA_COMMANDS_TOPICS" -p $(((own + 1) % 4)) <asked
    calc-submit add "$id" 1 | write_topic "$KAFKA_COMMANDS_TOPICS" -p $(((own + 2) % 4))
    calc-submit -o kafka: add "$id" 2 >acks
    status_of 0 start -e
    check_topics
    [ "$(read_topic "$KAFKA_REJECTIONS_TOPICS" | jq -r .reason | sort -u)" = misplaced ]
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | jq -s 'map(.result) | max')" = 9 ]
}

@test "empty records are blank lines, and records with a newline in them are malformed" {
    make_topics 1
    printf '|  |\r|{"a":\n1}|' | write_topic "$KAFKA_COMMANDS_TOPICS" -D '|'
    printf 'key:' | write_topic "$KAFKA_COMMANDS_TOPICS" -K : -Z
    status_of 0 start -e
    check_topics
    [ "$(read_topic "$KAFKA_REJECTIONS_TOPICS" | jq -r .reason)" = malformed ]
}

@test "a record that is too long is malformed, first and last, and the state knows it again" {
    make_topics 1
    head -c 70000 /dev/zero | tr '\0' x | write_topic "$KAFKA_COMMANDS_TOPICS"
    status_of 0 start -e
    status_of 0 start -e
    submit 7
    head -c 65537 /dev/zero | tr '\0' y | write_topic "$KAFKA_COMMANDS_TOPICS"
    status_of 0 start -e
    status_of 0 start -e
    check_topics
    [ "$(read_topic "$KAFKA_REJECTIONS_TOPICS" | wc -l)" -eq 2 ]
}

@test "SIGTERM ends it in time though the broker is away or hangs" {
    make_topics 4
    for how in kill pause; do
        submit 1 2 3
        background calc-handle -i kafka: -o kafka: -r kafka: --state state
        pid=${started[-1]}
        until_true 30 outcomes_are_as_many
        "$kafka" "$how" "$KAFKA_DIR"
        kill "$pid"
        until_true 20 ended "$pid"
        status_of 0 wait "$pid"
        [ "$how" != pause ] || "$kafka" resume "$KAFKA_DIR"
        "$kafka" start "$KAFKA_DIR" >address
    done
    status_of 0 start -e
    check_topics
}

# As librdkafka 2.0 does when the group's coordinator goes away amidst a transaction, now and then.
@test "SIGTERM ends it in time though librdkafka never answers about offsets, and nothing is lost" {
    make_topics 4
    submit 1 2 3
    gcc -shared -fPIC -x c -o never.so - <<'END'
#include <fcntl.h>
#include <unistd.h>
void *rd_kafka_send_offsets_to_transaction(void)
{
    for (creat("asked", 0600);;)
        pause();
}
END
    background env LD_PRELOAD="$PWD/never.so" ASAN_OPTIONS=verify_asan_link_order=0 \
        calc-handle -i kafka: -o kafka: -r kafka: --state state 2>said
    pid=${started[-1]}
    until_true 30 test -e asked
    kill "$pid"
    until_true 20 ended "$pid"
    status_of 75 wait "$pid"
    [ "$(tail -n 1 said)" = "calc-handle: Kafka doesn't answer, and what becomes of the last transaction is for the next start to find" ]
    status_of 0 start -e
    check_topics
}

@test "a second handler on the same state, or under the same name, ends with 75" {
    make_topics 2
    background calc-handle -i kafka: -o kafka: -r kafka: --state state --instance one
    pid=${started[0]}
    submit 1
    until_true 30 has_records "$KAFKA_EVENTS_TOPICS" 1
    status_of 75 start -e --instance two 2>said
    grep -q "another calc-handle" said
    # under the same name the newer one fences the older one
    status_of 0 timeout 60 calc-handle -i kafka: -o kafka: -r kafka: --state other -e --instance one
    submit 2
    status_of 75 wait "$pid"
    status_of 0 start -e --instance one
    check_topics
}

@test "a state of another log is refused" {
    make_topics 2
    submit 1
    status_of 0 start -e
    make_topics 2
    submit 1 2 3 4 5 6 7 8
    status_of 65 start -e 2>said
    grep -q "is of another log" said
    [ -z "$(read_topic "$KAFKA_EVENTS_TOPICS")" ]
}

@test "outputs that are not what the commands derive are refused, with the place" {
    make_topics 1
    submit 1
    status_of 0 start -e
    old=$KAFKA_COMMANDS_TOPICS
    make_topics 1
    export KAFKA_COMMANDS_TOPICS=$old
    rm -r state
    # events of the same group's offset are gone: another topic is there in their place
    KAFKA_COMMANDS_GROUP_ID=commands-processors-$BATS_TEST_NUMBER-1 status_of 65 start -e 2>said
    grep -q "outcomes are lost" said
}

@test "a setting that the brokers refuse ends it with 78" {
    make_topics 1
    status_of 78 start -e -X session.timeout.ms=100 -X heartbeat.interval.ms=50 2>said
    grep -qi "session timeout" said
}

@test "foreign records in an output are refused" {
    make_topics 1
    echo '{"hello":1}' | write_topic "$KAFKA_EVENTS_TOPICS"
    submit 1
    status_of 78 start -e 2>said
    grep -q "is no outcome of this handler" said
}

@test "wrong combinations of streams are refused" {
    make_topics 1
    status_of 64 calc-handle -i kafka: -o kafka: 2>said
    status_of 64 calc-handle -i commands.jsonl -o kafka: -r kafka: 2>said
    grep -q "only if the commands come from one" said
    status_of 64 calc-handle -i kafka: -o events.jsonl -r rejections.jsonl 2>said
    status_of 64 calc-handle -i kafka:a -o kafka:a -r kafka:b 2>said
    status_of 64 calc-handle -i commands.jsonl --state x 2>said
    status_of 64 start --instance 'a b' 2>said
    status_of 64 start -X isolation.level=read_uncommitted 2>said
    grep -q "isolation.level can't be set" said
    [ ! -e events.jsonl ]
}

@test "commands of a topic can be handled to stdout" {
    make_topics 4
    submit 1 2 3 4 5 6 7 8
    timeout 60 calc-handle -e -i kafka: >events
    [ "$(wc -l <events)" -eq 8 ]
    [ "$(calc-project <events | wc -l)" -eq 8 ]
}

# --- when something is wrong with one partition, or with Kafka ---

# A group misses who is gone after a second.
quick=(-X session.timeout.ms=1000 -X heartbeat.interval.ms=300)

outcomes() {
    read_topic "$KAFKA_EVENTS_TOPICS" | wc -l
}

@test "a partition whose state is damaged ends its handler, and others do the work of all" {
    make_topics 2
    submit {1..40} # in both partitions
    status_of 0 start -e "${quick[@]}"
    cp state/1/data.mdb whole
    head -c "$(stat -c %s whole)" /dev/urandom >state/1/data.mdb
    cp state/0/data.mdb before
    submit {41..80}
    status_of 65 start "${quick[@]}" 2>said
    grep -q 'state/1' said
    [ "$(outcomes)" -eq 40 ]
    cmp state/0/data.mdb before
    # the damage is that one handler's
    status_of 0 timeout 60 calc-handle -e -i kafka: -o kafka: -r kafka: --state other "${quick[@]}"
    [ "$(outcomes)" -eq 80 ]
    # which goes on without
    rm -r state/1
    submit {81..90}
    status_of 0 start -e "${quick[@]}"
    [ "$(outcomes)" -eq 90 ]
    check_topics
}

@test "a partition of commands whose beginning was cut off ends every handler" {
    make_topics 2
    submit {1..40} # in both partitions
    status_of 0 start -e "${quick[@]}"
    printf '{"version":1,"partitions":[{"topic":"%s","partition":0,"offset":1}]}' "$KAFKA_COMMANDS_TOPICS" >cut.json
    "$kafka" tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "$KAFKA_BROKER" \
        --offset-json-file cut.json
    submit {41..80}
    before=$(read_topic "$KAFKA_EVENTS_TOPICS" -p 0 | wc -l)
    for state in state other; do
        status_of 65 timeout 60 calc-handle -i kafka: -o kafka: -r kafka: --state $state "${quick[@]}" 2>said
        grep -q "$KAFKA_COMMANDS_TOPICS, partition 0: a position isn't there" said
    done
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" -p 0 | wc -l)" -eq "$before" ]
}

# page PATTERN: the block of calc-kafka(7) with these lines in it.
page() {
    awk -v pattern="$1" '/^\.Bd -literal/ { block = ""; here = 1; next } /^\.Ed/ { here = 0
        if (block ~ pattern) printf "%s", block } here { block = block $0 "\n" }' \
        "$root/man/calc-kafka.7" | sed 's/\\e$/\\/'
}

# shellcheck disable=SC2317 # the page's lines call them
kafka-transactions.sh() {
    "$kafka" tool org.apache.kafka.tools.TransactionsCommand "$@"
}

# shellcheck disable=SC2317
kafka-consumer-groups.sh() {
    "$kafka" tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"
}

# The coordinator is robbed of all that it knows. The long form also waits until a handler gives it up.
@test "a transaction that never ends holds up readers until it is aborted as the page says" {
    needs gcc
    gcc -Wall -Werror -o transact "$root/tests/kafka/transact.c" -lrdkafka
    make_topics 2
    submit 1 2 3 4 5 6 7 8
    status_of 0 start -e
    printf 'somebody\tlost\n' | ./transact "$KAFKA_EVENTS_TOPICS" leave
    "$kafka" stop "$KAFKA_DIR"
    rm -r "$KAFKA_DIR"/node-1/data/__transaction_state-*
    "$kafka" start "$KAFKA_DIR" >address
    submit 11 12 13 14 15 16 17 18
    calc-project -e -i kafka: -r kafka: --view view
    [ "$(calc-get --view view --all | wc -l)" -eq 8 ]
    if [ -n "${HANG-}" ]; then
        status_of 75 timeout 90 calc-handle -e -i kafka: -o kafka: -r kafka: --state state 2>said
        grep -q 'a transaction is open from .* on.*kafka-transactions.sh' said
    fi
    background calc-handle -e -i kafka: -o kafka: -r kafka: --state state

    page kafka-transactions.sh >lines
    # shellcheck disable=SC1090
    source <(sed '/abort/d; s/find-hanging.*/& --max-transaction-timeout 0/' lines) >found
    cat found
    read -r topic partition _ _ _ offset _ < <(tail -n +2 found)
    [ "$topic" = "$KAFKA_EVENTS_TOPICS" ]
    [ "$(outcomes)" -eq 8 ] && kill -0 "${started[0]}"
    # shellcheck disable=SC1090
    source <(sed "/find-hanging/d; s/topic events/topic $topic/; s/partition 0/partition $partition/
        s/offset 17/offset $offset/" lines)

    status_of 0 wait "${started[0]}"
    check_topics
    [ "$(outcomes)" -eq 16 ]
    calc-project -e -i kafka: -r kafka: --view view
    [ "$(calc-get --view view --all | wc -l)" -eq 16 ]
}

forget_offsets() {
    # shellcheck disable=SC1090
    source <(page delete-offsets | sed "s/commands-processors/$KAFKA_COMMANDS_GROUP_ID/
        s/topic commands/topic $KAFKA_COMMANDS_TOPICS/") >forgotten
    [ "$(grep -c Successful forgotten)" -eq 2 ]
}

@test "offsets that are ahead of the outcomes are found, and the group forgets them as the page says" {
    make_topics 2
    submit {1..40}
    status_of 0 start -e
    submit {41..80}
    # another's, who decides nothing
    KAFKA_COMMANDS_GROUP_ID=$KAFKA_COMMANDS_GROUP_ID-ahead
    timeout 30 kcat -b "$KAFKA_BROKER" -G "$KAFKA_COMMANDS_GROUP_ID" -e -q -X auto.offset.reset=earliest \
        "$KAFKA_COMMANDS_TOPICS" >seen
    [ "$(wc -l <seen)" -eq 80 ]
    status_of 65 start -e "${quick[@]}" 2>said
    grep -q "outcomes are lost" said
    calc-verify -i kafka: -o kafka: -r kafka: >verified 2>said
    grep -q "still to come" said
    [ "$(outcomes)" -eq 40 ]
    until_true 30 forget_offsets
    status_of 0 start -e
    check_topics
    [ "$(outcomes)" -eq 80 ]
}
