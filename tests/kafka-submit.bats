#!/usr/bin/env bats
# calc-submit to a topic: acknowledgements that are true, and failures that lose nothing unseen.

load helper
load kafka

setup() {
    needs "${kafka_needs[@]}" jq
    cd "$BATS_TEST_TMPDIR" || return 1
    topic=commands-$BATS_TEST_NUMBER
    create_topic "${partitions:-4},retention.ms=-1,retention.bytes=-1" "$topic"
}

teardown() {
    "$kafka" start "$KAFKA_DIR" >/dev/null # if it was killed
    "$kafka" resume "$KAFKA_DIR" >/dev/null 2>&1 || true
    end_started
}

# inputs COUNT VALUES: creates, then additions, in a shuffle of the values that is always the same.
inputs() {
    python3 - "$@" <<'END'
import random, sys, uuid
chance = random.Random(4)
ids = [uuid.UUID(int=chance.getrandbits(128), version=4) for _ in range(int(sys.argv[2]))]
for value in ids:
    print('{"value_id":"%s","value":1}' % value)
for n in range(int(sys.argv[1]) - len(ids)):
    print('{"id":"%s","value_id":"%s","operation":"ADD","value":%d}'
          % (uuid.UUID(int=chance.getrandbits(128), version=4), chance.choice(ids), n))
END
}

# has_lines COUNT FILE
has_lines() {
    [ "$(grep -c '' "$2")" -eq "$1" ]
}

# open_pipe: fd 7 writes to ./pipe, whether somebody reads it yet or not.
open_pipe() {
    mkfifo pipe
    exec 7<>pipe
}

# acknowledgements_are_true FILE [TOPIC]: each names a record of the topic that holds the command with this id,
# of this value, and no two the same. The records are in ./records then.
acknowledgements_are_true() {
    read_topic_full "${2:-$topic}" | awk -F '\t' '{print $1 ":" $2 "\t" $3 "\t" $5}' >records
    python3 - "$1" <<'END'
import json, sys
records = {}
for line in open("records"):
    position, key, payload = line.rstrip("\n").split("\t")
    records[position] = key, json.loads(payload)
seen = set()
for line in open(sys.argv[1]):
    ack = json.loads(line)
    key, command = records[ack["position"]]
    assert (command["id"], command["data"]["value_id"]) == (ack["id"], ack["value_id"]), ack
    assert key == ack["value_id"], ack
    assert ack["position"] not in seen, ack
    seen.add(ack["position"])
END
}

# no_holes INPUTS: what each partition has of each value is a beginning of what was given for it.
no_holes() {
    read_topic_full "$topic" | cut -f 5 >payloads
    python3 - "$1" <<'END'
import json, sys
given, there = {}, {}
for line in open(sys.argv[1]):
    command = json.loads(line)
    if "operation" in command:
        given.setdefault(command["value_id"], []).append(command["id"])
for line in open("payloads"):
    command = json.loads(line)
    if command["action"] == "UpdateValue":
        there.setdefault(command["data"]["value_id"], []).append(command["id"])
for value, ids in there.items():
    assert ids == given[value][: len(ids)], value
END
}

@test "a command that is acknowledged stands at its position, under its value's id" {
    calc-submit -o "kafka:$topic" create 7 >acks
    id=$(jq -r .value_id acks)
    calc-submit -o "kafka:$topic" add "$id" 3 >>acks
    calc-submit -o "kafka:$topic" multiply "$id" 2 >>acks
    acknowledgements_are_true acks
    [ "$(cut -f 2 records | sort -u)" = "$id" ]
    [ "$(cut -f 1 records | cut -d : -f 2 | paste -sd ' ')" = "0 1 2" ]
    [ "$(cut -f 3 records | jq -r '.data.operation // "-"' | paste -sd ' ')" = "- ADD MULTIPLY" ]
}

@test "many are acknowledged in the order of the input, and keep it for each value" {
    inputs 50000 300 >given
    calc-submit -i given -o "kafka:$topic" >acks
    [ "$(grep -c '' acks)" -eq 50000 ]
    diff <(jq -r .value_id given) <(jq -r .value_id acks)
    acknowledgements_are_true acks
    no_holes given
}

@test "batches that are smaller than the input are acknowledged as they end" {
    inputs 120000 300 >given # more than 16 MiB of commands
    calc-submit -i given -o "kafka:$topic" >acks
    diff <(jq -r .value_id given) <(jq -r .value_id acks)
    acknowledgements_are_true acks
}

