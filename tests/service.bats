#!/usr/bin/env bats
# The services, as far as that goes without a machine that is booted: their units, what they tell the
# service manager, and what they write to the journal.

# shellcheck disable=SC2154 # helper.bash sets root
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
load helper

# Starts a service under a manager that writes down what it is told, in the file `told`.
managed() {
    background "$root/tests/service/manager.py" --told told "$@" 2>complaints </dev/null
    service=${started[-1]}
}

# tells PATTERN [COUNT]: some line of what it told, or as many.
tells() {
    [ -e told ] && [ "$(grep -cE "$1" told)" -ge "${2:-1}" ]
}

end_service() {
    kill "$service"
    status_of 0 wait "$service"
    started=()
}

# submit COUNT: so many new values.
submit() {
    for ((i = 0; i < $1; i++)); do
        echo "{\"value\":$i}"
    done | calc-submit -o commands >/dev/null
}

services=(calc-handle calc-project calc-cgi)

# --- units ---

# The units in ./units, naming the programs that were built.
copy_units() {
    mkdir units
    cp "$root"/cmd/*/*@.* "$root"/service/*@.* units
    sed -i -E "s,^ExecStart=(calc-),ExecStart=$CALC_BIN/\1," units/*.service
}

@test "systemd finds nothing wrong with the units" {
    needs systemd-analyze
    copy_units
    SYSTEMD_UNIT_PATH=$PWD/units: systemd-analyze verify --man=no --recursive-errors=yes \
        units/calc@demo.target units/calc-{handle,project,cgi}@demo.service units/calc-cgi@demo.socket \
        >said 2>&1 || true
    ! grep calc said || false
}

@test "each service's exposure is below 1.5" {
    needs systemd-analyze
    copy_units
    for service in "${services[@]}"; do
        line=$(systemd-analyze security --offline=yes "units/$service@.service" | tail -n 1)
        echo "# $line" >&3
        [[ $line =~ level\ for\ $service@.*:\ ([0-9])\.([0-9])\  ]]
        [ "${BASH_REMATCH[1]}${BASH_REMATCH[2]}" -lt 15 ]
    done
}

@test "the services are hardened alike" {
    for service in "${services[@]}"; do
        sed -n '/^# Nothing but what the program does/,/^$/p' "$root/cmd/$service/$service@.service" >"$service"
        [ "$(wc -l <"$service")" -gt 30 ]
        cmp calc-handle "$service"
    done
}

@test "the settings that the example has commented out are those that the units have" {
    # the programs' own, which units leave alone
    grep -hoE '^#?(CALC|KAFKA|LOG)_[A-Z_]+=' "$root/service/example.conf" | tr -d '#=' | sort -u |
        grep -vE '^(CALC_POLICY|KAFKA_BROKER|LOG_LEVEL)$' >example
    grep -h '^Environment=' "$root"/cmd/*/*@.service | grep -oE 'CALC_[A-Z_]+=' | tr -d = | sort -u >units
    diff example units
}

# --- ready ---

@test "the handler is ready when all that was there is decided and written" {
    submit 20000
    calc-handle -i commands -o expected -r none
    managed --size events calc-handle -f -i commands -o events -r rejections
    until_true 20 tells 'READY=1'
    tells "READY=1 $(stat -c %s expected)\$"
    cmp events expected
    end_service
    [ "$(sed -n '1s/.* //p' told)" = EXTEND_TIMEOUT_USEC=600000000 ]
}

@test "the handler is ready when there are no commands yet, or no log of them" {
    managed calc-handle -f -i commands -o events -r rejections
    until_true 10 tells 'READY=1'
    submit 1
    until_true 10 tells 'STATUS=at byte 182 of commands, 0 bytes behind'
    end_service
}

