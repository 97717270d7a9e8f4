# Server-sent events of calc-cgi: behind web servers, each with its example configuration, and by
# FastCGI without one. The client is tests/http/events.py.

# shellcheck disable=SC2154,SC2034,SC2030,SC2031 # http/servers.bash sets and reads them
load helper
load http/servers

one=0198c0de-0000-7000-8000-000000000001
two=0198c0de-0000-7000-8000-000000000002

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# told N FILE: so many events are in it.
told() {
    [ "$(grep -c '"event"' "$2")" -ge "$1" ]
}

# listen FILE EVENTS.PY-ARGUMENTS...: a client in the background, which has its stream; sets client.
listen() {
    rm -f "$1.ready"
    "$here/events.py" --ready "$1.ready" "${@:2}" >"$1" 2>>log 3>&- &
    client=$!
    started+=("$client")
    until_true 10 test -e "$1.ready"
}

# command LINE...: they are appended to the log as they are.
commands() {
    printf '%s\n' "$@" | calc-submit -o "$CALC_COMMANDS" >acknowledged
}

create() {
    echo '{"value_id":"'"$1"'","value":2}'
}

add() {
    echo '{"value_id":"'"$1"'","operation":"ADD","value":'"$2"'}'
}

conflict() {
    echo '{"value_id":"'"$1"'","operation":"ADD","value":1,"expected_version":99}'
}

# What a client was told, without the ids.
data_of() {
    grep '"event"' "$1" | jq -r .data
}

events_of() {
    grep '"event"' "$1" | jq -r .event | paste -sd' '
}

append_as_owner() {
    "${as_user[@]}" env PATH="$PATH" bash -c "$(declare -f commands create add conflict); commands \"\$@\"" - "$@"
}

streams_behind() {
    start "$1"
    listen all "$url/events"
    listen one "$url/values/$one/events?from=now"
    append_as_owner "$(create $one)" "$(create $two)" "$(add $one 3)" "$(conflict $two)" "$(conflict $one)"
    until_true 10 told 5 all
    until_true 10 told 3 one
    [ "$(events_of one)" = "ValueCreated ValueUpdated CommandRejected" ] ||
        [ "$(events_of one)" = "ValueCreated CommandRejected ValueUpdated" ]
    # as the logs have them, and a GET finds what was told
    diff <(data_of all | grep -v Rejected) events
    diff <(data_of all | grep Rejected) rejections
    diff <(data_of one | LC_ALL=C sort) <(grep -h "$one" events rejections | LC_ALL=C sort)
    [ "$(curl -s "$url/values/$one")" = '{"value":5.0}' ]
    # from any place on, exactly the rest, by either way to say it
    for n in 1 2 3 4 5; do
        place=$(sed -n "${n}p" all | jq -r .id)
        "$here/events.py" --last-id "$place" --seconds 1 "$url/events?from=beginning" >rest
        diff <(sed -n "$((n + 1)),\$p" all) <(grep '"event"' rest)
    done
    "$here/events.py" --count 5 "$url/events?from=beginning" | grep '"event"' | diff all -
    "$here/events.py" --count 1 "$url/events?from=$(sed -n 4p all | jq -r .id)" | head -n 1 |
        diff <(tail -n 1 all) -
}

refusals_behind() {
    start "$1"
    status_is 400 "$url/events?from=nowhere"
    grep -q cursor answer
    status_is 400 "$url/events?from=1&from=2"
    status_is 400 -H 'Last-Event-ID: x' "$url/events?from=now"
    [ "$(jq .status answer)" = 400 ]
    status_is 405 -X DELETE "$url/events"
    [ "$(curl -sI "$url/values/$one/events" | tr -d '\r' | grep -iE '^(content-type|cache-control):' | LC_ALL=C sort | tr '[:upper:]' '[:lower:]' | paste -sd' ')" = \
        "cache-control: no-store content-type: text/event-stream" ]
}

@test "lighttpd with FastCGI: events come as they happen, and go on from any place" {
    streams_behind lighttpd-fastcgi
}

@test "nginx with FastCGI: events come as they happen, and go on from any place" {
    streams_behind nginx-fastcgi
}

@test "Apache with FastCGI: events come as they happen, and go on from any place" {
    streams_behind apache-fastcgi
}

@test "lighttpd with plain CGI: events come as they happen, and go on from any place" {
    streams_behind lighttpd-cgi
}

@test "Apache with plain CGI: events come as they happen, and go on from any place" {
    streams_behind apache-cgi
}

