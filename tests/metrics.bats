# How calc-cgi tells how it goes: /metrics, read with Prometheus's own client library, and the request's id in the log.

# shellcheck disable=SC2154,SC2034 # http/servers.bash sets and reads them
load helper
load http/servers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    needs cgi-fcgi python3 setsid pgrep jq
    "$root/tests/metrics/python" -c "import prometheus_client" || skip "no prometheus-client from PyPI"
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    export CALC_EVENTS=$PWD/events CALC_REJECTIONS=$PWD/rejections
    one=0198c0de-0000-7000-8000-000000000001
    none=0198c0de-0000-7000-8000-00000000000f
}

# ask METHOD PATH [BODY] [NAME=VALUE...]: of the process that stays.
ask() {
    ask_socket socket "$@"
}

# answers STATUS METHOD PATH [BODY]
answers() {
    ask "${@:2}"
    grep -q "^Status: $1 " answer
}

body() {
    sed '1,/^\r*$/d' "$@"
}

# scrape: of the process that stays, to ./samples.
scrape() {
    ask GET /metrics
    grep -q '^Status: 200 ' answer
    body answer | "$root/tests/metrics/python" "$root/tests/metrics/scrape.py" >samples
}

# scrape_cgi [FILE]: by plain CGI.
scrape_cgi() {
    REQUEST_METHOD=GET REQUEST_URI=/metrics SCRIPT_NAME='' calc-cgi </dev/null >answer 2>>log
    grep -q '^Status: 200 ' answer
    body answer | "$root/tests/metrics/python" "$root/tests/metrics/scrape.py" >"${1-samples}"
}

# sample NAME{LABELS}: its number in ./samples; nothing if it isn't there.
sample() {
    awk -v name="$1" '$1 == name { print $2 }' "${2-samples}"
}

# is NAME{LABELS} NUMBER
is() {
    if [ "$(sample "$1")" != "$2" ]; then
        echo "$1 is '$(sample "$1")', not $2" >&2
        return 1
    fi
}

# What the logs have, as samples of the same names.
count_logs() {
    local reason
    echo "calc_commands_total $(grep -c '[^ ]' commands)"
    jq -r '{CREATE: "create", ADD: "add", MULTIPLY: "multiply"}[.data.operation // "CREATE"]' events |
        sort | uniq -c | awk '{ print "calc_events_total{action=\"" $2 "\"} " $1 }'
    for reason in malformed misplaced id_reused value_exists unknown_value forbidden version_conflict \
        out_of_range; do
        echo "calc_rejections_total{reason=\"$reason\"} $(grep -c "\"reason\":\"$reason\"" rejections)"
    done
    echo "calc_log_end_offset{log=\"commands\",partition=\"0\"} $(stat -c %s commands)"
    echo "calc_log_end_offset{log=\"events\",partition=\"0\"} $(stat -c %s events)"
    echo "calc_log_end_offset{log=\"rejections\",partition=\"0\"} $(stat -c %s rejections)"
}

# agrees: what ./samples say of the logs is what they have, all of it handled and in the view.
agrees() {
    count_logs | LC_ALL=C sort >expected
    grep -F -f <(sed 's/ .*/ /' expected) samples | LC_ALL=C sort | diff expected -
    is 'calc_handler_offset{log="commands",partition="0"}' "$(stat -c %s commands)"
    is 'calc_projector_offset{log="events",partition="0"}' "$(stat -c %s events)"
    is 'calc_projector_offset{log="rejections",partition="0"}' "$(stat -c %s rejections)"
    awk '/_lag_/ && $2 != 0 { print; bad = 1 } END { exit bad }' samples
}

# A load of every kind: 3 creates and 3 updates by HTTP, of which the last is a retry under its key; then
# 1006 lines by calc-submit and one from nobody.
load_all() {
    local i
    for i in 1 2 3; do
        answers 202 POST /values '{"value":7}'
    done
    for i in 1 2; do
        answers 202 POST /values '{"value":7}' HTTP_IDEMPOTENCY_KEY=once
    done
    answers 202 PUT "/values/$none" '{"operation":"ADD","value":3}'
    answers 400 PUT "/values/$none" '{"operation":"NONE","value":3}'
    {
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1}}\n' "$one" "$one"
        seq 1000 | sed 's/.*/{"value_id":"'"$one"'","operation":"ADD","value":&}/'
        echo '{"value_id":"'"$one"'","operation":"MULTIPLY","value":2}'
        # a retry, another body, one that exists, another version, out of range
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1}}\n' "$one" "$one"
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":2}}\n' "$one" "$one"
        printf '{"value":3,"value_id":"%s"}\n' "$one"
        printf '{"value_id":"%s","operation":"ADD","value":1,"expected_version":5}\n' "$one"
        printf '{"value_id":"%s","operation":"MULTIPLY","value":1e308}\n' "$one"
    } | calc-submit -o commands >/dev/null
    echo '{"nonsense":true}' >>commands
    echo '   ' >>commands
}

