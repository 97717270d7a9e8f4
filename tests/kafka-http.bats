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
    export CALC_COMMANDS=kafka: CALC_VIEW=$PWD/view
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

# accepts VALUE: now, and what refused it before surely did.
accepts() {
    [ "$(send POST /values "{\"value\": $1}")" = 202 ]
}

# header NAME
header() {
    tr -d '\r' <headers | sed -n "s/^$1: //Ip"
}

# A value's commands are in order; those of several values, which are all created here, are not.
sort_creates() {
    awk -F : '/^CreateValue/ { print | "sort"; next } { close("sort"); print } END { close("sort") }'
}

# commands_are ACTION:OPERATION:VALUE...: what the topic has.
commands_are() {
    diff <(printf '%s\n' "$@") <(read_topic "$KAFKA_COMMANDS_TOPICS" |
        jq -r '"\(.action):\(.data.operation // ""):\(.data.value)"' | sort_creates)
}

# behind NAME [CONFIGURATION]: the README's walk, and the table of requests, all the way to the view.
behind() {
    start "$@"
    walk
    read_topic_full "$KAFKA_COMMANDS_TOPICS" >records
    [ "$(cut -f 3 records | sort -u)" = "$(jq -r . created)" ]
    [ "$(cut -f 5 records | jq -r .action | paste -sd ' ')" = "CreateValue UpdateValue UpdateValue" ]
    cut -f 5 records | jq -r .id >walked
    request_table
    cat walked >>accepted
    read_topic "$KAFKA_COMMANDS_TOPICS" >commands
    only_accepted_are_in_log
}

@test "behind lighttpd, as plain CGI, the walk and the table of requests pass" {
    behind lighttpd-cgi "$(uncommented lighttpd-cgi)"
}

@test "behind lighttpd, as FastCGI, the walk and the table of requests pass" {
    behind lighttpd-fastcgi
}

@test "behind nginx, as FastCGI, the walk and the table of requests pass" {
    behind nginx-fastcgi
}

@test "behind nginx and fcgiwrap, the walk and the table of requests pass" {
    behind nginx-fcgiwrap "$(uncommented nginx-fcgiwrap)"
}

@test "behind Apache, as FastCGI, the walk and the table of requests pass" {
    behind apache-fastcgi
}

@test "behind Apache, as plain CGI, the walk and the table of requests pass" {
    behind apache-cgi "$(uncommented apache-cgi)"
}

@test "storms of retries, own writes and races are answered truly" {
    start nginx-fastcgi
    "$here/storm.py" retry "$url" "${STORM:-300}"
    read_topic "$KAFKA_EVENTS_TOPICS" >events
    [ "$(wc -l <events)" -eq "${STORM:-300}" ]
    [ -z "$(read_topic "$KAFKA_REJECTIONS_TOPICS")" ]
    "$here/storm.py" seen "$url" "${STORM:-100}"
    "$here/storm.py" race "$url" "${RACE:-20}"
}

@test "a broker that is away gives 503 with Retry-After in time, and is found when it comes" {
    "$kafka" stop "$KAFKA_DIR"
    start_server nginx-fastcgi
    begin=$SECONDS
    [ "$(send POST /values '{"value": 2}')" = 503 ]
    ((SECONDS - begin <= 10))
    [ "$(header Retry-After)" = 1 ]
    "$kafka" start "$KAFKA_DIR"
    until_true 10 accepts 3
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
    until_true 20 accepts 4
    commands_are CreateValue::2 CreateValue::4
}

@test "a broker that stops answering gives 504 with the command's link, and recovers" {
    start_server nginx-fastcgi
    [ "$(send POST /values '{"value": 1}')" = 202 ]
    "$kafka" pause "$KAFKA_DIR"
    begin=$SECONDS
    [ "$(send POST /values '{"value": 2}')" = 504 ]
    ((SECONDS - begin <= 10))
    header Link | grep -Eq '^<.*/values/[0-9a-f-]{36}/commands/[0-9a-f-]{36}>; rel="status"$'
    [ "$(jq -r .type answer)" = outcome-unknown ]
    "$kafka" resume "$KAFKA_DIR"
    until_true 20 accepts 3
    read_topic "$KAFKA_COMMANDS_TOPICS" | jq '.data.value | floor' >values
    [ "$(grep -c '^[13]$' values)" -eq 2 ]
}

# post_many FROM COUNT: at the same time, each value once; their statuses are in ./statuses.
post_many() {
    python3 - "$url" "$@" <<'END' >>statuses
import concurrent.futures, sys, urllib.error, urllib.request
url, start, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def post(n):
    request = urllib.request.Request(url + "/values", b'{"value": %d}' % n,
                                     {"Content-Type": "application/json"})
    try:
        return n, urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return n, error.code
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    for n, status in pool.map(post, range(start, start + count)):
        print(n, status)
END
}

# statuses_are_true: what was accepted is there once, what was refused is not there.
statuses_are_true() {
    read_topic "$KAFKA_COMMANDS_TOPICS" | jq '.data.value | floor' >there
    python3 - <<'END'
import collections
there = collections.Counter(int(line) for line in open("there"))
told = collections.Counter()
for line in open("statuses"):
    n, status = map(int, line.split())
    told[status] += 1
    assert status in (202, 503, 504), line
    assert there[n] == 1 if status == 202 else there[n] == 0 if status == 503 else there[n] <= 1, line
print(told)
END
}

@test "what many requests are told is true when a broker stops, is killed and comes back" {
    start_server nginx-fastcgi
    post_many 0 200
    "$kafka" pause "$KAFKA_DIR"
    background post_many 1000 32
    wait "${started[-1]}"
    "$kafka" resume "$KAFKA_DIR"
    until_true 20 accepts 9999
    background post_many 2000 4000
    until_true 20 has_records "$KAFKA_COMMANDS_TOPICS" 1000
    "$kafka" kill "$KAFKA_DIR"
    "$kafka" start "$KAFKA_DIR"
    wait "${started[-1]}"
    statuses_are_true
    [ "$(grep -c ' 202' statuses)" -gt 1000 ]
}

@test "properties come from the file that CALC_KAFKA_CONFIG names, or from -F and -X" {
    echo "bootstrap.servers=$KAFKA_BROKER" >settings
    mkdir -p run
    export KAFKA_BROKER_THERE=$KAFKA_BROKER KAFKA_BROKER=127.0.0.1:1
    CALC_KAFKA_CONFIG=$PWD/settings start_listener run/calc-cgi.sock
    start_server nginx-fastcgi
    [ "$(send POST /values '{"value": 1}')" = 202 ]
    kill "$listener"
    until_true 10 test ! -e run/calc-cgi.sock
    in_group calc-cgi --listen run/calc-cgi.sock -F settings -X compression.codec=gzip
    until_true 10 test -S run/calc-cgi.sock
    [ "$(send POST /values '{"value": 2}')" = 202 ]
    KAFKA_BROKER=$KAFKA_BROKER_THERE commands_are CreateValue::1 CreateValue::2
    echo acks=1 >settings
    CALC_KAFKA_CONFIG=settings status_of 78 calc-cgi --listen one.sock 2>errors
    grep -q "settings, line 1: acks can't be set" errors
    CALC_KAFKA_CONFIG=nowhere status_of 78 calc-cgi --listen one.sock
    status_of 64 calc-cgi --listen one.sock -X acks=1
}

@test "a topic that would lose commands takes none, and a missing one neither" {
    create_topic 4,retention.ms=1000 forgetful
    CALC_COMMANDS=kafka:forgetful start_server nginx-fastcgi
    [ "$(send POST /values '{"value": 1}')" = 503 ]
    grep -q 'retention.ms' log
    [ -z "$(read_topic forgetful)" ]
    end_groups
    CALC_COMMANDS=kafka:nowhere start_server nginx-fastcgi
    [ "$(send POST /values '{"value": 1}')" = 503 ]
    grep -q 'nowhere' log
}

# listens: a client of /events who comes again where it was, until a file `enough` is there. What it is told
# goes to ./told.
listens() {
    local last=
    while [ ! -e enough ]; do
        "$here/events.py" ${last:+--last-id "$last"} "$url/events?from=beginning" >>told 2>>log || true
        last=$(sed -nE 's/^\{"(last_)?id": "([^"]*)".*/\2/p' told | tail -n 1)
    done
}

# told COUNT FILE: so many events are in it.
told() {
    [ "$(grep -cE '"(event|cursor)": ?"' "$2")" -ge "$1" ]
}

# commands FROM TO: on five values, of which each has been created by then; every tenth is rejected.
commands() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        for (i = from; i <= to; i++) {
            value = "\"value_id\":\"0198c0de-0000-7000-8000-00000000000" i % 5 "\""
            if (i < 5)
                print "{" value ",\"value\":" i "}"
            else
                print "{" value ",\"operation\":\"ADD\",\"value\":" i (i % 10 ? "" : ",\"expected_version\":0") "}"
        }
    }' | calc-submit -o kafka: >/dev/null
}