@test "behind each server, what can't be followed is refused" {
    for name in lighttpd-fastcgi apache-fastcgi lighttpd-cgi; do
        refusals_behind "$name"
        end_groups
        rm -rf run view commands events rejections events.state ./*.lock
    done
}

@test "fcgiwrap, which holds back what a program writes, gets no streams" {
    start nginx-fcgiwrap
    status_is 503 "$url/events"
}

# --- clients that leave ---

# begin_behind NAME: a calculator in a folder of its own, behind that server; its process goes to ./process.
begin_behind() {
    mkdir "$1"
    cd "$1" || return 1
    unset CALC_COMMANDS CALC_VIEW
    start "$1"
    case $1 in
    lighttpd-*) pgrep -P "$id" calc-cgi >process ;;
    *) echo "$listener" >process ;;
    esac
    echo "$url" >url
    cd ..
}

# streams_are COUNT NAME: as /metrics says, behind that server.
streams_are() {
    curl -s "$(cat "$2/url")/metrics" | grep -qx "calc_open_streams $1"
}

# costs NAME: what its process has of threads, of sockets, and of KiB of memory.
costs() {
    local process
    process=$(cat "$1/process")
    echo "$(awk '/^Threads:/ { print $2 }' "/proc/$process/status")" \
        "$(find "/proc/$process/fd" -lname 'socket:*' | wc -l)" \
        "$(awk '/^VmRSS:/ { print $2 }' "/proc/$process/status")"
}

# open_and_leave COUNT NAME...: so many streams behind each server; leaves without a word when ./leave is there.
open_and_leave() {
    python3 - "$here" "$@" <<'PYTHON'
import os, sys, time
sys.path.insert(0, sys.argv[1])
from events import Events
streams = [Events(open(name + "/url").read().strip() + "/events") for name in sys.argv[3:] for _ in range(int(sys.argv[2]))]
while not os.path.exists("leave"):
    time.sleep(0.02)
PYTHON
}

# note_ends: when the streams behind each server were gone, to NAME/gone. Whether all are.
note_ends() {
    local name all=0
    for name in "${servers[@]}"; do
        [ ! -e "$name/gone" ] || continue
        ! streams_are 0 "$name" || echo $SECONDS >"$name/gone"
        [ -e "$name/gone" ] || all=1
    done
    ((all == 0)) || sleep 0.5 # each look is a request
    return $all
}

# It is found when something is written: what a web server writes first after that, it may get rid of.
@test "a client that leaves gives its stream's place back with the next heartbeat, behind Apache with the one after it" {
    servers=(lighttpd-fastcgi nginx-fastcgi apache-fastcgi)
    for name in "${servers[@]}"; do
        begin_behind "$name"
        streams_are 0 "$name"
        costs "$name" >"$name/costs"
    done
    background open_and_leave 40 "${servers[@]}"
    for name in "${servers[@]}"; do
        until_true 20 streams_are 40 "$name"
    done
    touch leave
    wait "${started[-1]}"
    SECONDS=0
    until_true 40 note_ends
    for name in "${servers[@]}"; do
        read -r threads sockets memory <"$name/costs"
        now=$(costs "$name")
        echo "# $name: gone after $(cat "$name/gone") s; $threads $sockets $memory before, $now after" >&3
        [[ $now == "$threads $sockets "* ]]
        [ "${SAN:-0}" = 1 ] || ((${now##* } < memory + 512)) # sanitizers keep what was freed for a while
    done
    [ "$(cat lighttpd-fastcgi/gone)" -le 17 ]
    [ "$(cat nginx-fastcgi/gone)" -le 17 ]
    [ "$(cat apache-fastcgi/gone)" -le 33 ]
}

# --- by FastCGI, without a web server ---

# with_streams PYTHON: runs it with `open_stream(path, **headers)`, on ./socket.
with_streams() {
    python3 - "$here" <<PYTHON
import json, os, signal, socket, struct, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from fcgi import BEGIN, PARAMS, STDIN, pairs, record

class Stream:
    """An answer by FastCGI, as it comes."""
    def __init__(self, path, *params, request=1, method="GET"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect("socket")
        path, _, query = path.partition("?")
        params = pairs([f"REQUEST_METHOD={method}", f"REQUEST_URI={path}", f"QUERY_STRING={query}",
                        "SCRIPT_NAME=", *params])
        def numbered(kind, content):
            return struct.pack("!BBHHBB", 1, kind, request, len(content), 0, 0) + content
        self.socket.sendall(numbered(BEGIN, struct.pack("!HB5x", 1, 0)) + numbered(PARAMS, params) +
                            numbered(PARAMS, b"") + numbered(STDIN, b""))
        self.raw, self.text, self.ended, self.request = b"", b"", False, request

    def fill(self):
        some = self.socket.recv(65536)
        if not some:
            self.closed = True
            return False
        self.raw += some
        while len(self.raw) >= 8:
            version, kind, request, length, padding = struct.unpack("!BBHHBx", self.raw[:8])
            assert (version, request) == (1, self.request) and kind in (3, 6), self.raw[:8]
            if len(self.raw) < 8 + length + padding:
                break
            self.ended |= kind == 3
            self.text += self.raw[8:8 + length] if kind == 6 else b""
            self.raw = self.raw[8 + length + padding:]
        return True

    def until(self, text):
        text = text.encode() if isinstance(text, str) else text
        while text not in self.text:
            assert self.fill(), self.text
        return self

    def status(self):
        return int(self.until("\r\n\r\n").text.split()[1])

    def data(self):
        return [json.loads(line[6:]) for line in self.text.decode().split("\n")
                if line.startswith("data: ")]

    def until_told(self, count):
        while self.text.count(b"\ndata: ") < count or not self.text.endswith(b"\n\n"):
            assert self.fill()
        return self.data()

    def close(self):
        self.socket.close()

def until_true(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

$(cat)
PYTHON
}

calculate() {
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    : >commands
    in_group calc-handle -f -i commands -o events -r rejections 2>>log
    in_group calc-project -f -i events -r rejections --view view 2>>log
    projector=${groups[-1]}
    start_listener socket
    until_true 10 test -e view/current
}

# many FROM TO: so many updates of $one.
many() {
    seq "$1" "$2" | sed 's/.*/{"value_id":"'$one'","operation":"ADD","value":&}/' |
        calc-submit -o commands >acknowledged
}

