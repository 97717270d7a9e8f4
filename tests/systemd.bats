#!/usr/bin/env bats
# The services on a machine that is booted: behind web servers, through kill -9 of each part and
# reboots under load, and what becomes of each exit status. What systemd says is shown, too.

bats_require_minimum_version 1.5.0
# shellcheck disable=SC2154 # helper.bash sets root
load helper
load kafka
load package/machine

name=demo # of the instance
data=/var/lib/calc/demo

# One machine for all tests, that goes on from test to test.
setup_file() {
    export BROKER_OWNER=$$
    can_boot || return 0
    cd "$BATS_FILE_TMPDIR" || return 1
    machine_make
    # as it is installed: the sanitizers' libraries, and what they do to memory, aren't for these units
    env -u SAN make -s -C "$root" install DESTDIR="$PWD/machine" PREFIX=/usr UNITDIR=/lib/systemd/system >install.log
    at_rest systemd-sysusers
    at_rest systemd-tmpfiles --create calc.conf
    machine_boot
}

can_boot() {
    local program
    for program in debootstrap systemd-nspawn nsenter unshare; do
        command -v "$program" >/dev/null || return 1
    done
    [ "$(id -u)" -eq 0 ]
}

setup() {
    needs debootstrap systemd-nspawn nsenter unshare curl python3
    [ "$(id -u)" -eq 0 ] || skip "a machine needs root"
    cd "$BATS_FILE_TMPDIR" || return 1
    until_true 30 machine_is_up
}

teardown() {
    end_started
}

teardown_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    [ -e machine.pid ] || return 0
    machine_pid=$(cat machine.pid)
    machine_leader=$(ps -o pid= --ppid "$machine_pid" | xargs)
    machine_end
    end_broker
    until_true 20 ended "$machine_pid"
    rm -rf --one-file-system machine
}

ended() {
    ! kill -0 "$1" 2>/dev/null
}

all_run() {
    is "calc-handle@$name.service" active && is "calc-project@$name.service" active &&
        is "calc-cgi@$name.service" active && is "calc-cgi@$name.socket" active
}

verify_demo() {
    booted calc-verify -i $data/commands -o $data/events -r $data/rejections --state $data/state \
        --view $data/view
}

# --- behind web servers ---

# ten_lines SERVER: the page's, without the packages, which are there.
ten_lines() {
    awk -v server="With $1:" '$0 == server { here = 1 } here && /^\.Ed/ { exit }
        text { print } here && /^\.Bd/ { text = 1 }' "$root/man/calc-service.7" |
        sed 's/\\(aq/'"'"'/g' >lines
    [ "$(wc -l <lines)" -eq 10 ]
    grep -v '^apt-get ' lines | sed "s/demo/$name/g" >"machine/root/$2"
}

# The README's walk, through port 80.
walk() {
    local id url=http://localhost/values
    id=$(booted curl -sSf -d '{"value": 2}' -H 'Content-Type: application/json' $url | tr -d '"')
    booted curl -sSf -d '{"operation": "ADD", "value": 2}' -H 'Content-Type: application/json' -X PUT "$url/$id"
    booted curl -sSf -d '{"operation": "MULTIPLY", "value": 3}' -H 'Content-Type: application/json' -X PUT "$url/$id"
    until_true 10 reads "$url/$id" '{"value":12.0}'
}

reads() {
    [ "$(booted curl -s "$1")" = "$2" ]
}

# The walk behind a web server that is set up with the page's ten lines.
behind() {
    ten_lines "$1" ten-lines
    booted timeout 120 sh -e /root/ten-lines >answer 2>said || {
        cat said
        return 1
    }
    grep -E '^"[0-9a-f-]{36}"$' answer
    walk
    booted systemctl stop "$2"
}

@test "from package to curl in ten lines behind lighttpd" {
    behind lighttpd lighttpd
    all_run
}

@test "from package to curl in ten lines behind nginx" {
    behind nginx nginx
}

@test "from package to curl in ten lines behind Apache" {
    behind Apache apache2
}