caught_up() {
    scrape && [ "$(sample 'calc_outcome_lag_records{log="commands",partition="0"}')" = 0 ] &&
        [ "$(sample 'calc_projector_lag_records{log="rejections",partition="0"}')" = 0 ]
}

@test "metrics before and after a known load agree with the logs to the record" {
    start_listener socket
    start_calculator
    until_true 10 test -e view/current
    load_all
    until_true 20 caught_up
    agrees
    cp samples before
    scrape_cgi plain
    diff <(grep -E '^calc_(commands|events|rejections|log|handler|projector|outcome|part)' samples) \
        <(grep -E '^calc_(commands|events|rejections|log|handler|projector|outcome|part)' plain)
    load_all
    until_true 20 caught_up
    agrees
    # what was done in between, and nothing else
    for name in 'calc_appends_total{result="done"}' \
        'calc_http_requests_total{code="202",method="POST",route="/values"}' \
        'calc_http_request_duration_seconds_count{route="/values"}'; do
        [ "$(($(sample "$name") - $(sample "$name" before)))" = \
            "$([[ $name == *appends* ]] && echo 6 || echo 5)" ]
    done
    is 'calc_http_requests_total{code="202",method="PUT",route="/values/{value_id}"}' 2
    is 'calc_http_requests_total{code="400",method="PUT",route="/values/{value_id}"}' 2
    is 'calc_append_duration_seconds_count' 12
    is 'calc_appends_total{result="failed"}' 0
    [ "$(sample calc_commit_duration_seconds_count)" -le 12 ]
    [ "$(sample calc_commit_duration_seconds_count)" -ge 1 ]
    is 'calc_build_info{version="0.1.0"}' 1
    is 'calc_open_streams' 0
}

@test "counters stay what they are across a rebuild of the view and a restart of everything" {
    calc-submit -o commands create 7
    calc-submit -o commands add "$none" 7
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    scrape_cgi before
    calc-project -i events -r rejections --view view --rebuild
    scrape_cgi
    diff before samples
    agrees
}

@test "the lags are those of the handler and of the projector, in records and seconds" {
    calc-submit -o commands create 7
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    seq 5 | sed 's/.*/{"value":&,"timestamp":"2020-01-01T00:00:00Z"}/' |
        calc-submit -o commands >/dev/null
    scrape_cgi
    is 'calc_handler_lag_records{log="commands",partition="0"}' 5
    is 'calc_outcome_lag_records{log="commands",partition="0"}' 5
    is 'calc_projector_lag_records{log="events",partition="0"}' 0
    [ "$(sample 'calc_handler_lag_seconds{log="commands",partition="0"}' | cut -d. -f1)" -gt 100000000 ]
    calc-handle -i commands -o events -r rejections
    calc-submit -o commands create 8 >/dev/null
    scrape_cgi
    is 'calc_handler_lag_records{log="commands",partition="0"}' 1
    is 'calc_outcome_lag_records{log="commands",partition="0"}' 6
    is 'calc_projector_lag_records{log="events",partition="0"}' 5
    [ "$(sample 'calc_projector_lag_seconds{log="events",partition="0"}' | cut -d. -f1)" -gt 100000000 ]
    [ "$(sample 'calc_handler_lag_seconds{log="commands",partition="0"}' | cut -d. -f1)" -lt 100 ]
    # without the outputs nobody knows which of the two it is
    CALC_EVENTS='' scrape_cgi
    is 'calc_outcome_lag_records{log="commands",partition="0"}' 6
    [ "$(grep -cE 'calc_(handler|projector)_lag' samples)" -eq 0 ]
}

@test "retries and malformed lines at the end of the log are no lag once they were handled" {
    printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1}}\n' \
        "$one" "$one" "$one" "$one" | calc-submit -o commands >/dev/null
    calc-submit -o commands create 7
    printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1}}\n' \
        "$one" "$one" "$one" "$one" | calc-submit -o commands >/dev/null
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    scrape_cgi
    agrees
    echo nonsense >>commands
    scrape_cgi
    is 'calc_handler_lag_records{log="commands",partition="0"}' 1
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    scrape_cgi
    agrees
}

@test "a scrape doesn't read the whole log again" {
    needs strace
    seq 40000 | sed 's/.*/{"value":&}/' | calc-submit -o commands >/dev/null
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    scrape_cgi
    is calc_commands_total 40000
    calc-submit -o commands create 7 >/dev/null
    strace -f -e trace=pread64,read -o trace env ASAN_OPTIONS=detect_leaks=0 REQUEST_METHOD=GET REQUEST_URI=/metrics SCRIPT_NAME= \
        calc-cgi </dev/null >answer
    body answer | grep -qx 'calc_commands_total 40001'
    [ "$(awk '/pread64|read/ { sum += $NF } END { print sum }' trace)" -lt 4000000 ]
    [ "$(stat -c %s commands)" -gt 7000000 ]
}

