# calc-cgi as FastCGI, without a web server: how it gets its socket, and how it ends. cgi-fcgi of
# libfcgi-bin sends the requests. The long form of the flood is `make soak`: FLOODS=200.

# shellcheck disable=SC2154,SC2034 # http/servers.bash sets and reads them
load helper
load http/servers

update='{"operation":"ADD","value":3}'

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    needs cgi-fcgi python3 setsid pgrep
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    id=0198c0de-0000-7000-8000-000000000001
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

answers() {
    ask_socket "$1" GET /nothing 2>/dev/null && grep -q '^Status: 404' answer
}

creates() {
    ask_socket "$1" POST /values '{"value":1}'
    grep -q '^Status: 202' answer
    [ "$(wc -l <commands)" -eq "${2-1}" ]
}

@test "it listens on a Unix socket, and removes it at its end" {
    start_listener socket
    creates socket
    kill -TERM "$listener"
    status_of 0 wait "$listener"
    [ ! -e socket ]
}

@test "it listens on a port" {
    port=$(free_port)
    for where in "127.0.0.1:$port" ":$port"; do
        in_group calc-cgi --listen "$where" 2>>log
        until_true 10 answers "127.0.0.1:$port"
        kill -TERM "${groups[-1]}"
        status_of 0 wait "${groups[-1]}"
    done
}

@test "it listens on fd 0 where that is a socket, as lighttpd and spawn-fcgi give it" {
    in_group "$here/listen.py" socket stdin calc-cgi 2>>log
    until_true 10 test -S socket
    creates socket
    kill -TERM "${groups[-1]}"
    status_of 0 wait "${groups[-1]}"
}

@test "it listens on the socket that systemd gives" {
    in_group "$here/listen.py" socket systemd calc-cgi 2>>log
    until_true 10 test -S socket
    creates socket
    kill -TERM "${groups[-1]}"
    status_of 0 wait "${groups[-1]}"
    # it is systemd's, which keeps it
    [ -S socket ]
}

@test "a systemd socket for another process is not taken" {
    status_of 64 "$here/listen.py" socket other timeout 5 calc-cgi </dev/null 2>log
}

@test "SIGINT ends it like SIGTERM" {
    # a background job of a shell ignores SIGINT until somebody says otherwise
    in_group env --default-signal=INT calc-cgi --listen socket 2>>log
    until_true 10 answers socket
    kill -INT "${groups[-1]}"
    status_of 0 wait "${groups[-1]}"
}

@test "a request under way is answered before SIGTERM ends it" {
    start_listener socket
    printf '{"value":1}' | "$here/fcgi.py" socket --in-body "$listener" REQUEST_METHOD=POST \
        REQUEST_URI=/values SCRIPT_NAME= CONTENT_LENGTH=11 >answer
    grep -q '^Status: 202' answer
    status_of 0 wait "$listener"
    [ "$(wc -l <commands)" -eq 1 ]
}

@test "a connection that is kept and idle doesn't hold up SIGTERM" {
    start_listener socket
    "$here/fcgi.py" socket --when-idle "$listener" REQUEST_METHOD=GET REQUEST_URI=/nothing \
        SCRIPT_NAME= CONTENT_LENGTH=0 </dev/null >answer
    grep -q '^Status: 404' answer
    status_of 0 wait "$listener"
}

@test "a socket that a killed process left is taken over" {
    start_listener socket
    kill -KILL "$listener"
    wait "$listener" || true
    [ -S socket ]
    in_group calc-cgi --listen socket 2>>log
    until_true 10 answers socket
}

@test "a socket that another process listens on is left alone" {
    start_listener socket
    status_of 75 timeout 5 calc-cgi --listen socket 2>errors
    grep -q socket errors
    creates socket
}

@test "a file in the socket's place is left alone" {
    echo precious >socket
    status_of 74 timeout 5 calc-cgi --listen socket 2>errors
    [ "$(cat socket)" = precious ]
}