@test "systemctl status shows where each part is" {
    all_run
    for part in handle project cgi; do
        show "systemctl status calc-$part@demo" systemctl --no-pager -n 0 status "calc-$part@demo"
        [ -n "$(property "calc-$part@demo" StatusText)" ]
    done
    size=$(booted stat -c %s $data/commands)
    until_true 10 has_status calc-handle@demo "at byte $size of $data/commands, 0 bytes behind, 0 commands/s"
    size=$(booted stat -c %s $data/events)
    until_true 10 has_status calc-project@demo "events at $size, rejections at 0, 0 bytes behind, 0 records/s"
    until_true 10 status_matches calc-cgi@demo '[0-9]+ requests answered, 0 under way, [0-9]+ requests/s'
    [[ $(booted systemctl --no-pager -n 0 status calc-handle@demo) == *"Status: \"$(property calc-handle@demo StatusText)\""* ]]
}

has_status() {
    [ "$(property "$1" StatusText)" = "$2" ]
}

# status_matches UNIT PATTERN
status_matches() {
    [[ $(property "$1" StatusText) =~ ^$2$ ]]
}

# as USER CURL-ARGUMENT...: over the socket, as a web server would connect.
connects() {
    booted setpriv --reuid "$1" --regid "$2" "${@:3}" \
        curl -sS --max-time 2 --unix-socket /run/calc/demo.sock http://localhost/ 2>&1 || true
}

@test "only the group calc-web reaches the socket" {
    [ "$(booted stat -c '%a %U:%G' /run/calc/demo.sock)" = '660 root:calc-web' ]
    denied=$(connects nobody nogroup --clear-groups)
    [[ $denied == *'(7)'* ]]
    # with it, the connection is taken; what isn't FastCGI gets no answer
    allowed=$(connects nobody nogroup --groups=calc-web)
    [[ $allowed == *'('* && $allowed != *'(7)'* ]]
}

# --- through crashes ---

# acknowledged_beyond COUNT: so many additions of the load.
acknowledged_beyond() {
    [ "$(cat progress 2>/dev/null || echo 0)" -gt "$1" ]
}

more() {
    until_true 40 acknowledged_beyond $(($(cat progress) + 50))
}

# The load goes to the socket of the machine, as it is booted now.
aim() {
    ln -sfn "/proc/$machine_leader/root/run/calc/$name.sock" "$BATS_FILE_TMPDIR/sock"
}

# view_has VALUE_ID NUMBER
view_has() {
    [[ $(booted calc-get --view $data/view "$1") == *'"value":'"$2.0,"* ]]
}

begin_load() {
    rm -f progress
    aim
    "$root/tests/package/load.py" sock progress >values 2>summary 3>&- &
    load=$!
    started+=("$load")
    until_true 30 acknowledged_beyond 50
}

# Each value is the number of its acknowledged additions.
end_load() {
    kill "$load"
    started=()
    wait "$load" || {
        cat summary
        return 1
    }
    echo "# $(cat summary)" >&3
    [ "$(wc -l <values)" -eq 4 ]
    while read -r id count; do
        until_true 20 view_has "$id" "$count"
    done <values
}

@test "kill -9 of each part and reboots under load: each acknowledged command once, the view right" {
    begin_load
    for part in handle project cgi; do
        before=$(property "calc-$part@demo" NRestarts)
        booted systemctl kill -s KILL "calc-$part@demo.service"
        if [ $part = cgi ]; then # its socket starts it again
            more
            is calc-cgi@demo.service active
        else
            until_true 20 restarted "calc-$part@demo.service" "$before"
            more
        fi
        show "the journal after kill -9 of calc-$part" journalctl --no-pager -o short-precise -n 6 -u "calc-$part@demo"
        journal "calc-$part@demo" >entries
        grep -q 'Main process exited, code=killed, status=9/KILL' entries
        grep -q 'Scheduled restart job, restart counter is at 1' entries
    done

    # a reboot as one does it, and one by the switch; the container leaves the second half to us
    for how in 'booted systemctl reboot' 'kill -KILL'; do
        [[ $how == booted* ]] || how+=" $machine_leader"
        $how
        until_true 60 ended "$machine_pid"
        machine_boot
        aim
        more
        until_true 20 all_run
    done

    end_load
    verify_demo
}

# --- what becomes of each exit status ---

# fails PART STATUS: it exits with that as soon as it is started. The pause is made short.
fails() {
    booted mkdir -p "/run/systemd/system/calc-$1@fails.service.d"
    printf '[Service]\nExecStart=\nExecStart=/bin/sh -c "exit %s"\nRestartSec=100ms\nExecStopPost=\n' "$2" |
        booted sh -c "cat >/run/systemd/system/calc-$1@fails.service.d/fails.conf"
    booted systemctl daemon-reload
    booted systemctl reset-failed "calc-$1@fails.service" 2>/dev/null || true
    booted systemctl start "calc-$1@fails.service" 2>/dev/null || true
}