@test "above CALC_STREAMS it is 503, until one leaves" {
    export CALC_STREAMS=2
    calculate
    with_streams <<'PYTHON'
streams = [Stream("/events").until("id: ") for _ in range(2)]
answer = Stream("/events")
assert answer.status() == 503, answer.text
assert b"Retry-After" in answer.text
streams[0].close()
def has_room():
    streams[0] = Stream("/events")
    return streams[0].status() == 200
until_true(has_room)
# and a HEAD takes no place
assert Stream("/events", method="HEAD").status() == 200
PYTHON
}

@test "CALC_STREAMS that is no number is 78" {
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view CALC_STREAMS=many
    status_of 78 timeout 5 calc-cgi --listen socket 2>errors
    grep -q CALC_STREAMS errors
}

@test "any request id and any number of streams in one process, each with its own value" {
    calculate
    commands "$(create $one)" "$(create $two)"
    with_streams <<'PYTHON'
one, two = "0198c0de-0000-7000-8000-000000000001", "0198c0de-0000-7000-8000-000000000002"
streams = [Stream(f"/values/{(one, two)[i % 2]}/events?from=beginning", request=i + 1)
           for i in range(300)]
for i, stream in enumerate(streams):
    (event,) = stream.until_told(1)
    assert event["data"]["value_id"] == (one, two)[i % 2]
PYTHON
}

@test "SIGTERM ends the streams properly, and the process with 0" {
    calculate
    with_streams <<PYTHON
streams = [Stream("/events").until("id: ") for _ in range(20)]
os.kill($listener, signal.SIGTERM)
for stream in streams:
    while stream.fill():
        pass
    assert stream.ended and not stream.raw
PYTHON
    status_of 0 wait "$listener"
}

@test "who reads slowly gets everything, and the others don't feel it" {
    calculate
    commands "$(create $one)"
    with_streams <<'PYTHON'
one = "0198c0de-0000-7000-8000-000000000001"
paths = ["/events?from=beginning", f"/values/{one}/events?from=beginning"]
slow = [Stream(path) for path in paths]   # they don't read at all yet
fast = [Stream(path) for path in paths]
lines = "".join(f'{{"value_id":"{one}","operation":"ADD","value":{i}}}\n' for i in range(20000))
subprocess.run(["calc-submit", "-o", "commands"], input=lines.encode(), check=True,
               stdout=subprocess.DEVNULL)
for stream in fast:
    assert [event["version"] for event in stream.until_told(20001)] == list(range(1, 20002))
# 20000 events are more than the socket holds: the slow ones have yet to be told
for stream in slow:
    assert [event["version"] for event in stream.until_told(20001)] == list(range(1, 20002))
# and are then as quick as the others
lines = f'{{"value_id":"{one}","operation":"ADD","value":1}}\n'
subprocess.run(["calc-submit", "-o", "commands"], input=lines.encode(), check=True,
               stdout=subprocess.DEVNULL)
for stream in slow + fast:
    assert stream.until_told(20002)[-1]["version"] == 20002
PYTHON
}

