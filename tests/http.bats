# The HTTP side behind web servers, each with its example configuration of cmd/calc-cgi. The table
# of requests is tests/http/requests.jsonl. Without a web server: http-cgi.bats, http-fastcgi.bats.

# shellcheck disable=SC2154,SC2034 # http/servers.bash sets and reads them
load helper
load http/servers

walk_behind() {
    start "$1"
    walk
}

table_behind() {
    start "$1"
    request_table
    only_accepted_are_in_log
}

# 503 says that nothing was done; it ends with its cause, and nobody restarts anything.
outage_behind() {
    export CALC_COMMANDS=$PWD/later/commands
    start_server "$1"
    status_is 503 -D headers "$url/values/$unknown"
    grep -qi '^retry-after: [0-9]' headers
    status_is 503 -D headers -d '{"value":1}' -H 'Content-Type: application/json' "$url/values"
    grep -qi '^retry-after: [0-9]' headers
    [ "$(jq .status answer)" = 503 ]
    "${as_user[@]}" mkdir -p later/commands
    status_is 503 -d '{"value":1}' -H 'Content-Type: application/json' "$url/values"
    rmdir later/commands
    status_is 202 -d '{"value":1}' -H 'Content-Type: application/json' "$url/values"
    [ "$(wc -l <later/commands)" -eq 1 ]
    start_calculator
    until_true 10 status_is 404 "$url/values/$unknown"
}

parallel_behind() {
    start "$1"
    "$here/load.py" "$url" 32 20 accepted
    [ "$(wc -l <accepted)" -eq 640 ]
    diff <(LC_ALL=C sort accepted) <(ids_in_log)
    until_true 20 lines_are 640 events
}

lines_are() {
    [ "$(wc -l <"$2")" -eq "$1" ]
}

lines_reach() {
    [ "$(wc -l <"$2")" -ge "$1" ]
}

# What the log has, each once, and every command that was accepted among it.
accepted_are_in_log() {
    ids_in_log >in_log
    [ -z "$(uniq -d in_log)" ]
    [ -z "$(LC_ALL=C sort accepted | LC_ALL=C comm -23 - in_log)" ]
}

# kill_under_load PROCESS-ID-COMMAND RESTART-COMMAND: kills calc-cgi three times while it works.
kill_under_load() {
    local victim load
    "$here/load.py" --retry "$url" 16 100 accepted >counts &
    load=$!
    until_true 10 test -e accepted
    for goal in 200 500 900; do
        until_true 20 lines_reach "$goal" accepted
        victim=$("$1")
        kill -KILL "$victim"
        "$2"
    done
    wait "$load"
    cat counts
    accepted_are_in_log
    walk
}

child_of_server() {
    until_true 10 pgrep -P "$id" -x calc-cgi
}

listener() {
    echo "$listener"
}

restart_listener() {
    wait "$listener" 2>/dev/null || true
    calc_cgi_listens run/calc-cgi.sock
}

calc_cgi_listens() {
    in_group calc-cgi --listen "$1" 2>>log
    listener=${groups[-1]}
}

@test "lighttpd with FastCGI: the README's walk reads 12" {
    walk_behind lighttpd-fastcgi
}

@test "lighttpd with FastCGI: every request of the table gets its answer" {
    table_behind lighttpd-fastcgi
}

@test "lighttpd with FastCGI: an outage is 503 and ends by itself" {
    outage_behind lighttpd-fastcgi
}

@test "lighttpd with FastCGI: what many clients create is in the log once" {
    parallel_behind lighttpd-fastcgi
}

@test "lighttpd with FastCGI: what was accepted outlives a killed calc-cgi" {
    start lighttpd-fastcgi
    kill_under_load child_of_server true
}

@test "lighttpd with CGI: the README's walk reads 12" {
    walk_behind lighttpd-cgi
}

@test "lighttpd with CGI: every request of the table gets its answer" {
    table_behind lighttpd-cgi
}

