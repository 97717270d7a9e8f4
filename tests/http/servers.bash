# Starts a calculator behind a web server, each with the example configuration, in the working
# folder: ./commands, ./events, ./rejections, ./view, and ./run for the web server's own files.
# Loaded after tests/helper.bash.
# shellcheck shell=bash
# shellcheck disable=SC2034 # tests use url, id, listener and the like
# shellcheck disable=SC2154,SC2153 # the helper sets root and CALC_BIN

here=$root/tests/http
conf=$root/cmd/calc-cgi

# in_group COMMAND...: starts it at the head of a process group of its own, which end_groups ends
# as a whole: web servers have children, and fcgiwrap leaves its own behind.
in_group() {
    setsid "$@" 3>&- &
    groups+=($!)
}

end_groups() {
    local id
    for id in "${groups[@]}"; do
        kill -TERM -- "-$id" 2>/dev/null || true
        until_true 5 group_ended "$id" || kill -KILL -- "-$id" 2>/dev/null || true
        wait "$id" 2>/dev/null || true
    done
    groups=()
}

# Ends what a test started, and shows the log of one that failed.
end_servers() {
    end_groups
    end_started
    if [ -z "${BATS_TEST_COMPLETED-}" ] && [ -s log ]; then
        tail -n 20 log
    fi
}

teardown() {
    end_servers
}

# A dead process that nobody waits for doesn't count.
group_ended() {
    ! pgrep -g "$1" -r D,R,S,T >/dev/null
}

groups=()

free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# Apache doesn't serve as root. The calculator then has to be another user's as a whole, with
# programs and folders that this user reaches.
as_user=()
cgi=$CALC_BIN/calc-cgi

be_nobody() {
    needs setpriv
    as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    chmod o+x "$BATS_RUN_TMPDIR"
    mkdir -p bin
    cp "$CALC_BIN"/calc-{cgi,handle,project} bin/
    PATH=$PWD/bin:$PATH
    cgi=$PWD/bin/calc-cgi
    chown nobody . run
    "${as_user[@]}" test -x "$cgi" || skip "as root, Apache needs a temporary folder open to others"
}

# Handler and projector, on the logs in the working folder; or on topics, with their state there.
start_calculator() {
    if [[ ${CALC_COMMANDS-} == kafka:* ]]; then
        in_group "${as_user[@]}" calc-handle -i kafka: -o kafka: -r kafka: --state state
        in_group "${as_user[@]}" calc-project -i kafka: -r kafka: --view view
        return
    fi
    in_group "${as_user[@]}" calc-handle -f -i commands -o events -r rejections
    in_group "${as_user[@]}" calc-project -f -i events -r rejections --view view
}

# start_server NAME [CONFIGURATION]: sets server, url (with the mount: $mount, if that isn't the
# example's), and id, which is the web server's process. What they all say goes to ./log.
start_server() {
    local attempt
    server=$1
    needs curl python3 setsid pgrep
    mkdir -p run
    : >log
    export CALC_CGI CALC_PORT CALC_RUN=$PWD/run
    export CALC_COMMANDS=${CALC_COMMANDS:-$PWD/commands} CALC_VIEW=${CALC_VIEW:-$PWD/view}
    for attempt in 1 2 3; do
        CALC_PORT=$(free_port)
        "start_${server//-/_}" "${2:-$conf/$server.conf}"
        if until_true 10 answers_or_ended && ! ended; then
            return
        fi
        echo "attempt $attempt on port $CALC_PORT failed" >>log
    done
    cat log >&2
    return 1
}

ended() {
    ! kill -0 "$id" 2>/dev/null
}

answers_or_ended() {
    ended || curl -s -o /dev/null "$url/values/$unknown"
}

unknown=0198c0de-0000-7000-8000-00000000beef

start_lighttpd_fastcgi() {
    needs lighttpd
    url=http://127.0.0.1:$CALC_PORT${mount-}
    CALC_CGI=$cgi in_group lighttpd -D -f "$1" 2>>log
    id=${groups[-1]}
}

start_lighttpd_cgi() {
    needs lighttpd
    url=http://127.0.0.1:$CALC_PORT${mount-/calc}
    CALC_CGI=$cgi in_group lighttpd -D -f "$1" 2>>log
    id=${groups[-1]}
}

# nginx CONFIGURATION: nginx takes no variables, so its configuration is rewritten.
start_nginx() {
    local user=()
    [ "$EUID" -ne 0 ] || user=(-g 'user root;')
    sed "s|/run/calc|$CALC_RUN|g; s|/var/lib/calc/commands|$CALC_COMMANDS|g
        s|/var/lib/calc/view|$CALC_VIEW|g; s|/usr/local/bin/calc-cgi|$cgi|g
        s|127.0.0.1:3030|127.0.0.1:$CALC_PORT|g" "$1" >run/nginx.conf
    in_group nginx -e stderr -c "$CALC_RUN/nginx.conf" "${user[@]}" 2>>log
    id=${groups[-1]}
}