@test "64, 65 and 78 stay failed; 69, 70, 74 and 75 are tried again for ever" {
    booted touch /etc/calc/fails.conf
    for part in handle project cgi; do
        for status in 64 65 78; do
            fails $part $status
            is "calc-$part@fails.service" failed
            [ "$(property "calc-$part@fails.service" ExecMainStatus)" -eq $status ]
            [ "$(property "calc-$part@fails.service" NRestarts)" -eq 0 ]
        done
        for status in 69 70 74 75; do
            fails $part $status
            until_true 10 tried "calc-$part@fails.service" 2
            booted systemctl stop "calc-$part@fails.service"
        done
    done
    # more often than systemd's own limit, which is 5 times in 10 s
    fails handle 75
    until_true 20 tried calc-handle@fails.service 7
    booted systemctl stop calc-handle@fails.service
}

tried() {
    [ "$(property "$1" NRestarts)" -ge "$2" ]
}

@test "the pause is five seconds" {
    for part in handle project; do
        [ "$(property "calc-$part@demo" RestartUSec)" = 5s ]
    done
    # of calc-cgi before its end: else whoever waits on the socket starts it again at once
    fails cgi 75
    booted systemctl stop calc-cgi@fails.service
    booted sed -i /ExecStopPost/d /run/systemd/system/calc-cgi@fails.service.d/fails.conf
    booted systemctl daemon-reload
    booted systemctl reset-failed calc-cgi@fails.service
    SECONDS=0
    booted systemctl start calc-cgi@fails.service || true
    until_true 20 tried calc-cgi@fails.service 1
    booted systemctl stop calc-cgi@fails.{service,socket}
    ((SECONDS >= 4))
}

@test "a damaged log stops the handler with 65 and one line, and everything else goes on" {
    booted systemctl stop calc-handle@demo
    size=$(booted stat -c %s $data/events)
    echo 'not an event' | booted sh -c "cat >>$data/events"
    booted systemctl start calc-handle@demo 2>/dev/null || true
    until_true 20 is calc-handle@demo.service failed
    [ "$(property calc-handle@demo ExecMainStatus)" -eq 65 ]
    [ "$(property calc-handle@demo NRestarts)" -eq 0 ]
    show 'the journal after a damaged log' journalctl --no-pager -o short-precise -n 6 -u calc-handle@demo
    booted journalctl -o cat -p err -u calc-handle@demo -n 4 | grep 'calc-handle: .*events'
    journal calc-handle@demo | grep -q 'code=exited, status=65/DATAERR'
    is calc-cgi@demo.service active

    # the bad record stopped the projector, too, and both go on when it is gone
    booted truncate -s "$size" $data/events
    booted systemctl restart calc-handle@demo calc-project@demo
    all_run
    verify_demo
}

@test "75 because another one works on the logs is over when that one is" {
    booted systemctl stop calc-handle@demo
    booted systemd-run --quiet --unit=other -p User=calc -p Group=calc \
        calc-handle -f -i $data/commands -o $data/events -r $data/rejections --state $data/state
    until_true 20 lock_is_held
    booted systemctl --no-block start calc-handle@demo
    until_true 20 tried calc-handle@demo.service 1
    until_true 20 ended_with calc-handle@demo 75
    show 'the journal while another one works on the logs' journalctl --no-pager -o short-precise -n 4 -u calc-handle@demo
    journal calc-handle@demo >entries
    grep -q "^calc-handle: another calc-handle works on $data/events: it holds $data/events.lock" entries
    grep -q 'code=exited, status=75/TEMPFAIL' entries
    booted systemctl stop other.service
    until_true 20 is calc-handle@demo.service active
}

ended_with() {
    [ "$(property "$1" ExecMainStatus)" -eq "$2" ]
}

lock_is_held() {
    booted test -e $data/events.lock && ! booted flock -n $data/events.lock true
}

# --- watched ---