@test "lighttpd with CGI: an outage is 503 and ends by itself" {
    outage_behind lighttpd-cgi
}

@test "lighttpd with CGI: what many clients create is in the log once" {
    parallel_behind lighttpd-cgi
}

@test "nginx with FastCGI: the README's walk reads 12" {
    walk_behind nginx-fastcgi
}

@test "nginx with FastCGI: every request of the table gets its answer" {
    table_behind nginx-fastcgi
}

@test "nginx with FastCGI: an outage is 503 and ends by itself" {
    outage_behind nginx-fastcgi
}

@test "nginx with FastCGI: what many clients create is in the log once" {
    parallel_behind nginx-fastcgi
}

@test "nginx with FastCGI: what was accepted outlives a killed calc-cgi" {
    start nginx-fastcgi
    kill_under_load listener restart_listener
}

@test "nginx with FastCGI: SIGTERM ends calc-cgi after the requests under way" {
    start nginx-fastcgi
    "$here/load.py" --retry "$url" 16 100 accepted >counts &
    load=$!
    until_true 10 test -e accepted
    until_true 20 lines_reach 200 accepted
    kill -TERM "$listener"
    status_of 0 wait "$listener"
    calc_cgi_listens run/calc-cgi.sock
    wait "$load"
    # nothing was taken without an answer
    diff <(LC_ALL=C sort accepted) <(ids_in_log)
}

@test "nginx with CGI: the README's walk reads 12" {
    walk_behind nginx-fcgiwrap
}

@test "nginx with CGI: every request of the table gets its answer" {
    table_behind nginx-fcgiwrap
}

@test "nginx with CGI: an outage is 503 and ends by itself" {
    outage_behind nginx-fcgiwrap
}

@test "nginx with CGI: what many clients create is in the log once" {
    parallel_behind nginx-fcgiwrap
}

@test "Apache with CGI: the README's walk reads 12" {
    walk_behind apache-cgi
}

@test "Apache with CGI: every request of the table gets its answer" {
    table_behind apache-cgi
}

@test "Apache with CGI: an outage is 503 and ends by itself" {
    outage_behind apache-cgi
}

@test "Apache with CGI: what many clients create is in the log once" {
    parallel_behind apache-cgi
}

@test "Apache with FastCGI: the README's walk reads 12" {
    walk_behind apache-fastcgi
}

@test "Apache with FastCGI: every request of the table gets its answer" {
    table_behind apache-fastcgi
}

@test "Apache with FastCGI: an outage is 503 and ends by itself" {
    outage_behind apache-fastcgi
}

@test "Apache with FastCGI: what many clients create is in the log once" {
    parallel_behind apache-fastcgi
}

@test "nginx with its own fastcgi_params mounts it where the location is" {
    [ -e /etc/nginx/fastcgi_params ] || skip "there is no /etc/nginx/fastcgi_params"
    mount=/stock
    start nginx-fastcgi "$here/nginx-stock.conf"
    walk
    status_is 404 "$url/nothing"
}

@test "lighttpd with FastCGI at a prefix mounts it there" {
    mount=/stock
    start lighttpd-fastcgi "$here/lighttpd-stock.conf"
    walk
    status_is 404 "$url/nothing"
}

@test "lighttpd with a folder of programs mounts it at the program" {
    mkdir -p run/cgi-bin
    cp "$CALC_BIN/calc-cgi" run/cgi-bin/
    mount=/cgi-bin/calc-cgi
    start lighttpd-cgi "$here/lighttpd-stock-cgi.conf"
    walk
    status_is 404 "$url/nothing"
}

@test "Apache with a folder of programs mounts it at the program" {
    mkdir -p run/cgi-bin
    cp "$CALC_BIN/calc-cgi" run/cgi-bin/
    mount=/cgi-bin/calc-cgi
    start apache-cgi "$here/apache-stock.conf"
    walk
    status_is 404 "$url/nothing"
}