@test "the default topic is KAFKA_COMMANDS_TOPICS" {
    KAFKA_COMMANDS_TOPICS=$topic calc-submit -o kafka: create 7 >acks
    acknowledgements_are_true acks
}

@test "a value's partition is the one that murmur2 gives to every client" {
    inputs 200 200 | calc-submit -o "kafka:$topic" >acks
    create_topic 4 theirs
    jq -r '.value_id + "\tx"' acks | write_topic theirs -K '\t'
    diff <(jq -r '.value_id + " " + (.position | split(":")[0])' acks | sort) \
        <(read_topic_full theirs | awk '{print $3 " " $1}' | sort)
    [ "$(jq -r .position acks | cut -d : -f 1 | sort -u | grep -c '')" -eq 4 ]
}

@test "a pause of the input commits at once" {
    open_pipe
    background calc-submit -i pipe -o "kafka:$topic" -X linger.ms=60000 -X message.timeout.ms=90000 >acks 7>&-
    echo '{"value":1}' >&7
    until_true 5 grep -q position acks
    echo '{"value":2}' >&7
    until_true 5 has_lines 2 acks
    exec 7>&-
    wait "${started[0]}"
    acknowledgements_are_true acks
}

@test "bad lines are told with their numbers, and the good ones go through" {
    printf '%s\n' '{"value":1}' nonsense '{"value":2}' '{"value":"x"}' |
        status_of 65 calc-submit -o "kafka:$topic" >acks 2>errors
    [ "$(grep -c '' acks)" -eq 2 ]
    grep -q 'line 2: ' errors
    grep -q 'line 4: ' errors
    acknowledgements_are_true acks
}

@test "--wait prints the outcome from a view" {
    inputs 1 1 | calc-submit -o "kafka:$topic" >acks
    read_topic "$topic" | calc-handle -o events -r rejections
    calc-project -i events -r rejections --view view
    command=$(read_topic "$topic")
    calc-submit -o "kafka:$topic" --wait 5 --view view <<<"$command" >both
    acknowledgements_are_true <(head -n 1 both)
    [ "$(tail -n 1 both | jq -r .status)" = applied ]
    status_of 69 calc-submit -o "kafka:$topic" --wait 0.1 --view view create 8 >both
    [ "$(grep -c '' both)" -eq 1 ]
}

@test "a topic that isn't there is refused, and so is a broker that isn't" {
    status_of 78 calc-submit -o kafka:nowhere create 7 >acks 2>errors
    grep -q "has no topic nowhere" errors
    KAFKA_BROKER=127.0.0.1:1 status_of 75 calc-submit -o "kafka:$topic" -X message.timeout.ms=500 \
        create 7 >>acks 2>errors
    [ ! -s acks ]
    grep -q "Kafka at 127.0.0.1:1: " errors
}

@test "a broker that comes in time is waited for" {
    "$kafka" stop "$KAFKA_DIR"
    background calc-submit -o "kafka:$topic" create 7 >acks
    "$kafka" start "$KAFKA_DIR"
    wait "${started[0]}"
    acknowledgements_are_true acks
}