@test "a place where it can't listen is an error at once" {
    status_of 74 timeout 5 calc-cgi --listen missing/socket 2>errors
    status_of 64 timeout 5 calc-cgi --listen "$(printf 'x%.0s' {1..200})" 2>errors
    status_of 64 timeout 5 calc-cgi --listen 127.0.0.1:none 2>errors
}

@test "missing settings are an error at once" {
    status_of 78 env -u CALC_COMMANDS timeout 5 calc-cgi --listen socket 2>errors
    grep -q CALC_COMMANDS errors
    [ ! -e socket ]
    status_of 78 env -u CALC_VIEW timeout 5 calc-cgi --listen socket 2>errors
    [ ! -e socket ]
}

@test "each request has its own mount and its own user" {
    start_listener socket
    ask_socket socket POST /a/values '{"value":1}' SCRIPT_NAME=/a REMOTE_USER=ann
    grep -q '^Location: /a/values/' answer
    ask_socket socket POST /b/values '{"value":1}' CALC_BASE=/b REMOTE_USER=
    grep -q '^Location: /b/values/' answer
    ask_socket socket POST /values '{"value":1}' REMOTE_USER=bob
    grep -q '^Location: /values/' answer
    [ "$(jq -c .actor commands | paste -sd' ')" = '"ann" null "bob"' ]
}

@test "the view may come later than the first request" {
    start_listener socket
    ask_socket socket GET "/values/$id"
    grep -q '^Status: 503' answer
    : >events
    : >rejections
    calc-project -i events -r rejections --view view
    ask_socket socket GET "/values/$id"
    grep -q '^Status: 404' answer
}

@test "a view that was made anew is read anew" {
    start_listener socket
    ask_socket socket POST /values '{"value":1}'
    value=$(jq -r .data.value_id commands)
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    ask_socket socket GET "/values/$value"
    grep -q '^Status: 200' answer
    rm -r view
    ask_socket socket GET "/values/$value"
    grep -q '^Status: 503' answer
    calc-project -i events -r rejections --view view
    ask_socket socket GET "/values/$value"
    grep -q '^Status: 200' answer
}

@test "connections that a web server keeps open without a request hold up nobody for long" {
    start_listener socket
    creates socket
    # more of them than there are threads, each with a request that asks to keep it
    python3 - socket "$here" <<'PYTHON'
import socket, struct, sys
sys.path.insert(0, sys.argv[2])
from fcgi import BEGIN, PARAMS, STDIN, pairs, read_answer, record
params = pairs(["REQUEST_METHOD=GET", "REQUEST_URI=/nothing", "SCRIPT_NAME="])
kept = []
for _ in range(100):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(sys.argv[1])
    connection.sendall(record(BEGIN, struct.pack("!HB5x", 1, 1)) + record(PARAMS, params) +
                       record(PARAMS, b"") + record(STDIN, b""))
    assert b"404" in read_answer(connection)
    kept.append(connection)
PYTHON
    creates socket 2
}

@test "SIGTERM ends it though another process holds the log, and nothing of what waited is written" {
    start_listener socket
    creates socket
    exec 8<commands
    hold_lock 8
    ask_socket socket POST /values '{"value":2}' 3>&- 8<&- &
    asker=$!
    until_true 10 grep -qE -- "-> FLOCK .*:$(stat -c %i commands) " /proc/locks
    kill -TERM "$listener"
    until_true 20 gone "$listener"
    status_of 0 wait "$listener"
    wait "$asker"
    grep -q '^Status: 503' answer
    flock -u 8
    [ "$(wc -l <commands)" -eq 1 ]
}

# idle: the listener has both connections, and its threads sleep.
idle() {
    until_true 10 connections_are 2
}

connections_are() {
    [ "$(find "/proc/$listener/fd" -lname 'socket:*' | wc -l)" -ge $(($1 + 1)) ]
}

