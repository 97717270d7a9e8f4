#!/usr/bin/env bats
# scripts/run: everything on this machine by one command.

# shellcheck disable=SC2154 # helper.bash sets root
load helper

teardown() {
    end_started
    [ -z "${broker-}" ] || "$root/scripts/kafka" kill "$broker" 2>/dev/null || true
}

port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# runs [NAME=VALUE...]: starts it as a terminal would, in a group of its own with Ctrl-C not ignored.
runs() {
    : >said
    env PORT="$port" DATA="$PWD/data" "$@" python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
os.execv(sys.argv[1], sys.argv[1:])' "$root/scripts/run" >said 2>&1 3>&- &
    run=$!
    started+=("$run")
    until_true 120 grep -q 'Ctrl-C ends it' said
}

# ctrl_c: reaches all that the terminal would reach.
ctrl_c() {
    kill -INT -- "-$run"
    status_of 0 wait "$run"
}

# send METHOD URL BODY
send() {
    curl -sf -H 'Content-Type: application/json' -X "$1" -d "$3" "$2"
}

shows() {
    [ "$(curl -s "$url/$id")" = "$1" ]
}

@test "it answers on its port, ends cleanly on Ctrl-C, and goes on with the data that is there" {
    needs curl python3 lighttpd
    port=$(port)
    url=http://127.0.0.1:$port/values
    runs
    id=$(send POST "$url" '{"value": 2}' | tr -d '"')
    send PUT "$url/$id" '{"operation": "ADD", "value": 2}'
    until_true 10 shows '{"value":4.0}'
    ctrl_c
    ! pgrep -f "$PWD/data" || false
    runs
    shows '{"value":4.0}'
    send PUT "$url/$id" '{"operation": "MULTIPLY", "value": 3}'
    until_true 10 shows '{"value":12.0}'
    ctrl_c
    [ "$(wc -l <data/events.jsonl)" -eq 3 ]
}

@test "with KAFKA=1 it does so on topics, and Ctrl-C ends the broker, too" {
    needs curl python3 lighttpd java mvn
    port=$(port)
    url=http://127.0.0.1:$port/values
    broker=$PWD/data/kafka
    runs KAFKA=1 KAFKA_PORT=0
    id=$(send POST "$url" '{"value": 2}' | tr -d '"')
    send PUT "$url/$id" '{"operation": "ADD", "value": 2}'
    until_true 20 shows '{"value":4.0}'
    ctrl_c
    [ "$(pgrep -fc "$PWD/data")" -eq 0 ]
    runs KAFKA=1 KAFKA_PORT=0
    shows '{"value":4.0}'
    send PUT "$url/$id" '{"operation": "MULTIPLY", "value": 3}'
    until_true 20 shows '{"value":12.0}'
    ctrl_c
    [ ! -e data/commands.jsonl ]
}

@test "a taken port is a clear error, and nothing is started" {
    needs python3 lighttpd
    port=$(port)
    python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open("listens", "w").close()
time.sleep(60)' "$port" 3>&- &
    started+=($!)
    until_true 10 test -e listens
    PORT=$port DATA=$PWD/data status_of 75 "$root/scripts/run" 2>errors
    grep -q "port $port is taken" errors
    [ ! -e data ]
}

@test "a port that is no number is a usage error" {
    PORT=http status_of 64 "$root/scripts/run" 2>errors
    grep -q "not 'http'" errors
}
