#!/usr/bin/env bats
# calc-project on topics: what is folded from partitions is what files of the same events fold to.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper
load kafka

# A broker that can deny: it allows what nothing is said about.
setup_file() {
    local program
    for program in "${kafka_needs[@]}"; do
        command -v "$program" >/dev/null || return 0
    done
    mkdir "$BATS_FILE_TMPDIR/kafka"
    printf '%s\n' authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
        allow.everyone.if.no.acl.found=true >"$BATS_FILE_TMPDIR/kafka/own.properties"
    start_broker
}

# id NUMBER: a UUID.
id() {
    printf '00000000-0000-4000-8000-%012d' "$1"
}

# event VALUE VERSION EVENT RESULT: ids by their numbers; its command's is the event's + 1000.
event() {
    local action=ValueUpdated operation='"operation":"ADD",'
    [ "$2" -ne 1 ] || action=ValueCreated operation=
    printf '{"action":"%s","id":"%s","parent":"%s","data":{"value_id":"%s",%s"value":1.0},"version":%d,"result":%s}\n' \
        $action "$(id "$3")" "$(id $(($3 + 1000)))" "$(id "$1")" "$operation" "$2" "$4"
}

# state VALUE NUMBER VERSION: the line that tells it.
state() {
    printf '{"value_id":"%s","value":%s,"version":%d}\n' "$(id "$1")" "$2" "$3"
}

# equals TEXT EXPECTED
equals() {
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$1")
}

with_keys() {
    sed -E 's/.*"value_id":"([^"]*)".*/\1\t&/'
}

# to_events, to_rejections: lines to their topics, with their keys.
to_events() {
    with_keys | write_topic "$KAFKA_EVENTS_TOPICS" -K '\t'
}

to_rejections() {
    with_keys | write_topic "$KAFKA_REJECTIONS_TOPICS" -K '\t'
}

# make_logs COUNT: files of events and rejections (those that have a value), and what they fold to.
make_logs() {
    "$root/tests/bench/make.py" "$1" | calc-handle -o events -r rejections
    calc-project -i events -r rejections --view of-files
    calc-get --view of-files --all >values
}

project() {
    calc-project -e -i kafka: -r kafka: "$@"
}

# follow VIEW: in the background.
follow() {
    calc-project -i kafka: -r kafka: --view "$1" 2>>errors 3>&- &
    started+=($!)
}