# outcomes: of both topics, with their places.
outcomes() {
    local topic
    for topic in "$KAFKA_EVENTS_TOPICS" "$KAFKA_REJECTIONS_TOPICS"; do
        read_topic_full "$topic" | awk -F '\t' -v OFS='\t' -v topic="$topic" '{ print topic, $1, $2, $5 }'
    done
}

@test "events over topics: each once and in order, whatever is killed, restarted and rebuilt meanwhile" {
    mkdir run
    start_listener run/calc-cgi.sock
    start_server nginx-fastcgi
    in_group calc-handle -i kafka: -o kafka: -r kafka: --state state
    in_group calc-project -i kafka: -r kafka: --view view
    projector=${groups[-1]}
    until_true 20 test -e view/current
    : >told
    background listens
    background calc-watch --from beginning >watched
    # by HTTP, too
    [ "$(send POST /values '{"value": 1}')" = 202 ]
    location=$(header Location)
    [ "$(send PUT "$location" '{"operation":"ADD","value":3}')" = 202 ]
    commands 0 199
    until_true 30 told 202 told

    # calc-cgi, in the middle of it
    commands 200 999 &
    commanding=$!
    until_true 30 told 300 told
    kill -KILL "$listener"
    wait "$listener" || true
    start_listener run/calc-cgi.sock
    wait "$commanding"
    until_true 30 told 1002 told

    # the projector
    commands 1000 1799 &
    commanding=$!
    until_true 30 told 1100 told
    kill -KILL "$projector"
    wait "$projector" || true
    in_group calc-project -i kafka: -r kafka: --view view
    wait "$commanding"
    until_true 30 told 1802 told

    until_true 30 told 1802 watched

    # the view
    before=$(readlink view/current)
    commands 1800 2599 &
    commanding=$!
    calc-project -e -i kafka: -r kafka: --view view --rebuild
    [ "$(readlink view/current)" != "$before" ]
    wait "$commanding"
    commands 2600 2997
    until_true 30 told 3000 told
    until_true 30 told 3000 watched
    touch enough

    calc-watch -e --from beginning >all
    outcomes | "$root/tests/kafka/told.py" told watched all
    grep '"event"' told >heard
    [ "$(wc -l <heard)" -eq 3000 ]
    # of a view that is made anew the partitions may come in another order
    diff <(head -n 1802 heard | jq -c '[.id, (.data | fromjson | .id)]') <(head -n 1802 watched | jq -c '[.cursor, .id]')
    # calc-watch goes on where a stream was, and a stream where calc-watch was
    place=$(sed -n 1500p heard | jq -r .id)
    calc-watch -e --from "$place" | jq -r .id | sort >rest
    sed 1,1500d heard | jq -r '.data | fromjson | .id' | sort | cmp - rest
    place=$(sed -n 2000p watched | jq -r .cursor)
    "$here/events.py" --last-id "$place" --count 1000 "$url/events" | grep '"event"' |
        jq -r '.data | fromjson | .id' | sort >rest
    sed 1,2000d watched | jq -r .id | sort | cmp - rest
}