start_nginx_fastcgi() {
    needs nginx
    url=http://127.0.0.1:$CALC_PORT${mount-}
    [ -S run/calc-cgi.sock ] || start_listener run/calc-cgi.sock
    start_nginx "$1"
}

start_nginx_fcgiwrap() {
    needs nginx fcgiwrap
    url=http://127.0.0.1:$CALC_PORT${mount-/calc}
    if [ ! -S run/fcgiwrap.sock ]; then
        in_group fcgiwrap -c 4 -s "unix:$CALC_RUN/fcgiwrap.sock" 2>>log
        until_true 10 test -S run/fcgiwrap.sock
    fi
    start_nginx "$1"
}

start_apache_cgi() {
    local user=()
    needs apache2
    [ -d /usr/lib/apache2/modules ] || skip "Apache's modules are elsewhere"
    if [ "$EUID" -eq 0 ]; then
        be_nobody
        user=(-c "User nobody" -c "Group nogroup")
    fi
    url=http://127.0.0.1:$CALC_PORT${mount-/calc}
    CALC_CGI=$cgi in_group apache2 -D FOREGROUND -f "$1" "${user[@]}" 2>>log
    id=${groups[-1]}
}

start_apache_fastcgi() {
    local user=()
    needs apache2
    [ -d /usr/lib/apache2/modules ] || skip "Apache's modules are elsewhere"
    if [ "$EUID" -eq 0 ]; then
        be_nobody
        user=(-c "User nobody" -c "Group nogroup")
    fi
    url=http://127.0.0.1:$CALC_PORT${mount-}
    [ -S run/calc-cgi.sock ] || start_listener run/calc-cgi.sock
    in_group apache2 -D FOREGROUND -f "$1" "${user[@]}" 2>>log
    id=${groups[-1]}
}

# start_listener PATH: a FastCGI calc-cgi on a Unix socket; sets listener, its process.
start_listener() {
    in_group "${as_user[@]}" calc-cgi --listen "$1" 2>>log
    listener=${groups[-1]}
    until_true 10 test -S "$1"
}

# start NAME [CONFIGURATION]: all of it, ready to answer queries.
start() {
    start_server "$@"
    start_calculator
    until_true 10 status_is 404 "$url/values/$unknown"
}

# status_is STATUS CURL-ARGUMENTS...
status_is() {
    [ "$(curl -s -o answer -w '%{http_code}' "${@:2}")" = "$1" ]
}

# value_is URL TEXT
value_is() {
    [ "$(curl -s "$1")" = "$2" ]
}

# The lines of commands that are in the log, as ids in order.
ids_in_log() {
    jq -r .id commands | LC_ALL=C sort
}

# The walk of the README.
walk() {
    local location value
    location=$(curl -sf -D- -o created -d '{"value": 2}' -H "Content-Type: application/json" \
        -X POST "$url/values" | tr -d '\r' | sed -n 's/^location: //Ip')
    value=$(jq -r . created)
    [ "$location" = "${url#http://127.0.0.1:"$CALC_PORT"}/values/$value" ]
    curl -sf -d '{"operation": "ADD", "value": 2}' -H "Content-Type: application/json" \
        -X PUT "$url/values/$value"
    curl -sf -d '{"operation": "MULTIPLY", "value": 3}' -H "Content-Type: application/json" \
        -X PUT "$url/values/$value"
    until_true 10 value_is "$url/values/$value" '{"value":12.0}'
}

# What is answered to each request of the table. Who was accepted is in ./accepted.
request_table() {
    python3 "$here/run.py" --server "$server" --accepted accepted "$url" "$here/requests.jsonl" \
        >table || {
        awk '/^ok/ { wrong = 0 } /^not ok/ { wrong = 1 } wrong' table
        return 1
    }
}

# What was accepted, and nothing else, is in the log.
only_accepted_are_in_log() {
    diff <(LC_ALL=C sort accepted) <(ids_in_log)
    [ "$(grep -c '"actor"' commands)" -eq 0 ]
}

# ask_socket SOCKET METHOD PATH [BODY] [NAME=VALUE...]: by FastCGI, without a web server; the answer goes to ./answer.
ask_socket() {
    local body=${4-}
    printf %s "$body" | env -i PATH="$PATH" REQUEST_METHOD="$2" REQUEST_URI="$3" SCRIPT_NAME= \
        CONTENT_LENGTH="${#body}" "${@:5}" cgi-fcgi -bind -connect "$1" >answer
}