# shows VIEW FILE
shows() {
    [ -e "$1/current" ] && calc-get --view "$1" --all | cmp -s - "$2"
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# ends STATUS [SIGNAL]: the first process that was started ends with this status.
ends() {
    [ -z "${2-}" ] || kill -"$2" "${started[0]}"
    until_true 20 gone "${started[0]}"
    status_of "$1" wait "${started[0]}"
    started=("${started[@]:1}")
}

# kafka_tool CLASS OPTION...: one of Kafka's own.
kafka_tool() {
    "$kafka" tool "org.apache.kafka.tools.$1" \
        --bootstrap-server "$KAFKA_BROKER" "${@:2}" 2>&1
}

# A test that failed may have left it away.
teardown() {
    end_started
    [ -z "${KAFKA_DIR-}" ] || "$kafka" start "$KAFKA_DIR" >/dev/null
}

# lag GROUP: topic, partition and lag of what it has published.
lag() {
    kafka_tool consumer.group.ConsumerGroupCommand --describe --group "$1" |
        awk '$1 == group { print $2, $3, $6 }' group="$1" | LC_ALL=C sort
}

# --- folding ---

@test "several partitions fold to what files of the same events do" {
    make_topics 3
    make_logs 3000
    to_events <events
    to_rejections <rejections
    project --view view
    shows view values
    project >printed
    cmp printed values
    calc-project -e -i "kafka:$KAFKA_EVENTS_TOPICS" >printed
    cmp printed values
    value=$(jq -r .data.value_id <rejections | head -n 1)
    command=$(jq -r .parent <rejections | head -n 1)
    equals "$(calc-get --view view --command "$command" "$value")" \
        "$(calc-get --view of-files --command "$command" "$value")"
}

@test "empty topics fold to nothing" {
    make_topics 2
    run -0 project
    [ -z "$output" ]
    project --view view
    run -0 calc-get --view view --all
    [ -z "$output" ]
}

@test "empty, null and blank records are passed over" {
    make_topics 1
    event 1 1 10 1.0 | to_events
    printf 'key\t\n' | write_topic "$KAFKA_EVENTS_TOPICS" -K '\t'
    printf 'key\t\n' | write_topic "$KAFKA_EVENTS_TOPICS" -K '\t' -Z
    printf ' \t\r\1' | write_topic "$KAFKA_EVENTS_TOPICS" -D '\x01'
    event 1 2 11 2.0 | to_events
    equals "$(project)" "$(state 1 2.0 2)"
}

@test "a restart goes on where its view is, whatever the group says" {
    make_topics 3
    make_logs 2000
    count=$(($(wc -l <events) / 2))
    head -n "$count" events | to_events
    project --view view
    cp view/current/data.mdb before
    project --view view
    KAFKA_EVENTS_GROUP_ID=another project --view view
    cmp view/current/data.mdb before # nothing was taken, so there was no transaction
    tail -n +$((count + 1)) events | to_events
    to_rejections <rejections
    KAFKA_EVENTS_GROUP_ID=$KAFKA_EVENTS_GROUP_ID-2 project --view view
    shows view values
}

@test "partitions that had nothing yet are read from their beginning" {
    make_topics 4
    make_logs 300
    value=$(jq -r .data.value_id <events | head -n 1)
    grep -F "$value" events | to_events
    project --view view
    grep -vF "$value" events | to_events
    project --view view
    shows view values
}

@test "two projectors have two whole views" {
    make_topics 3
    make_logs 2000
    follow one
    follow two
    to_events <events
    to_rejections <rejections
    until_true 30 shows one values
    until_true 30 shows two values
    ends 0 TERM
    ends 0 TERM
}

@test "a view that is restored from a copy goes on from where that was" {
    make_topics 3
    make_logs 2000
    count=$(($(wc -l <events) / 3))
    head -n "$count" events | to_events
    project --view view
    cp -a view copy
    tail -n +$((count + 1)) events | to_events
    project --view view
    shows view values
    rm -rf view
    cp -a copy view
    project --view view
    shows view values
}

@test "a view is rebuilt from topics while its projector runs, and goes on" {
    make_topics 3
    make_logs 3000
    count=$(($(wc -l <events) / 2))
    follow view
    projector=$!
    head -n "$count" events | to_events
    to_rejections <rejections
    head -n "$count" events | calc-project >half
    until_true 30 shows view half
    tail -n +$((count + 1)) events | to_events &
    run timeout 60 calc-project --rebuild -e -i kafka: -r kafka: --view view
    echo "$output"
    [ "$status" = 0 ]
    [ "$(readlink view/current)" = 2 ]
    wait $!
    until_true 30 shows view values
    until_true 20 lag_is 0 6 # as that of the view that is in use
    status_of 64 calc-project --rebuild -e -i kafka: --view view
    kill "$projector"
    until_true 20 gone "$projector"
    status_of 0 wait "$projector"
    started=()
    project --rebuild --view view
    [ "$(readlink view/current)" = 3 ]
    shows view values
    calc-project --rebuild -i kafka: -r kafka: --view view 2>>errors 3>&- &
    started+=($!)
    event 1 1 10 1.0 | to_events
    { state 1 1.0 1 && cat values; } | LC_ALL=C sort >values-and-one
    until_true 30 shows view values-and-one
    [ "$(readlink view/current)" = 4 ]
    ends 0 TERM
    [ ! -s errors ]
}

@test "a view of an older format is rebuilt from topics when a projector starts" {
    needs perl
    make_topics 2
    make_logs 1000
    to_events <events
    to_rejections <rejections
    project --view view
    perl -pi -e 's/(format\0{7})./$1\x01/gs' view/1/data.mdb
    follow view
    until_true 30 shows view values
    [ "$(readlink view/current)" = 2 ]
    ends 0 TERM
}

@test "a projector that is killed again and again misses nothing and doubles nothing" {
    make_topics 3
    make_logs 6000
    split -l 600 events part
    for part in part*; do
        follow view
        to_events <"$part"
        sleep "0.0$((RANDOM % 10))"
        kill -KILL "${started[0]}"
        ! wait "${started[0]}"
        started=()
    done
    to_rejections <rejections
    project --view view
    shows view values
}

@test "what a transaction left aborted is not seen, and its markers are no end" {
    needs gcc
    make_topics 2
    gcc -Wall -Werror -o transact "$root/tests/kafka/transact.c" -lrdkafka
    event 1 1 10 1.0 | with_keys | ./transact "$KAFKA_EVENTS_TOPICS" commit
    { event 1 2 66 6.0 && event 2 1 67 6.0; } | with_keys | ./transact "$KAFKA_EVENTS_TOPICS" abort
    project --view view
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
    project --view view
    { event 1 2 11 2.0 && event 2 1 12 3.0; } | with_keys |
        ./transact "$KAFKA_EVENTS_TOPICS" commit
    { event 1 3 68 6.0 && event 2 2 69 6.0; } | with_keys | ./transact "$KAFKA_EVENTS_TOPICS" abort
    project --view view
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2 && state 2 3.0 1)"
    until_true 20 lag_is 0 1 # both values are in one partition
}