@test "a part that hangs is ended by the watchdog, and started again" {
    booted mkdir -p /run/systemd/system/calc-handle@demo.service.d
    printf '[Service]\nWatchdogSec=2\nRestartSec=100ms\n' |
        booted sh -c 'cat >/run/systemd/system/calc-handle@demo.service.d/watchdog.conf'
    booted systemctl daemon-reload
    booted systemctl restart calc-handle@demo
    pid=$(property calc-handle@demo MainPID)
    booted kill -STOP "$pid"
    until_true 20 restarted calc-handle@demo.service 0
    show 'the journal after a hang' journalctl --no-pager -o short-precise -n 8 -u calc-handle@demo
    [[ $(journal calc-handle@demo) == *'Watchdog timeout'* ]]
    booted rm -r /run/systemd/system/calc-handle@demo.service.d
    booted systemctl daemon-reload
    verify_demo
}

# --- secrets ---

# settings_of UNIT: its command line.
settings_of() {
    booted cat "/proc/$(property "$1" MainPID)/cmdline" | tr '\0' ' '
}

@test "a secret comes by systemd's credentials, and the user calc can't read it where it lies" {
    for part in handle project cgi; do
        booted install -D -m 644 /usr/share/doc/calc/examples/credentials.conf \
            "/run/systemd/system/calc-$part@.service.d/credentials.conf"
    done
    printf 'sasl.username=calc\nsasl.password=hush-4711\n' |
        booted sh -c 'umask 077 && cat >/etc/calc/demo.kafka'
    booted systemctl daemon-reload
    booted systemctl restart calc-{handle,project,cgi}@demo.service
    until_true 20 all_run
    for part in handle project cgi; do
        settings_of "calc-$part@demo" >cmdline
        grep -F -- "-F /run/credentials/calc-$part@demo.service/kafka" cmdline
        [ "$(grep -c hush cmdline)" -eq 0 ]
    done
    # neither there nor in the copies of the others
    status_of 1 booted runuser -u calc -- cat /etc/calc/demo.kafka 2>/dev/null
    status_of 1 booted runuser -u nobody -- cat /run/credentials/calc-cgi@demo.service/kafka 2>/dev/null
    # it is read: a broken one is a wrong setting
    echo 'sasl.password hush-4711' | booted sh -c 'cat >/etc/calc/demo.kafka'
    booted systemctl restart calc-project@demo.service 2>/dev/null || true
    until_true 20 is calc-project@demo.service failed
    [ "$(property calc-project@demo ExecMainStatus)" -eq 78 ]
    [[ $(journal calc-project@demo) == *'kafka, line 1: no name=value'* ]]
    booted journalctl --no-pager -o export >everything
    [ "$(grep -c hush-4711 everything)" -eq 0 ]
    booted rm -r /run/systemd/system/calc-{handle,project,cgi}@.service.d /etc/calc/demo.kafka
    booted systemctl daemon-reload
    booted systemctl restart calc-{handle,project,cgi}@demo.service
    until_true 20 all_run
}

# ended_well PART...: each was stopped, with success.
ended_well() {
    local part
    for part; do
        is "calc-$part@$name.service" inactive
        [ "$(property "calc-$part@$name" Result)" = success ]
        [ "$(property "calc-$part@$name" ExecMainStatus)" -eq 0 ]
    done
}

# The target is stopped before its parts are.
stops() {
    SECONDS=0
    booted systemctl stop "calc@$name.target"
    for part in handle project cgi; do
        until_true 20 is "calc-$part@$name.service" inactive
    done
    ((SECONDS < 20))
    ended_well handle project cgi
    [ ! -e "machine/run/calc/$name.sock" ]
}

@test "it stops cleanly, in time, and each part with success" {
    booted systemctl restart calc@demo.target
    until_true 20 all_run
    stops
}

# --- on topics of Kafka ---

# The broker runs on this machine, but in the network of the one that is booted: 127.0.0.1 is theirs.
start_its_broker() {
    # shellcheck disable=SC2034 # start_broker runs it
    broker_by=(nsenter -t "$machine_leader" --net)
    start_broker
}

# on_topics COMMAND...: in the machine, with the settings of the instance.
on_topics() {
    booted env KAFKA_BROKER="$KAFKA_BROKER" "$@"
}

verify_topics() {
    on_topics calc-verify -i kafka: -o kafka: -r kafka: --state $data/state --view $data/view
}

be_on_topics() {
    needs "${kafka_needs[@]}"
    name=topics data=/var/lib/calc/topics
    KAFKA_BROKER=$("$kafka" address kafka 2>/dev/null || true)
}