@test "the projector is ready when all that was there is in the view" {
    submit 3000
    calc-handle -i commands -o events -r rejections
    managed --size view/current/data.mdb calc-project -f -i events -r rejections --view view
    until_true 20 tells 'READY=1'
    [ "$(calc-get --view view --all | wc -l)" -eq 3000 ]
    until_true 10 tells "STATUS=events at $(stat -c %s events), rejections at 0, 0 bytes behind, 0 records/s"
    end_service
}

@test "the projector is ready without any log" {
    managed calc-project -f -i events -r rejections --view view
    until_true 10 tells 'READY=1'
    end_service
}

# --- FastCGI ---

get() {
    REQUEST_METHOD=GET REQUEST_URI=$1 cgi-fcgi -bind -connect socket
}

@test "calc-cgi is ready when it listens, on its own socket or on one that is handed over" {
    needs cgi-fcgi systemd-socket-activate
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    managed calc-cgi --listen socket
    until_true 10 tells 'READY=1'
    [[ $(get /openapi.json) == *'Status: 200'* ]]
    until_true 10 tells 'STATUS=1 requests answered, 0 under way'
    end_service

    managed systemd-socket-activate -E CALC_COMMANDS -E CALC_VIEW -E NOTIFY_SOCKET -l "$PWD/socket" \
        "$CALC_BIN/calc-cgi"
    until_true 10 test -S socket
    [[ $(get /openapi.json) == *'Status: 200'* ]]
    until_true 10 tells 'READY=1'
    end_service
}

@test "wrong settings end with 78 before it is ready" {
    needs cgi-fcgi
    managed calc-cgi --listen socket
    status_of 78 wait "$service"
    ! tells READY || false
    grep CALC_COMMANDS complaints
}

# --- the watchdog ---

@test "who waits for work is alive, and who is stopped isn't" {
    managed --watchdog 2 calc-handle -f -i commands -o events -r rejections
    until_true 10 tells 'WATCHDOG=1' 4
    # never further apart than the time
    awk '/WATCHDOG=1/ { if (last && $1 - last > 1.9) exit 1; last = $1 }' told
    end_service
    # the status was told when it changed, and not again and again
    [ "$(grep -c STATUS told)" -le 2 ]
}

@test "a checkpoint is given time, and taken back from when it is over" {
    managed --watchdog 2 calc-handle -f -i commands -o events -r rejections
    until_true 10 tells 'READY=1'
    submit 10
    until_true 10 tells 'WATCHDOG_USEC=2000000\|WATCHDOG=1'
    tells 'WATCHDOG_USEC=600000000'
    end_service
    tells 'STOPPING=1'
}

@test "the watchdog's messages come from each service's own loop" {
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    submit 1
    calc-handle -i commands -o events -r rejections
    for command in 'calc-project -f -i events -r rejections --view view' 'calc-cgi --listen socket'; do
        rm -f told
        # shellcheck disable=SC2086 # words
        managed --watchdog 2 $command
        until_true 10 tells 'WATCHDOG=1' 2
        # a process that is stopped tells nothing
        child=$(ps -o pid= --ppid "$service" | xargs)
        kill -STOP "$child"
        count=$(grep -c WATCHDOG told)
        sleep 2 # the time itself, after which it would be ended
        [ "$(grep -c WATCHDOG told)" -le $((count + 1)) ]
        kill -CONT "$child"
        until_true 10 tells 'WATCHDOG=1' $((count + 2))
        end_service
    done
}

# --- a disk that hangs ---