# calculate: handler and projector, following.
calculate() {
    in_group calc-handle -f -i commands -o events -r rejections 2>>log
    in_group calc-project -f -i events -r rejections --view view 2>>log
}

@test "who waits gets the outcome, many at a time" {
    : >commands
    calculate
    start_listener socket
    for i in {1..40}; do
        ask_socket socket POST /values '{"value":'"$i"'}' HTTP_PREFER=wait=20
        grep -q '^Status: 201' answer
        grep -q "^Preference-Applied: wait=20" answer
    done
}

@test "more waiting requests than there are threads for starve nobody" {
    : >commands
    start_listener socket
    python3 - socket "$here" "$id" <<'PYTHON'
import socket, struct, sys, time
sys.path.insert(0, sys.argv[2])
from fcgi import BEGIN, PARAMS, STDIN, pairs, read_answer, record

def send(method, path, body, *more):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(sys.argv[1])
    params = pairs([f"REQUEST_METHOD={method}", f"REQUEST_URI={path}", "SCRIPT_NAME=",
                    f"CONTENT_LENGTH={len(body)}", *more])
    connection.sendall(record(BEGIN, struct.pack("!HB5x", 1, 0)) + record(PARAMS, params) +
                       record(PARAMS, b"") + (record(STDIN, body) if body else b"") + record(STDIN, b""))
    return connection

update, path = b'{"operation":"ADD","value":1}', "/values/" + sys.argv[3]
waiting = []
deadline = time.monotonic() + 60
# nobody decides: they wait until all places are taken, and one is told to come back later
while True:
    connection = send("PUT", path, update, "HTTP_PREFER=wait=30")
    connection.settimeout(0.05)
    try:
        answer = read_answer(connection)
        break
    except TimeoutError:
        waiting.append(connection)
    assert time.monotonic() < deadline
print(len(waiting), "wait")
assert 200 < len(waiting) < 1000, len(waiting)
assert b"Status: 202" in answer and b"Preference-Applied" not in answer, answer
# who wants to see something is told to come back
assert b"Status: 503" in read_answer(send("GET", path + "?seen=" + sys.argv[3], b""))
# the others are answered at once, many at a time
begin = time.monotonic()
for connection in [send("POST", "/values", b'{"value":1}') for _ in range(60)]:
    assert b"Status: 202" in read_answer(connection)
assert b"Status: 404" in read_answer(send("GET", "/nothing", b""))
assert time.monotonic() - begin < 10
# who leaves makes room
for connection in waiting[:50]:
    connection.close()
deadline = time.monotonic() + 20
while True:
    connection = send("PUT", path, update, "HTTP_PREFER=wait=2")
    if b"Preference-Applied" in read_answer(connection):
        break
    assert time.monotonic() < deadline
PYTHON
}

@test "SIGTERM answers at once those who wait: 202, and 503 for who wants to see" {
    : >commands
    start_listener socket
    ask_socket socket PUT "/values/$id" "$update" HTTP_PREFER=wait=30 3>&- &
    first=$!
    ask2() { cd other && ask_socket ../socket GET "/values/$id?seen=$id" '' HTTP_PREFER=wait=30; }
    mkdir other
    ask2 3>&- &
    second=$!
    until_true 10 grep -q ADD commands
    idle
    begin=$SECONDS
    kill -TERM "$listener"
    status_of 0 wait "$listener"
    ((SECONDS - begin <= 3))
    wait "$first"
    wait "$second"
    grep -q '^Status: 202' answer
    grep -q '^Link: .*rel="status"' answer
    grep -q '^Status: 503' other/answer
}