# lag_is LAG COUNT: so many partitions have it, and none another one.
lag_is() {
    lag "$KAFKA_EVENTS_GROUP_ID" >lags
    [ "$(wc -l <lags)" -eq "$2" ] && [ "$(awk -v lag="$1" '$3 != lag' lags | wc -l)" -eq 0 ]
}

# --- following ---

@test "topics are followed, until a signal ends it with 0" {
    make_topics 2
    follow view
    event 1 1 10 1.0 | to_events
    state 1 1.0 1 >values
    until_true 20 shows view values
    event 1 2 11 2.0 | to_events
    state 1 2.0 2 >values
    until_true 20 shows view values
    ends 0 TERM
    calc-project -f -i kafka: --view view 2>errors 3>&- &
    started+=($!)
    event 1 3 12 3.0 | to_events
    state 1 3.0 3 >values
    until_true 20 shows view values
    ends 0 INT
    [ ! -s errors ]
}

@test "a broker that is away is waited for, and that is said once" {
    make_topics 2
    follow view
    event 1 1 10 1.0 | to_events
    state 1 1.0 1 >values
    until_true 20 shows view values
    "$kafka" kill "$KAFKA_DIR"
    until_true 20 grep -q "waiting for it" errors
    "$kafka" start "$KAFKA_DIR"
    until_true 30 grep -q "answers again" errors
    event 1 2 11 2.0 | to_events
    state 1 2.0 2 >values
    until_true 20 shows view values
    ends 0 TERM
    [ "$(wc -l <errors)" -eq 2 ]
}

@test "a signal ends it soon though its broker is stuck" {
    make_topics 1
    follow view
    event 1 1 10 1.0 | to_events
    state 1 1.0 1 >values
    until_true 20 shows view values
    event 1 2 11 2.0 | to_events # what is published of it will have no answer
    state 1 2.0 2 >values
    until_true 20 shows view values
    "$kafka" pause "$KAFKA_DIR"
    ends 0 TERM
    "$kafka" resume "$KAFKA_DIR"
}

@test "a broker that isn't there yet is waited for, and a signal ends the wait" {
    make_topics 1
    "$kafka" kill "$KAFKA_DIR"
    follow view
    until_true 20 grep -q "waiting for it" errors
    ends 0 TERM
    follow view
    until_true 20 grep -q "waiting for it" errors
    "$kafka" start "$KAFKA_DIR"
    event 1 1 10 1.0 | to_events
    state 1 1.0 1 >values
    until_true 30 shows view values
    "$kafka" kill "$KAFKA_DIR"
    ends 0 TERM
    run -75 --separate-stderr timeout 30 calc-project -e -i kafka: --view view
    [[ $stderr == *"$KAFKA_BROKER"* ]]
    "$kafka" start "$KAFKA_DIR"
}

@test "its group shows the lag, and 0 when all was taken" {
    make_topics 2
    make_logs 300
    follow view
    to_events <events
    to_rejections <rejections
    until_true 20 shows view values
    until_true 20 lag_is 0 4
    ends 0 TERM
    event 1 1 10 1.0 | to_events
    lag "$KAFKA_EVENTS_GROUP_ID" >lags
    [ "$(awk '{ sum += $3 } END { print sum }' lags)" -eq 1 ]
}

# --- what is refused ---

# Of three partitions value 1 is in 0, value 2 in 2; of two both are in 0, and value 3 is in 1.