# has_socket PROCESS: whether it has connected.
has_socket() {
    [[ $(readlink /proc/"$1"/fd/*) == *socket:* ]]
}

@test "SIGTERM ends it while it waits for a broker" {
    "$kafka" pause "$KAFKA_DIR"
    background calc-submit -o "kafka:$topic" create 7
    until_true 10 has_socket "${started[0]}"
    kill "${started[0]}"
    begin=$SECONDS
    status_of 143 wait "${started[0]}"
    ((SECONDS - begin < 3))
}

@test "properties come from the command line and from files, and some are refused" {
    printf '%s\n' '# where' "bootstrap.servers = $KAFKA_BROKER" '' 'compression.type=lz4' >settings
    KAFKA_BROKER=127.0.0.1:1 calc-submit -F settings -o "kafka:$topic" create 7 >acks
    calc-submit -X compression.codec=gzip -o "kafka:$topic" create 7 >>acks
    acknowledgements_are_true acks
    for property in acks=1 enable.idempotence=false topic.partitioner=random retries=0; do
        status_of 64 calc-submit -X "$property" -o "kafka:$topic" create 7 2>errors
        grep -q "can't be set" errors
        echo "$property" >settings
        status_of 78 calc-submit -F settings -o "kafka:$topic" create 7 2>errors
        grep -q "settings, line 1: .* can't be set" errors
    done
    status_of 78 calc-submit -X no.such.thing=1 -o "kafka:$topic" create 7 2>errors
    status_of 64 calc-submit -X nothing -o "kafka:$topic" create 7 2>errors
    status_of 74 calc-submit -F nowhere -o "kafka:$topic" create 7 2>errors
    [ "$(has_records "$topic" 2 && read_topic "$topic" | grep -c '')" -eq 2 ]
}

@test "statistics are lines of JSON on stderr" {
    open_pipe
    background calc-submit -i pipe -o "kafka:$topic" -X statistics.interval.ms=50 >acks 2>errors 7>&-
    for _ in 1 2 3 4 5; do
        echo '{"value":1}' >&7
        sleep 0.1
    done
    exec 7>&-
    wait "${started[0]}"
    grep -m 1 '^{' errors | jq -e .msg_cnt
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

@test "what can't be known is told with 69, and what was acknowledged before is true" {
    open_pipe
    background calc-submit -i pipe -o "kafka:$topic" -X message.timeout.ms=1500 >acks 2>errors 7>&-
    echo '{"value":1}' >&7
    until_true 10 grep -q position acks
    "$kafka" pause "$KAFKA_DIR"
    printf '{"value":%d}\n' 2 3 >&7
    until_true 30 gone "${started[0]}"
    status_of 69 wait "${started[0]}"
    exec 7>&-
    [ "$(grep -c '' acks)" -eq 1 ]
    grep -q "line 2, command .* [12] may be there or not" errors
    "$kafka" resume "$KAFKA_DIR"
    acknowledgements_are_true acks
}

# alter_topic SETTING=VALUE
alter_topic() {
    "$kafka" tool kafka.admin.ConfigCommand \
        --bootstrap-server "$KAFKA_BROKER" --alter --entity-type topics --entity-name "$topic" \
        --add-config "$1" >altered 2>&1
}

@test "what surely isn't there is told with 74 after others, and refuses the topic afterwards" {
    actor=$(printf 'x%.0s' {1..200})
    open_pipe
    background calc-submit -i pipe -o "kafka:$topic" >acks 2>errors 7>&-
    echo '{"value":1}' >&7
    until_true 10 has_lines 1 acks
    alter_topic max.message.bytes=450 # room for a small command, not for two in a batch
    echo '{"value":2}' >&7
    until_true 10 has_lines 2 acks
    echo "{\"value\":3,\"actor\":\"$actor\"}" >&7
    status_of 74 wait "${started[0]}"
    exec 7>&-
    grep -q "line 3, command .*size.* 1 were not, and 0 may be there or not" errors
    acknowledgements_are_true acks
    has_lines 2 acks
    has_lines 2 records
    status_of 78 calc-submit -o "kafka:$topic" create 1 2>errors
    grep -q max.message.bytes errors
    has_lines 2 <(read_topic "$topic")
}

@test "what was never sent is told with 75" {
    open_pipe
    LOG_LEVEL=debug background calc-submit -i pipe -o "kafka:$topic" -X debug=topic \
        -X message.timeout.ms=3000 >acks 2>errors 7>&-
    echo bad >&7
    until_true 20 grep -q '^calc-submit: line 1' errors # so it is ready
    "$kafka" kill "$KAFKA_DIR"
    until_true 10 grep -q 'brokers are down' errors
    printf '{"value":%d}\n' 1 2 >&7
    status_of 75 wait "${started[0]}"
    exec 7>&-
    grep -q "line 2, command .* were not, and 0 may be there or not" errors
    "$kafka" start "$KAFKA_DIR"
    [ ! -s acks ]
    [ -z "$(read_topic "$topic")" ]
}

# What was acknowledged is there, and what is there beyond that was said to be unknown.
check_load() {
    acknowledgements_are_true acks
    no_holes given
    unknown=$(sed -n 's/.*, and \([0-9]*\) may be there or not.*/\1/p' errors)
    acknowledged=$(grep -c '' acks)
    there=$(grep -c '' records)
    echo "$acknowledged acknowledged, $there there, $unknown unknown"
    ((acknowledged <= there && there <= acknowledged + unknown))
}

@test "a broker that stops answering under load leaves true acknowledgements and no hole" {
    open_pipe
    # as fast as it is read, but never more than 100,000 a second
    background bash -c "$(declare -f inputs)
        inputs 10000000 1000 | python3 -c '
import sys, time
given = open(\"given\", \"w\")
for n, line in enumerate(sys.stdin):
    given.write(line)
    sys.stdout.write(line)
    if n % 1000 == 999:
        given.flush()
        sys.stdout.flush()
        time.sleep(0.01)' >pipe" 2>/dev/null 7>&-
    background calc-submit -i pipe -o "kafka:$topic" -X message.timeout.ms=2000 >acks 2>errors 7>&-
    until_true 20 grep -q position acks
    "$kafka" pause "$KAFKA_DIR"
    status_of 69 wait "${started[1]}"
    exec 7>&-
    "$kafka" resume "$KAFKA_DIR"
    check_load
}

@test "a broker that is killed under load leaves true acknowledgements and no hole" {
    inputs 1000000 1000 >given
    background calc-submit -i given -o "kafka:$topic" -X message.timeout.ms=2000 >acks 2>errors
    until_true 20 grep -q position acks
    "$kafka" kill "$KAFKA_DIR"
    status=0
    wait "${started[0]}" || status=$?
    [[ $status =~ ^(69|74)$ ]]
    "$kafka" start "$KAFKA_DIR"
    check_load
}

@test "a broker that is killed and comes back in time loses nothing" {
    restart() {
        "$kafka" kill "$KAFKA_DIR"
        "$kafka" start "$KAFKA_DIR"
    }
    inputs 250000 1000 >given
    background calc-submit -i given -o "kafka:$topic" >acks 2>errors
    until_true 20 grep -q position acks
    restart
    wait "${started[0]}"
    [ "$(grep -c '' acks)" -eq 250000 ]
    acknowledgements_are_true acks
    no_holes given
    [ "$(grep -c '' records)" -eq 250000 ]
}

@test "a topic of inputs is followed, and a signal ends it after what was read" {
    create_topic 1 inputs
    calc-submit create 1 | write_topic inputs
    background calc-submit -i kafka:inputs -o "kafka:$topic" >acks 2>errors
    until_true 20 has_lines 1 acks
    printf '%s\n' nonsense '{"value":2}' | write_topic inputs
    until_true 20 has_lines 2 acks
    kill "${started[0]}"
    status_of 65 wait "${started[0]}"
    grep -q 'record 0:1: ' errors
    acknowledgements_are_true acks
}

@test "a topic of inputs is read to its end with -e, from where --from says" {
    create_topic 1 earlier
    printf '{"value":%d}\n' 1 2 3 | write_topic earlier
    values() {
        calc-submit -e -i kafka:earlier "$@" | jq -c .data.value
    }
    [ "$(values | paste -sd ' ')" = "1 2 3" ]
    [ "$(values --from 1 | paste -sd ' ')" = "2 3" ]
    [ "$(values --from beginning | paste -sd ' ')" = "1 2 3" ]
    [ -z "$(values --from end)" ]
    [ "$(values --from @2020-01-01T00:00:00Z | paste -sd ' ')" = "1 2 3" ]
    calc-submit -e -i kafka:earlier -o "kafka:$topic" >acks
    has_lines 3 acks
    acknowledgements_are_true acks
    calc-submit -e -i kafka:earlier -o file >acks
    diff <(jq -c '[.id, .position]' acks) \
        <(awk -v at=0 '{print at "\t" $0; at += length($0) + 1}' file | sed -E 's/^([0-9]+)\t.*,"id":"([^"]*)".*/["\2","\1"]/')
}

@test "what makes no sense with topics of inputs is refused" {
    status_of 64 calc-submit -i kafka: 2>errors
    status_of 64 calc-submit --from end 2>errors
    status_of 64 calc-submit -e -f -i kafka:inputs 2>errors
    status_of 64 calc-submit -i "kafka:$topic" -o "kafka:$topic" 2>errors
    KAFKA_COMMANDS_TOPICS=$topic status_of 64 calc-submit -i "kafka:$topic" -o kafka: 2>errors
    status_of 64 calc-submit -e -i "kafka:$topic" --from yesterday 2>errors
    status_of 78 calc-submit -e -i kafka:nowhere 2>errors
}

# catches_term PROCESS: whether SIGTERM asks it to end, and no longer kills it.
catches_term() {
    (((0x$(sed -n 's/^SigCgt:\s*//p' "/proc/$1/status") >> 14) & 1))
}

@test "a signal ends it while it waits for a broker, with and without a topic of inputs" {
    create_topic 1 waiting
    "$kafka" pause "$KAFKA_DIR"
    background calc-submit -i kafka:waiting -o "kafka:$topic"
    background calc-submit -f -i inputs -o "kafka:$topic"
    until_true 10 catches_term "${started[0]}"
    until_true 10 catches_term "${started[1]}"
    begin=$SECONDS
    kill "${started[@]}"
    status_of 0 wait "${started[0]}"
    status_of 0 wait "${started[1]}"
    ((SECONDS - begin < 8))
}