@test "a stream goes on in a view that was rebuilt, nothing twice and nothing left out" {
    calculate
    commands "$(create $one)" "$(conflict $one)"
    many 1 3000
    with_streams <<'PYTHON'
one = "0198c0de-0000-7000-8000-000000000001"
streams = [Stream(path + "?from=beginning") for path in ("/events", f"/values/{one}/events") * 3]
for stream in streams:
    stream.until_told(3002)
before = os.readlink("view/current")
subprocess.run(["calc-project", "--rebuild", "-i", "events", "-r", "rejections", "--view", "view"], check=True)
assert os.readlink("view/current") != before
lines = "".join(f'{{"value_id":"{one}","operation":"ADD","value":{i}}}\n' for i in range(3000))
subprocess.run(["calc-submit", "-o", "commands"], input=lines.encode(), check=True,
               stdout=subprocess.DEVNULL)
for stream in streams:
    told = stream.until_told(6002)
    assert len(told) == 6002 and len({event["id"] for event in told}) == 6002
    assert [event["version"] for event in told if event["action"] != "CommandRejected"] == list(range(1, 6002))
PYTHON
}

@test "where there is no view it is 503, and a stream outlives a view that is removed and made anew" {
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    : >commands
    start_listener socket
    with_streams <<'PYTHON'
answer = Stream("/events")
assert answer.status() == 503 and b"Retry-After" in answer.text
PYTHON
    commands "$(create $one)"
    many 1 50
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    with_streams <<'PYTHON'
import shutil
stream = Stream("/events?from=beginning")
stream.until_told(51)
shutil.rmtree("view")
subprocess.run("echo '{\"value_id\":\"0198c0de-0000-7000-8000-000000000001\",\"operation\":\"ADD\",\"value\":9}' |"
               "calc-submit -o commands >acknowledged", shell=True, check=True)
subprocess.run(["calc-handle", "-i", "commands", "-o", "events", "-r", "rejections"], check=True)
subprocess.run(["calc-project", "-i", "events", "-r", "rejections", "--view", "view"], check=True)
assert [event["version"] for event in stream.until_told(52)] == list(range(1, 53))
PYTHON
}

@test "a stream whose logs are others by now ends, and its cursor is refused" {
    calculate
    commands "$(create $one)"
    with_streams <<PYTHON
stream = Stream("/events?from=beginning")
stream.until_told(1)
import shutil
os.kill($projector, signal.SIGTERM)
until_true(lambda: not os.path.exists("/proc/$projector") or
           open("/proc/$projector/stat").read().split(") ")[1][0] == "Z")
shutil.rmtree("view")
subprocess.run("echo '{\"value\":1}' | calc-submit | calc-handle -o other -r other-rejections", shell=True, check=True)
subprocess.run(["calc-project", "-i", "other", "-r", "other-rejections", "--view", "view"], check=True)
while stream.fill():
    pass
assert stream.ended
last = [line[4:] for line in stream.text.decode().split("\n") if line.startswith("id: ")][-1]
assert Stream("/events", f"HTTP_LAST_EVENT_ID={last}").status() == 400
PYTHON
}

@test "a stream on which nothing happens says something every 15 seconds, with its place" {
    calculate
    commands "$(create $one)"
    with_streams <<'PYTHON'
other, every = Stream("/values/0198c0de-0000-7000-8000-000000000002/events?from=beginning"), Stream("/events")
begin = time.monotonic()
other.until("id: ")
for stream in other, every:
    while stream.text.count(b"\n:\n") < 1:
        assert stream.fill()
assert 13 < time.monotonic() - begin < 19
# who listens to a value in vain for long goes on from here, not from the beginning
ids = [line[4:] for line in other.text.decode().split("\n") if line.startswith("id: ")]
assert len(ids) == 2
assert not other.data()
rest = Stream("/events", f"HTTP_LAST_EVENT_ID={ids[1]}")
subprocess.run("echo '{\"value\":1}' | calc-submit -o commands >acknowledged", shell=True, check=True)
assert rest.until_told(1)[0]["data"]["value_id"] != "0198c0de-0000-7000-8000-000000000001"
PYTHON
}

@test "an event is told no earlier than a GET shows it" {
    calculate
    commands "$(create $one)"
    with_streams <<'PYTHON'
one = "0198c0de-0000-7000-8000-000000000001"
stream = Stream(f"/values/{one}/events?from=beginning")
stream.until_told(1)
for i in range(50):
    subprocess.run(["calc-submit", "-o", "commands", "add", one, "1"], check=True, stdout=subprocess.DEVNULL)
    event = stream.until_told(i + 2)[-1]
    answer = Stream(f"/values/{one}")
    answer.until("}")
    assert json.loads(answer.text.split(b"\r\n\r\n")[1])["value"] == event["result"]
PYTHON
}
