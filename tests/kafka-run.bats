#!/usr/bin/env bats
# KAFKA=1 scripts/run: everything on this machine, the logs on topics, by one command.

# shellcheck disable=SC2154 # helper.bash sets root
load helper

port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# runs: starts it as a terminal would, in a group of its own with Ctrl-C not ignored.
runs() {
    : >said
    KAFKA=1 KAFKA_PORT=0 PORT=$port DATA=$PWD/data python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
os.execv(sys.argv[1], sys.argv[1:])' "$root/scripts/run" >said 2>&1 3>&- &
    run=$!
    started+=("$run")
    until_true 120 grep -q 'Ctrl-C ends it' said
}

teardown() {
    end_started
    "$root/scripts/kafka" kill "$BATS_TEST_TMPDIR/data/kafka" 2>/dev/null || true
}

send() {
    curl -sf -H 'Content-Type: application/json' -X "$1" -d "$3" "$2"
}

shows() {
    [ "$(curl -s "$url/$id")" = "$1" ]
}

@test "the walk reads 12, Ctrl-C ends the broker too, and it goes on with the data that is there" {
    needs curl python3 lighttpd java mvn
    port=$(port)
    url=http://127.0.0.1:$port/values
    runs
    id=$(send POST "$url" '{"value": 2}' | tr -d '"')
    send PUT "$url/$id" '{"operation": "ADD", "value": 2}'
    until_true 20 shows '{"value":4.0}'
    kill -INT -- "-$run"
    status_of 0 wait "$run"
    [ "$(pgrep -fc "$PWD/data")" -eq 0 ]
    runs
    shows '{"value":4.0}'
    send PUT "$url/$id" '{"operation": "MULTIPLY", "value": 3}'
    until_true 20 shows '{"value":12.0}'
    kill -INT -- "-$run"
    status_of 0 wait "$run"
}