@test "a body that comes a byte at a time is 408 in time" {
    start_listener socket
    python3 - socket "$here" <<'PYTHON'
import socket, struct, sys, time
sys.path.insert(0, sys.argv[2])
from fcgi import BEGIN, PARAMS, STDIN, pairs, read_answer, record
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
params = pairs(["REQUEST_METHOD=POST", "REQUEST_URI=/values", "SCRIPT_NAME=", "CONTENT_LENGTH=60000"])
connection.sendall(record(BEGIN, struct.pack("!HB5x", 1, 0)) + record(PARAMS, params) + record(PARAMS, b""))
begin = time.monotonic()
connection.settimeout(0.1)
while time.monotonic() - begin < 30:
    connection.sendall(record(STDIN, b" "))
    try:
        answer = read_answer(connection)
        break
    except TimeoutError:
        pass
assert b"Status: 408" in answer, answer
assert 8 < time.monotonic() - begin < 15, time.monotonic() - begin
PYTHON
    creates socket
}

@test "a body that is more than is read, or more than was announced, doesn't cost its answer" {
    start_listener socket
    python3 - socket "$here" <<'PYTHON'
import socket, struct, sys
sys.path.insert(0, sys.argv[2])
from fcgi import BEGIN, PARAMS, STDIN, pairs, read_answer, record
mebibytes = 4
for announced, status in ((mebibytes << 20, b"413"), (11, b"202")):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(sys.argv[1])
    params = pairs(["REQUEST_METHOD=POST", "REQUEST_URI=/values", "SCRIPT_NAME=", f"CONTENT_LENGTH={announced}"])
    connection.sendall(record(BEGIN, struct.pack("!HB5x", 1, 0)) + record(PARAMS, params) + record(PARAMS, b"") +
                       record(STDIN, b'{"value":1}'))
    for _ in range(mebibytes * 32):
        connection.sendall(record(STDIN, b" " * 32768))
    connection.sendall(record(STDIN, b""))
    answer = read_answer(connection)
    assert b"Status: " + status in answer, answer
PYTHON
    creates socket 2
}

@test "a flood of large headers, bodies and answers in all threads is answered in bounded memory" {
    {
        echo '{"value_id":"'"$id"'","value":1}'
        for _ in {1..1000}; do
            echo '{"value":1}'
            echo '{"value_id":"'"$id"'","operation":"ADD","value":1}'
        done
    } | calc-submit >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    start_listener socket
    bound=128 # MiB, as calc-cgi(8) has it
    # sanitizers keep what was freed
    if grep -q __asan_init "$CALC_BIN/calc-cgi"; then
        bound=4096
    fi
    "$here/flood.py" socket "$listener" "$bound" "$id" "${FLOODS-2}"
    creates socket "$(($(wc -l <commands) + 1))"
}

@test "a log that another process keeps locked is 503 when the time is up, and then goes on" {
    start_listener socket
    creates socket
    exec 8<commands
    hold_lock 8
    ask_socket socket POST /values '{"value":2}' 8<&-
    grep -q '^Status: 503' answer
    flock -u 8
    exec 8<&-
    creates socket 2
}

@test "a client that leaves in mid-answer costs no thread and no memory" {
    : >commands
    calculate
    start_listener socket
    for i in 1 2 3; do
        ask_socket socket POST /values '{"value":1}' HTTP_PREFER=wait=20
    done
    python3 - socket "$here" <<'PYTHON'
import socket, struct, sys
sys.path.insert(0, sys.argv[2])
from fcgi import BEGIN, PARAMS, STDIN, pairs, read_answer, record
params = pairs(["REQUEST_METHOD=GET", "REQUEST_URI=/openapi.json", "SCRIPT_NAME="])
request = record(BEGIN, struct.pack("!HB5x", 1, 0)) + record(PARAMS, params) + record(PARAMS, b"") + record(STDIN, b"")
for round in range(1000):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(sys.argv[1])
    connection.sendall(request[: len(request) - round % 9])
    if round % 2:
        connection.recv(100)
    connection.close()
PYTHON
    ask_socket socket GET /healthz
    grep -q '^Status: 200' answer
}