@test "a gap, a fork and an unreadable event stop it at their position, after what came before" {
    make_topics 3
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 2 1 20 1.0; } | to_events
    project --view view
    { event 1 3 12 3.0 && event 1 5 14 5.0; } | to_events
    run -65 --separate-stderr project --view view
    [[ $stderr == "calc-project: kafka:$KAFKA_EVENTS_TOPICS at 0:3: a gap: version 5 of value $(id 1)"* ]]
    equals "$(calc-get --view view --all)" "$(state 1 3.0 3 && state 2 1.0 1)"
    for position in 0:2 2:3 3 1:3; do
        run -65 project --view view --skip "events:$position"
    done
    run -65 project --view view --skip rejections:0:3
    event 1 6 15 6.0 | to_events
    run -0 --separate-stderr project --view view --skip events:0:3
    [[ $stderr == *" at 0:3: left out, as --skip says"* ]]
    equals "$(calc-get --view view "$(id 1)")" "$(state 1 6.0 6)"
    event 2 1 21 7.0 | to_events
    run -65 --separate-stderr project --view view
    [[ $stderr == *" at 2:1: a fork: version 1 of value $(id 2)"* ]]
    project --view view --skip events:2:1
    printf 'two\nlines\1' | write_topic "$KAFKA_EVENTS_TOPICS" -p 1 -D '\x01'
    run -65 --separate-stderr project --view view
    [[ $stderr == *" at 1:0: unreadable: a newline is in it"* ]]
    { printf '%70000s' x && echo; } | write_topic "$KAFKA_EVENTS_TOPICS" -p 1
    run -65 --separate-stderr project --view view --skip events:1:0
    [[ $stderr == *" at 1:1: unreadable: longer than 65536 bytes"* ]]
    project --view view --skip events:1:0 --skip events:1:1
    for position in 1:x x:1 -1:0 1: :1 1:2:3; do
        run -64 project --view view --skip "events:$position"
    done
}

@test "it follows up to what it can't read, and stops there" {
    make_topics 2
    follow view
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 1 4 13 4.0; } | to_events
    ends 65
    grep -qF " at 0:2: a gap" errors
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
}

@test "an unknown topic is 78" {
    run -78 --separate-stderr calc-project -e -i kafka:nowhere-of-all
    [[ $stderr == *"no topic nowhere-of-all"* ]]
    make_topics 1
    run -78 --separate-stderr calc-project -i kafka: -r kafka:nowhere-of-all --view view
    [[ $stderr == *"no topic nowhere-of-all"* ]]
}

@test "a topic that may not be read is 78, and a group only shows no lag" {
    make_topics 1
    deny() {
        kafka_tool AclCommand --add --deny-principal User:ANONYMOUS --operation "$@"
    }
    deny All --group "$KAFKA_EVENTS_GROUP_ID"
    event 1 1 10 1.0 | to_events
    run -0 --separate-stderr project --view view
    [ -z "$stderr" ]
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
    follow view
    event 1 2 11 2.0 | to_events
    state 1 2.0 2 >values
    until_true 20 shows view values
    deny Read --topic "$KAFKA_EVENTS_TOPICS"
    ends 78
    grep -q "$KAFKA_EVENTS_TOPICS.*authorization" errors
    run -78 --separate-stderr project --view view
    [[ $stderr == *"$KAFKA_EVENTS_TOPICS"*authorization* ]]
}

@test "partitions that were added later are 78, at its start and while it follows" {
    make_topics 2
    event 1 1 10 1.0 | to_events
    project --view view
    cp view/current/data.mdb before
    calc-project -i kafka: --view other 2>errors 3>&- &
    started+=($!)
    state 1 1.0 1 >values
    until_true 20 shows other values
    kafka_tool TopicCommand --alter --topic "$KAFKA_EVENTS_TOPICS" --partitions 4
    run -78 --separate-stderr calc-project -e -i kafka: --view view
    [[ $stderr == *"$KAFKA_EVENTS_TOPICS has 4 partitions, and the view was folded from 2"*"Make new topics and write the commands again"* ]]
    cmp view/current/data.mdb before
    ends 78
    grep -q "has 4 partitions now, and had 2.*Make new topics and write the commands again" errors
}