# post VALUE: its status, on stdout.
post() {
    printf '{"value":%s}' "$1" | env REQUEST_METHOD=POST REQUEST_URI=/values SCRIPT_NAME= CONTENT_LENGTH=$((${#1} + 10)) \
        cgi-fcgi -bind -connect socket | sed -n 's/^Status: \([0-9]*\).*/\1/p'
}

teardown() {
    if [ -d disk ] && mountpoint -q disk; then
        fsfreeze -u disk 2>/dev/null || true
        end_started
        umount disk
    fi
    end_started
}

# A file system that is frozen holds up whoever writes there, and who syncs, like a disk that doesn't answer.
# HANG is for how many seconds; from 60 on, the watchdog is seen to be told nothing any more.
@test "while the disk of the commands hangs, queries are answered, healthz says it, and it goes on after that" {
    needs cgi-fcgi mkfs.ext4 fsfreeze mountpoint
    [ "$(id -u)" -eq 0 ] || skip "to mount a disk needs root"
    truncate -s 16M image
    mkfs.ext4 -q image
    mkdir disk
    mount -o loop image disk 2>/dev/null || skip "no disk can be mounted here"
    export CALC_COMMANDS=$PWD/disk/commands CALC_VIEW=$PWD/view
    calc-submit -o disk/commands create 7 >/dev/null
    calc-handle -i disk/commands -o events -r rejections
    calc-project -i events -r rejections --view view
    managed --watchdog 2 calc-cgi --listen socket
    until_true 10 tells 'READY=1'
    [ "$(post 1)" = 202 ]

    fsfreeze -f disk
    SECONDS=0
    background post 2 >two
    until_true 10 healthz_is 503
    [[ $(get /healthz) == *'"commands":false,"view":true'* ]]
    background post 3 >three
    [[ $(get /values) == *'"value":7.0'* ]]
    while ((SECONDS < ${HANG:-3})); do
        [[ $(get /values) == *'"value":7.0'* ]]
        sleep 1
    done
    [ ! -s two ]
    [ ! -s three ]
    last=$(awk '/WATCHDOG=1/ { last = $1 } END { print int(last) }' told)
    ((${HANG:-3} < 60)) || ((last < 58)) # 20 s for the request, and 30 until it is hung

    fsfreeze -u disk
    until_true 10 test -s two
    until_true 10 test -s three
    [ "$(cat two three | paste -sd' ')" = '202 202' ]
    [ "$(post 4)" = 202 ]
    until_true 10 healthz_is 200
    [ "$(grep -oE '"value":[0-9]' disk/commands | paste -sd' ')" = '"value":7 "value":1 "value":2 "value":3 "value":4' ]
    until_true 10 tells_after "$last"
    end_service
}

healthz_is() {
    [[ $(get /healthz) == *"Status: $1 "* ]]
}

# tells_after SECONDS: it was alive later than that.
tells_after() {
    awk -v after="$1" '/WATCHDOG=1/ && $1 > after + 1 { found = 1 } END { exit !found }' told
}

# --- the journal ---

@test "a fault is one line with its level in the journal, and elsewhere without" {
    submit 2
    echo 'something else' >events
    managed --journal calc-handle -f -i commands -o events -r rejections
    status_of 65 wait "$service"
    grep '^<3>calc-handle: events.*; derived: .*; found: *something else$' complaints
    [ "$(wc -l <complaints)" -eq 1 ]
    managed calc-handle -f -i commands -o events -r rejections
    status_of 65 wait "$service"
    grep '^calc-handle: events' complaints
    # stderr isn't the journal any more, whatever is said
    status_of 65 env JOURNAL_STREAM=1:2 calc-handle -i commands -o events -r rejections 2>complaints
    grep '^calc-handle: events' complaints
}

@test "a fault is a line, not a request, and how many there were is said" {
    needs cgi-fcgi
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    managed --journal calc-cgi --listen socket
    until_true 10 tells 'READY=1'
    for _ in {1..5}; do
        [[ $(get /values) == *'Status: 503'* ]]
    done
    end_service
    cat complaints
    [ "$(wc -l <complaints)" -eq 2 ]
    grep -E '^<3>calc-cgi: .*view' complaints
    grep '^<3>calc-cgi: and 4 more like it, the last one: ' complaints
}

@test "without a manager every line is said" {
    printf 'bad\nbad\nbad\n' >lines
    status_of 65 calc-submit -o commands <lines 2>complaints
    [ "$(grep -c '^calc-submit: ' complaints)" -eq 3 ]
}
