#!/usr/bin/env bats
# The HTTP front end with its commands in a topic: what is accepted is there, and a broker that is
# away or doesn't answer gives answers that are true, in time.

load helper
load kafka
load http/servers

setup() {
    needs "${kafka_needs[@]}" jq curl
    cd "$BATS_TEST_TMPDIR" || return 1
    make_topics 4
    export CALC_COMMANDS=kafka:
}

teardown() {
    "$kafka" start "$KAFKA_DIR" >/dev/null # if it was killed
    "$kafka" resume "$KAFKA_DIR" >/dev/null 2>&1 || true
    end_groups
    end_started
}

# uncommented CONFIGURATION SED-PATTERN...: with the lines about Kafka in force.
uncommented() {
    sed -E 's/^( *)# ("KAFKA_BROKER"|PassEnv KAFKA_BROKER|fastcgi_param KAFKA_BROKER)/\1\2/
        s/"KAFKA_BROKER" => env.KAFKA_BROKER,/&\n"KAFKA_COMMANDS_TOPICS" => env.KAFKA_COMMANDS_TOPICS,/
        s/(PassEnv )KAFKA_BROKER/&\n\1KAFKA_COMMANDS_TOPICS/
        s/(fastcgi_param )KAFKA_BROKER .*;/\1KAFKA_BROKER '"$KAFKA_BROKER"';\n\1KAFKA_COMMANDS_TOPICS '"$KAFKA_COMMANDS_TOPICS"';/' \
        "$conf/$1.conf" >"$1.conf"
    echo "$PWD/$1.conf"
}

# send METHOD PATH BODY: the status on stdout; the answer is in ./answer, its headers in ./headers.
send() {
    curl -s -m 30 -o answer -D headers -w '%{http_code}\n' -X "$1" -d "$3" \
        -H 'Content-Type: application/json' "$url$2"
}

# header NAME
header() {
    tr -d '\r' <headers | sed -n "s/^$1: //Ip"
}

# commands_are PATTERN...: what the topic has, in the order that was sent, as action:operation:value.
commands_are() {
    diff <(printf '%s\n' "$@") <(read_topic "$KAFKA_COMMANDS_TOPICS" |
        jq -r '"\(.action):\(.data.operation // ""):\(.data.value)"')
}

walk() {
    [ "$(send POST /values '{"value": 2}')" = 202 ]
    value=$(jq -r . answer)
    [ "$(header Location)" = "${mount-}/values/$value" ]
    [ "$(send PUT "/values/$value" '{"operation": "ADD", "value": 2}')" = 202 ]
    [ "$(send POST "/values/$value" '{"operation": "MULTIPLY", "value": 3}')" = 202 ]
    commands_are CreateValue::2 UpdateValue:ADD:2 UpdateValue:MULTIPLY:3
    [ "$(read_topic_full "$KAFKA_COMMANDS_TOPICS" | cut -f 3 | sort -u)" = "$value" ]
    header Link | grep -q "/values/$value/commands/$(read_topic "$KAFKA_COMMANDS_TOPICS" | tail -n 1 | jq -r .id)>"
    [ "$(send POST /values '{"value": "x"}')" = 400 ]
}

@test "behind lighttpd, as plain CGI, what is accepted is in the topic" {
    mount=/calc
    start_server lighttpd-cgi "$(uncommented lighttpd-cgi)"
    walk
}

@test "behind lighttpd, as FastCGI, what is accepted is in the topic" {
    start_server lighttpd-fastcgi
    walk
}

@test "behind nginx, as FastCGI, what is accepted is in the topic" {
    start_server nginx-fastcgi
    walk
}

@test "behind nginx and fcgiwrap, what is accepted is in the topic" {
    mount=/calc
    start_server nginx-fcgiwrap "$(uncommented nginx-fcgiwrap)"
    walk
}

@test "behind Apache, what is accepted is in the topic" {
    mount=/calc
    start_server apache-cgi "$(uncommented apache-cgi)"
    walk
}


@test "a broker that is away gives 503 with Retry-After in time, and is found when it comes" {
    "$kafka" stop "$KAFKA_DIR"
    start_server nginx-fastcgi
    begin=$SECONDS
    [ "$(send POST /values '{"value": 2}')" = 503 ]
    ((SECONDS - begin <= 10))
    [ "$(header Retry-After)" = 1 ]
    "$kafka" start "$KAFKA_DIR"
    until_true 10 eval '[ "$(send POST /values "{\"value\": 3}")" = 202 ]'
    commands_are CreateValue::3
}

@test "a broker that goes away gives 503, and is found when it is back" {
    start_server nginx-fastcgi
    [ "$(send POST /values '{"value": 2}')" = 202 ]
    "$kafka" kill "$KAFKA_DIR"
    until_true 10 grep -q 'brokers are down' log
    begin=$SECONDS
    [ "$(send POST /values '{"value": 3}')" = 503 ]
    ((SECONDS - begin <= 10))
    [ "$(header Retry-After)" = 1 ]
    "$kafka" start "$KAFKA_DIR"
    until_true 20 eval '[ "$(send POST /values "{\"value\": 4}")" = 202 ]'
    commands_are CreateValue::2 CreateValue::4
}
