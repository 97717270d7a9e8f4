#!/usr/bin/env bats
# scripts/kafka: a broker or a cluster in a folder. And what tests/kafka.bash makes of it.

# shellcheck disable=SC2154 # helper.bash sets root
load helper
load kafka

# The brokers are each test's own. What is fetched is there before them.
setup_file() {
    export KAFKA_OPTS=-XX:TieredStopAtLevel=1
    ! command -v mvn >/dev/null || "$kafka" classpath
}

setup() {
    needs "${kafka_needs[@]}"
    cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
    local nodes
    for nodes in "$BATS_TEST_TMPDIR"/*/nodes; do
        [ ! -e "$nodes" ] || "$kafka" kill "$(dirname "$nodes")"
    done
    end_started
}

# starts FOLDER OPTION...: on free ports.
starts() {
    KAFKA_BROKER=$("$kafka" start "$1" --port 0 "${@:2}")
}

# its_process FOLDER NODE
its_process() {
    "$kafka" status "$1" | sed -n "s/^node $2 .* process //p"
}

state_is() {
    [ "$("$kafka" status "$1" | sed -n "s/^node $2 \([a-z]*\) .*/\1/p")" = "$3" ]
}

free_port() {
    local port
    while port=$((20000 + SRANDOM % 10000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port"); do
        :
    done 2>/dev/null
    echo "$port"
}

# takes_port PORT: listens there, as a stranger would.
takes_port() {
    background python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open("listens", "w").close()
time.sleep(60)' "$1"
    until_true 10 test -e listens
}

@test "it starts, says its address, answers, and leaves nothing running when stopped" {
    starts one 2>errors
    [ ! -s errors ]
    [ "$("$kafka" address one)" = "$KAFKA_BROKER" ]
    [ "$("$kafka" status one)" = "node 1 running $KAFKA_BROKER process $(its_process one 1)" ]
    create_topic 3,retention.ms=1000 first second.third
    [ "$("$kafka" topics one)" = $'first\nsecond.third' ]
    "$kafka" topics one second.third >about
    grep -q 'Topic: second.third.*PartitionCount: 3.*retention.ms=1000' about
    ! grep -q first about || false
    "$kafka" stop one
    ! pgrep -f "$PWD/one" || false
    status_of 1 "$kafka" status one >said
    [ "$(<said)" = "node 1 stopped $KAFKA_BROKER" ]
}

@test "it listens on this machine only, and logs to a file" {
    starts one
    id=$(its_process one 1)
    ss -Hltnp | grep "pid=$id," >sockets
    [ "$(grep -c '' sockets)" -eq 2 ]
    ! grep -v '127\.0\.0\.1' sockets || false
    grep -q 'INFO.*started' one/node-1/server.log
}

@test "started again, it has its data and its address, also after kill -9" {
    starts one
    create_topic 1 kept
    seq 3 | write_topic kept
    "$kafka" stop one
    [ "$("$kafka" start one)" = "$KAFKA_BROKER" ]
    seq 4 6 | write_topic kept
    "$kafka" kill one
    [ "$("$kafka" start one)" = "$KAFKA_BROKER" ]
    [ "$(read_topic kept)" = "$(seq 6)" ]
}

@test "what runs already is left as it is" {
    starts one
    id=$(its_process one 1)
    [ "$("$kafka" start one)" = "$KAFKA_BROKER" ]
    [ "$(its_process one 1)" = "$id" ]
}

@test "to stop what doesn't run, or never was, is fine" {
    "$kafka" stop nowhere
    [ ! -e nowhere ]
    starts one
    "$kafka" stop one
    "$kafka" stop one
    "$kafka" stop one 1
}

@test "several run side by side" {
    "$kafka" start a --port 0 >address.a 3>&- &
    first=$!
    "$kafka" start b --port 0 >address.b 3>&- &
    wait "$first"
    wait $!
    KAFKA_BROKER=$(<address.a) create_topic 1 only-a
    KAFKA_BROKER=$(<address.b) create_topic 1 only-b
    [ "$(KAFKA_BROKER=$(<address.a) "$kafka" topics a)" = only-a ]
    "$kafka" stop a
    [ "$("$kafka" topics b)" = only-b ]
}

@test "a taken port is a clear error, and nothing stays behind" {
    port=$(free_port)
    takes_port "$port"
    status_of 75 "$kafka" start one --port "$port" 2>errors
    grep -q "port $port is taken" errors
    # its controller's, too
    status_of 75 "$kafka" start two --port $((port - 1)) 2>errors
    grep -q "port $port is taken" errors
    ! pgrep -f "$PWD" || false
    # and another port may be chosen then
    end_started
    other=$(free_port)
    [ "$("$kafka" start one --port "$other")" = "127.0.0.1:$other" ]
}

@test "a broker that can't start says why" {
    KAFKA_OPTS=-Xnonsense status_of 69 "$kafka" start one --port 0 2>errors
    grep -q 'Unrecognized option: -Xnonsense' errors
    grep -q "node 1 doesn't answer" errors
    ! pgrep -f "$PWD" || false
}

@test "a start that is ended takes the broker with it" {
    background "$kafka" start one --port 0
    until_true 20 pgrep -f "kafka.Kafka $PWD/one" >/dev/null
    kill "${started[0]}"
    status_of 143 wait "${started[0]}"
    ! pgrep -f "$PWD/one" || false
}

@test "only the broker itself is taken for it, not who reads its files" {
    starts one
    "$kafka" kill one
    background tail -f "$PWD/one/node-1/server.properties"
    background python3 -c 'import time; time.sleep(60)' kafka.Kafka "$PWD/one1/node-1/server.properties"
    until_true 10 pgrep -f "$PWD/one1" >/dev/null
    state_is one 1 stopped
    for word in stop kill pause; do
        "$kafka" "$word" one
    done
    [[ $(ps -o stat= -p "${started[0]}") == [DRS]* ]]
    [[ $(ps -o stat= -p "${started[1]}") == [DRS]* ]]
}

@test "a broker whose folder was removed can still be ended" {
    starts one
    rm -r one
    pgrep -f "kafka.Kafka $PWD/one"
    "$kafka" kill one
    ! pgrep -f "kafka.Kafka $PWD/one" || false
}

@test "a broker that hangs, and goes on" {
    starts one
    create_topic 1 hung
    "$kafka" pause one
    until_true 10 state_is one 1 paused # not each thread stops at once
    echo late | write_topic hung 3>&- &
    "$kafka" resume one
    wait $!
    state_is one 1 running
    [ "$(read_topic hung)" = late ]
    # one that hangs can be stopped
    "$kafka" pause one
    "$kafka" stop one 2>errors
    [ ! -s errors ]
    ! pgrep -f "$PWD/one" || false
}

@test "a cluster of three goes on without one, which comes back" {
    starts three --nodes 3
    [ "$("$kafka" status three | grep -c running)" -eq 3 ]
    create_topic 3 copied
    "$kafka" topics three copied >about
    grep -q 'ReplicationFactor: 3.*min.insync.replicas=2' about
    seq 30 | sed 's/.*/k&\tbefore &/' | write_topic copied -K '\t'
    "$kafka" kill three 2
    state_is three 2 stopped
    state_is three 3 running
    seq 30 | sed 's/.*/k&\tafter &/' | write_topic copied -K '\t' 2>errors
    [ "$(read_topic copied 2>errors | grep -c after)" -eq 30 ]
    "$kafka" start three --node 2
    state_is three 2 running
    "$kafka" stop three 1
    [ "$(read_topic copied 2>errors | grep -c before)" -eq 30 ]
    "$kafka" stop three
    ! pgrep -f "$PWD/three" || false
}

@test "wrong usage is told" {
    status_of 64 "$kafka" 2>errors
    grep -q 'usage: scripts/kafka start' errors
    status_of 64 "$kafka" start one --port http 2>errors
    grep -q "not 'http'" errors
    status_of 64 "$kafka" start one --nodes 0 2>errors
    status_of 64 "$kafka" start one --node 2 2>errors
    grep -q 'no node 2' errors
    status_of 64 "$kafka" kill one 7 2>errors
    status_of 1 "$kafka" status nowhere 2>errors
}

@test "the jars are fetched once by two that start at once, and half of them never count" {
    mkdir -p cache/kafka-4.3.1.part.old/jars
    CALC_CACHE=$PWD/cache "$kafka" classpath >a 2>errors.a 3>&- &
    first=$!
    CALC_CACHE=$PWD/cache "$kafka" classpath >b 2>errors.b 3>&- &
    wait "$first"
    wait $!
    [ "$(cat errors.a errors.b | grep -c fetching)" -eq 1 ]
    [ "$(<a)" = "$PWD/cache/kafka-4.3.1/*" ]
    cmp a b
    [ "$(ls cache)" = $'kafka-4.3.1\nkafka-4.3.1.lock' ]
    ls cache/kafka-4.3.1/kafka-clients-4.3.1.jar
}

@test "whoever is killed before its teardown leaves no broker" {
    test=@test # at the beginning of a line it would be one of this file
    cat >killed.bats <<END
load '$root/tests/helper'
load '$root/tests/kafka'
$test "it is killed" {
    echo "\$KAFKA_DIR" >'$PWD/where'
    sleep 60
}
END
    # a run of its own, no part of this one
    mapfile -t ours < <(compgen -e BATS_)
    background env "${ours[@]/#/-u}" PATH="${PATH//"$BATS_LIBEXEC:"/}" TMPDIR="$PWD" setsid bats killed.bats
    until_true 60 test -s where
    pgrep -f "kafka.Kafka $(<where)"
    kill -KILL -- "-${started[0]}"
    until_true 20 status_of 1 pgrep -f "$(<where)"
}