# requests COUNT: so many connections of web servers the listener has, which are its connected Unix sockets.
requests() {
    [ "$(awk 'FNR == NR { mine[$1]; next } $6 == "03" && $7 in mine' \
        <(find "/proc/$listener/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n') /proc/net/unix | wc -l)" -eq "$1" ]
}

@test "SIGTERM ends the server while a request waits for a broker" {
    mkdir -p run
    in_group calc-cgi --listen run/calc-cgi.sock -X message.timeout.ms=600000 2>>log
    listener=${groups[-1]}
    until_true 10 test -S run/calc-cgi.sock
    start_server nginx-fastcgi
    [ "$(send POST /values '{"value": 1}')" = 202 ]
    until_true 10 requests 0
    "$kafka" pause "$KAFKA_DIR"
    background send POST /values '{"value": 2}' >status
    until_true 10 requests 1
    begin=$SECONDS
    kill "$listener"
    status_of 0 wait "$listener"
    ((SECONDS - begin <= 10))
    wait "${started[0]}"
    [ "$(cat status)" = 504 ]
}

@test "a query is no command line" {
    start_server apache-cgi "$(uncommented apache-cgi)"
    [ "$(curl -s -o answer -w '%{http_code}' "$url/values/$unknown?--help")" = 503 ] # there is no view
    [ "$(grep -c usage answer)" -eq 0 ]
    [ "$(send POST '/values?-F+/etc/passwd' '{"value": 2}')" = 202 ]
    [ "$(send POST '/values?-X+bootstrap.servers%3D127.0.0.1:1' '{"value": 2}')" = 202 ]
}

# scrape: by plain CGI, to ./samples.
scrape() {
    REQUEST_METHOD=GET REQUEST_URI=/metrics SCRIPT_NAME='' calc-cgi </dev/null >answer 2>>log
    sed '1,/^\r*$/d' answer | "$root/tests/metrics/python" "$root/tests/metrics/scrape.py" >samples
}

# sum NAME[{LABEL...}]: of all samples whose names begin so.
sum() {
    awk -v name="$1" 'index($1, name) == 1 { sum += $2; any = 1 } END { if (any) printf "%.0f\n", sum; else print "none" }' samples
}

# sum_is NAME NUMBER...: after a new scrape
sum_is() {
    scrape
    while [ $# -gt 0 ]; do
        [ "$(sum "$1")" = "$2" ] || return 1
        shift 2
    done
}

@test "metrics and statistics agree with the topics to the record" {
    "$root/tests/metrics/python" -c "import prometheus_client" || skip "no prometheus-client from PyPI"
    unknown=0198c0de-0000-7000-8000-00000000000f
    {
        seq 300 | sed 's/.*/{"value":&}/'
        seq 7 | sed 's/.*/{"value_id":"'"$unknown"'","operation":"ADD","value":&}/'
    } | calc-submit -o kafka: >/dev/null
    calc-handle -e -i kafka: -o kafka: -r kafka: --state state --stats stats
    [ "$(jq -c '[.records_in.commands, .records_out.events, .rejections.unknown_value]' stats)" = \
        '[307,300,7]' ]
    [ "$(jq '[.positions.commands[]] | add' stats)" = 307 ]
    [ "$(jq '[.lag.commands[].records] | add' stats)" = 0 ]
    calc-project -e -i kafka: -r kafka: --view view --stats stats
    [ "$(jq -c '.records_in' stats)" = '{"events":300,"rejections":7}' ]
    seq 20 | sed 's/.*/{"value":&,"timestamp":"2020-01-01T00:00:00Z"}/' | calc-submit -o kafka: >/dev/null
    until_true 20 sum_is calc_commands_total 327 calc_events_total 300 calc_rejections_total 7 \
        calc_handler_lag_records 20 calc_handler_offset 307 'calc_log_end_offset{log="commands"' 327 \
        'calc_projector_lag_records{log="events"' 0 'calc_projector_lag_records{log="rejections"' 0
    [ "$(sum calc_handler_lag_seconds | cut -d. -f1)" -gt 100000000 ]
    # what signals can't disturb
    calc-handle -e -i kafka: -o kafka: -r kafka: --state state --stats stats 2>told 3>&- &
    handler=$!
    storm $handler &
    status_of 0 wait $handler
    grep -q '^{"tool":' told
    [ "$(jq -c '[.records_in.commands, .records_out.events]' stats)" = '[20,20]' ]
    until_true 20 sum_is calc_commands_total 327 calc_events_total 300 calc_handler_lag_records 0 \
        'calc_projector_lag_records{log="events"' 20 'calc_projector_lag_records{log="rejections"' 0
    [ "$(sum 'calc_projector_lag_seconds{log="events"' | cut -d. -f1)" -gt 100000000 ]
    calc-project -e -i kafka: -r kafka: --view view
    until_true 20 sum_is calc_events_total 320 calc_handler_lag_records 0 \
        calc_projector_lag_records 0 calc_handler_lag_seconds 0 calc_projector_lag_seconds 0
    # without a broker there are fewer, in time
    "$kafka" stop "$KAFKA_DIR"
    SECONDS=0
    scrape
    [ "$SECONDS" -lt 15 ]
    [ "$(sum calc_events_total) $(sum calc_commands_total)" = "320 none" ]
    [ "$(sum 'calc_part_up{part="commands"}')" = 0 ]
}