@test "a topic that was made anew is 65, whatever is in it by then" {
    make_topics 2
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 1 3 12 3.0; } | to_events
    project --view view
    cp view/current/data.mdb before
    make_events_anew
    run -65 --separate-stderr project --view view
    [[ $stderr == *"$KAFKA_EVENTS_TOPICS ends before 0:3, which the view has reached"* ]]
    event 1 1 10 1.0 | to_events # the same first one
    run -65 --separate-stderr project --view view
    [[ $stderr == *"$KAFKA_EVENTS_TOPICS ends before 0:"[23]* ]]
    { event 1 2 11 2.0 && event 1 3 13 3.0; } | to_events
    run -65 --separate-stderr project --view view
    [[ $stderr == *"another log"*"the record at 0:2 is not the one"* ]]
    make_events_anew
    { event 2 1 20 1.0 && event 2 2 21 2.0 && event 2 3 22 3.0; } | to_events
    run -65 --separate-stderr project --view view
    [[ $stderr == *"another log"*"the record at 0:0 is not the one"* ]]
    cmp view/current/data.mdb before
}

# make_events_anew [PARTITIONS]
make_events_anew() {
    kafka_tool TopicCommand --delete --topic "$KAFKA_EVENTS_TOPICS"
    until_true 20 create_topic "${1-2},retention.ms=-1,retention.bytes=-1,cleanup.policy=delete" \
        "$KAFKA_EVENTS_TOPICS"
}

@test "a topic that is deleted while it is followed is 78, and one made anew 65" {
    make_topics 1
    follow view
    { event 1 1 10 1.0 && event 1 2 11 2.0; } | to_events
    state 1 2.0 2 >values
    until_true 20 shows view values
    kafka_tool TopicCommand --delete --topic "$KAFKA_REJECTIONS_TOPICS"
    until_true 40 gone "${started[0]}"
    ends 78
    grep -q "no topic $KAFKA_REJECTIONS_TOPICS" errors
    calc-project -i kafka: --view view 2>errors 3>&- &
    started+=($!)
    event 1 3 12 3.0 | to_events
    state 1 3.0 3 >values
    until_true 20 shows view values
    make_events_anew 1
    ends 65
    grep -q "$KAFKA_EVENTS_TOPICS ends before 0:3" errors
}

@test "nothing is taken of one partition while another one is another log's" {
    make_topics 2
    { event 1 1 10 1.0 && event 3 1 30 1.0; } | to_events
    project --view view
    cp view/current/data.mdb before
    make_events_anew
    { event 3 1 30 1.0 && event 3 2 31 2.0; } | to_events
    run -65 --separate-stderr project --view view
    [[ $stderr == *"ends before 0:1"* ]]
    cmp view/current/data.mdb before
}

# --- where to begin ---

@test "without a view it begins where --from says" {
    make_topics 2
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 3 1 20 7.0; } | to_events
    kcat -C -e -q -b "$KAFKA_BROKER" -t "$KAFKA_EVENTS_TOPICS" -f '%T\n' | sort -n >stamps
    before=$(head -n 1 stamps) last=$(tail -n 1 stamps)
    until_true 20 later_than "$last"
    now=$(date +%s.%N)
    event 1 3 12 3.0 | to_events
    all=$(state 1 3.0 3 && state 3 7.0 1)
    for from in beginning 0 "@${before::-3}" @0 @1970-01-01T00:00:00Z; do
        equals "$(calc-project -e -i kafka: --from "$from")" "$all"
    done
    equals "$(calc-project -e -i kafka: --from 1)" "$(state 1 3.0 3)"
    equals "$(calc-project -e -i kafka: --from "@$now")" "$(state 1 3.0 3)"
    equals "$(calc-project -e -i kafka: --from "@$(date -u -d "@$now" +%FT%T.%6NZ)")" "$(state 1 3.0 3)"
    for from in end @99999999999; do
        run -0 calc-project -e -i kafka: --from "$from"
        [ -z "$output" ]
    done
    run -65 --separate-stderr calc-project -e -i kafka: --from 2
    [[ $stderr == *"ends before 1:2"* ]]
    for from in x 1x -1 "" @ @x @-1 99999999999999999999; do
        run -64 calc-project -e -i kafka: --from "$from"
    done
    run -64 calc-project -i kafka: --from 0 --view view
    [ ! -e view ]
    run -64 calc-project -i stamps --from 0
}

later_than() {
    (($(date +%s%3N) > $1 + 1))
}