@test "what was counted of another log, or can't be read, is counted again" {
    seq 40000 | sed 's/.*/{"value":&}/' | calc-submit -o commands >/dev/null
    calc-project --view view -i /dev/null
    scrape_cgi
    is calc_commands_total 40000
    [ -s view/commands.count ]
    # as long, and another one
    tac commands >other
    mv other commands
    echo '{}' >>commands
    scrape_cgi
    is calc_commands_total 40001
    for text in "" "1 7" "1 99999999999 5 $one" $'1 0 -1\n' "2 $(cat view/commands.count)"; do
        printf %s "$text" >view/commands.count
        scrape_cgi
        is calc_commands_total 40001
    done
    : >commands
    scrape_cgi
    is calc_commands_total 0
}

@test "without a view and without logs there are fewer metrics, and those are right" {
    scrape_cgi
    is 'calc_part_up{part="view"}' 0
    is 'calc_part_up{part="commands"}' 1
    calc-project --view view -i /dev/null
    mkdir folder
    CALC_EVENTS=$PWD/folder scrape_cgi
    is calc_commands_total 0
    grep -q "calc-cgi: /metrics has less: can't read $PWD/folder" log
    scrape_cgi
    is 'calc_part_up{part="view"}' 1
    is calc_commands_total 0
    is 'calc_handler_lag_records{log="commands",partition="0"}' 0
    CALC_COMMANDS=folder/missing/commands scrape_cgi
    is 'calc_part_up{part="commands"}' 0
    is calc_commands_total 0
}

@test "streams are counted while they are open" {
    calc-project --view view -i /dev/null
    start_listener socket
    REQUEST_METHOD=GET REQUEST_URI=/events SCRIPT_NAME='' background \
        cgi-fcgi -bind -connect socket >stream </dev/null
    until_true 10 grep -q text/event-stream stream
    scrape
    is calc_open_streams 1
    is 'calc_http_requests_total{code="200",method="GET",route="/events"}' 1
    end_started
    until_true 10 eval 'scrape && is calc_open_streams 0 2>>log'
}

@test "healthz says 503 while nobody can append, and appends nothing" {
    calc-submit -o commands create 7 >/dev/null
    calc-project --view view -i /dev/null
    start_listener socket
    cp commands before
    answers 200 GET /healthz
    exec 8<>commands
    hold_lock 8 # as a writer does whose append failed so that nobody knows where the log ends
    until_true 10 answers 503 GET /healthz
    [ "$(body answer | jq -c '[.commands, .view, .detail]')" = \
        "[false,true,\"the commands log can't be appended to\"]" ]
    end_started
    exec 8>&-
    until_true 10 answers 200 GET /healthz
    cmp before commands
}

@test "lines in the log about a request have the web server's id of it, and nothing that could be another line" {
    start_listener socket
    REQUEST_ID=7f3a9c answers 503 GET "/values/$one" '' REQUEST_ID=7f3a9c
    grep -q '^calc-cgi: request 7f3a9c: there is no view' log
    ask GET "/values/$one" '' UNIQUE_ID=aZ@-1 HTTP_X_REQUEST_ID=mine REQUEST_ID=
    grep -q '^calc-cgi: request aZ@-1: there is no view' log
    ask GET "/values/$one" '' HTTP_X_REQUEST_ID=mine HTTP_REQUEST_ID=mine
    grep -q '^calc-cgi: there is no view' log
    ask GET "/values/$one" '' REQUEST_ID=$'a\ncalc-cgi: b \033['"$(printf '%0100d' 0)"
    grep -q '^calc-cgi: request a?calc-cgi:?b???0*: there is no view' log
    [ "$(grep -c '^calc-cgi: b' log)" -eq 0 ]
    [ "$(awk '{ print length }' log | sort -n | tail -n 1)" -lt 200 ]
    [ "$(grep -c mine log)" -eq 0 ]
}

@test "nginx and Apache name their requests in our log, whatever a client sends" {
    local server
    for server in nginx-fastcgi apache-fastcgi apache-cgi; do
        start_server $server
        status_is 503 -H 'X-Request-Id: mine' -H 'Request-Id: mine' -H 'Unique-Id: mine' "$url/values/$one"
        until_true 10 grep -qE 'calc-cgi: request [A-Za-z0-9@_-]{24,32}: there is no view' log
        [ "$(grep -c mine log)" -eq 0 ]
        end_groups
        rm -rf run
    done
}