@test "an instance is on topics by the names of its streams, and answers behind a web server" {
    be_on_topics
    start_its_broker
    on_topics calc-topics create --partitions 4
    printf '%s\n' CALC_{COMMANDS,EVENTS,REJECTIONS}=kafka: KAFKA_BROKER="$KAFKA_BROKER" |
        booted sh -c 'cat >/etc/calc/topics.conf'
    behind nginx nginx
    until_true 20 all_run
    for part in handle project cgi; do
        show "systemctl status calc-$part@topics" systemctl --no-pager -n 0 status "calc-$part@topics"
    done
    until_true 10 status_matches calc-handle@topics \
        'commands at 0:[0-9]+ 1:[0-9]+ 2:[0-9]+ 3:[0-9]+, 0 of them behind, 0 commands/s'
    until_true 10 status_matches calc-project@topics \
        'events at 0:[0-9]+ .*, rejections at 0:0 .*, 0 of them behind, 0 records/s'
    verify_topics
}

# broker COMMAND: of this machine's.
broker() {
    nsenter -t "$machine_leader" --net "$kafka" "$1" kafka
}

# says UNIT TEXT: in the journal since $since.
says() {
    [[ $(booted journalctl --no-pager -o cat --since "$since" -u "$1") == *"$2"* ]]
}

# waits UNIT: it has said that the broker isn't there, and is neither ready nor given up.
waits() {
    says "$1" "$KAFKA_BROKER" && [[ $(property "$1" ActiveState) == activating ]]
}

# transactions COMMAND...: Kafka's own tool for them.
transactions() {
    nsenter -t "$machine_leader" --net "$kafka" tool org.apache.kafka.tools.TransactionsCommand \
        --bootstrap-server "$KAFKA_BROKER" "$@"
}

# A broker that stops or starts while it ends a transaction may leave its marks out. Then readers stop before
# it, and what calc-kafka(7) says of it is done. Fails if that isn't what is wrong.
end_hanging_transactions() {
    local topic partition start found
    found=$(transactions find-hanging --broker-id 1 --max-transaction-timeout 0 | tail -n +2)
    if [ -z "$found" ]; then
        for part in handle project; do
            show "the journal since the broker is there again, of calc-$part" \
                journalctl --no-pager -o short-precise --since "$since" -u "calc-$part@topics"
        done
        return 1
    fi
    echo "# the broker left a transaction open: $found" >&3
    while read -r topic partition _ _ _ start _; do
        transactions abort --topic "$topic" --partition "$partition" --start-offset "$start"
    done <<<"$found"
}

@test "on topics, kill -9 under load, and a broker that isn't there: each acknowledged command once" {
    be_on_topics
    begin_load
    booted systemctl kill --kill-who=main -s KILL calc-{handle,project}@topics.service
    until_true 40 restarted calc-handle@topics.service 0
    until_true 40 restarted calc-project@topics.service 0
    more

    # it goes away
    since=$(booted date '+%F %T')
    broker stop
    until_true 20 says calc-handle@topics 'brokers are down'
    until_true 20 says calc-project@topics "Kafka at $KAFKA_BROKER doesn't answer, waiting for it"
    until_true 20 says calc-cgi@topics 'Message timed out' # a client was told that nobody knows
    for part in handle project cgi; do
        show "the journal while the broker is away, of calc-$part" \
            journalctl --no-pager -o short-precise --since "$since" -u "calc-$part@topics"
        is "calc-$part@topics.service" active
    done

    # they are stopped, and started, while it is away
    SECONDS=0
    booted systemctl stop calc-{handle,project}@topics.service
    ((SECONDS < 40))
    ended_well project
    # 75 if nobody knows what became of its last transaction
    [[ $(property calc-handle@topics ExecMainStatus) =~ ^(0|75)$ ]]
    [[ $(property calc-handle@topics ActiveState) =~ ^(inactive|failed)$ ]]
    since=$(booted date '+%F %T')
    booted systemctl --no-block start calc-{handle,project}@topics.service
    until_true 30 waits calc-handle@topics
    until_true 30 waits calc-project@topics
    for part in handle project; do
        show "the journal before the broker is there, of calc-$part" \
            journalctl --no-pager -o short-precise --since "$since" -u "calc-$part@topics"
    done

    broker start
    until_true 40 all_run || end_hanging_transactions
    until_true 90 all_run
    more
    end_load
    verify_topics
    stops
}
