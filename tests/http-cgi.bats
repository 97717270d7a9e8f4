# calc-cgi as plain CGI, without a web server: one request, described by the environment.

load helper

base=0198c0de-0000-7000-8000-000000000001
update='{"operation":"ADD","value":3}'

# cgi NAME=VALUE...: the answer goes to ./answer.
cgi() {
    env -i PATH="$PATH" GATEWAY_INTERFACE=CGI/1.1 SERVER_PROTOCOL=HTTP/1.1 \
        CALC_COMMANDS=commands CALC_VIEW=view "$@" calc-cgi >answer
}

# get PATH [NAME=VALUE...]
get() {
    cgi REQUEST_METHOD=GET REQUEST_URI="$1" "${@:2}" </dev/null
}

# post BODY PATH [NAME=VALUE...]
post() {
    local LC_ALL=C
    printf %s "$1" | cgi REQUEST_METHOD=POST CONTENT_LENGTH="${#1}" REQUEST_URI="$2" "${@:3}"
}

status() {
    sed -n '1s/^Status: \([0-9]*\).*\r$/\1/p' answer
}

header() {
    tr -d '\r' <answer | sed -n "/^\$/q; s/^$1: //Ip"
}

body() {
    sed '1,/^\r$/d' answer
}

nothing_was_done() {
    [ ! -s commands ]
}

view_of_nothing() {
    : >events
    : >rejections
    calc-project -i events -r rejections --view view
}

@test "an answer is a Status line, headers that end in CRLF, and the body" {
    post '{"value":2}' /values SCRIPT_NAME=
    [ "$(status)" = 202 ]
    [ "$(sed '/^\r$/q' answer | grep -vc $'\r$')" -eq 0 ]
    [ "$(header Content-Length)" -eq 38 ]
    [ "$(body | wc -c)" -eq 38 ]
    [ "$(header Location)" = "/values/$(body | jq -r .)" ]
}

@test "202 means that the command is in the log" {
    post '{"value":2}' /values SCRIPT_NAME=
    [ "$(jq -r .data.value_id commands)" = "$(body | jq -r .)" ]
    grep -q '^{"action":"CreateValue",.*"value":2\.0},"timestamp":"[^"]*Z"}$' commands
    header Link | grep -q "/$(jq -r .id commands)>"
    post "$update" "/values/$base" SCRIPT_NAME=
    [ "$(status)" = 202 ]
    tail -n1 commands | grep -q '^{"action":"UpdateValue",.*"operation":"ADD","value":3\.0},'
    [ "$(tail -n1 commands | jq -r .data.value_id)" = "$base" ]
}

@test "the commands that it writes are those that calc-handle takes" {
    local value
    post '{"value":2}' /values SCRIPT_NAME=
    value=$(body | jq -r .)
    post "$update" "/values/$value" SCRIPT_NAME=
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    [ ! -s rejections ]
    get "/values/$value" SCRIPT_NAME=
    [ "$(status)" = 200 ]
    [ "$(body)" = '{"value":5.0}' ]
    [ "$(header ETag)" = '"2"' ]
}

@test "HEAD prints what GET prints, without the body" {
    view_of_nothing
    get "/values/$base" SCRIPT_NAME=
    sed '/^\r$/q' answer >expected
    cgi REQUEST_METHOD=HEAD REQUEST_URI="/values/$base" SCRIPT_NAME= </dev/null
    cmp expected answer
}

@test "the mount is SCRIPT_NAME where CALC_BASE isn't set" {
    post '{"value":1}' /calc/values SCRIPT_NAME=/calc PATH_INFO=/values
    [[ $(header Location) == /calc/values/* ]]
    [[ $(header Link) == "</calc/values/"* ]]
}

@test "the mount is SCRIPT_NAME whatever the program is called" {
    post '{"value":1}' /cgi-bin/calc-cgi/values SCRIPT_NAME=/cgi-bin/calc-cgi PATH_INFO=/values
    [[ $(header Location) == /cgi-bin/calc-cgi/values/* ]]
}

@test "the mount may be called values" {
    post '{"value":1}' /values/values SCRIPT_NAME=/values PATH_INFO=/values
    [ "$(status)" = 202 ]
    [[ $(header Location) == /values/values/* ]]
}

@test "CALC_BASE goes before SCRIPT_NAME" {
    post '{"value":1}' /a/b/values SCRIPT_NAME=/a/b/values CALC_BASE=/a/b
    [[ $(header Location) == /a/b/values/* ]]
    post '{"value":1}' /a/b/values SCRIPT_NAME=/a PATH_INFO=/b/values CALC_BASE=/a/b/
    [[ $(header Location) == /a/b/values/* ]]
}

@test "CALC_BASE may be the root, empty or a slash" {
    for root in '' /; do
        post '{"value":1}' /values SCRIPT_NAME=/values CALC_BASE="$root"
        [[ $(header Location) == /values/* ]]
    done
}

@test "what isn't below the mount is 404" {
    for path in /values /calcx/values /x/calc/values; do
        post '{"value":1}' "$path" SCRIPT_NAME="$path" CALC_BASE=/calc
        [ "$(status)" = 404 ]
    done
    nothing_was_done
}

@test "where SCRIPT_NAME is the whole path, the route begins at values" {
    post "$update" "/some/where/values/$base" SCRIPT_NAME="/some/where/values/$base"
    [[ $(header Link) == "</some/where/values/$base/commands/"* ]]
    post "$update" "/values/$base" SCRIPT_NAME="/values/$base" PATH_INFO=
    [[ $(header Link) == "</values/$base/commands/"* ]]
    post '{"value":1}' /valuesx/values SCRIPT_NAME=/valuesx/values
    [[ $(header Location) == /valuesx/values/* ]]
}

@test "without REQUEST_URI the path is SCRIPT_NAME and PATH_INFO" {
    printf %s "$update" |
        cgi REQUEST_METHOD=PUT CONTENT_LENGTH=${#update} SCRIPT_NAME=/calc PATH_INFO="/values/$base"
    [ "$(status)" = 202 ]
    [[ $(header Link) == "</calc/values/$base/commands/"* ]]
}

@test "a mount with signs of its own is escaped in links" {
    post '{"value":1}' /my%20calc%3F/values SCRIPT_NAME='/my calc?' PATH_INFO=/values
    [[ $(header Location) == /my%20calc%3F/values/* ]]
}

@test "a mount can't break a header" {
    post '{"value":1}' /a%0d%0aX:%20y/values SCRIPT_NAME=/a%0d%0aX:%20y/values
    [ "$(grep -c '^X' answer)" -eq 0 ]
}

@test "ids are read in either case and written in lower case" {
    post "$update" "/values/${base^^}" SCRIPT_NAME=
    [[ $(header Link) == "</values/$base/commands/"* ]]
    [ "$(jq -r .data.value_id commands)" = "$base" ]
}

@test "no length is 411, whether it is absent or empty" {
    printf %s '{"value":1}' | cgi REQUEST_METHOD=POST REQUEST_URI=/values SCRIPT_NAME=
    [ "$(status)" = 411 ]
    post '{"value":1}' /values SCRIPT_NAME= CONTENT_LENGTH=
    [ "$(status)" = 411 ]
    nothing_was_done
}

@test "a length that is no number is 400, one that is too large 413" {
    for length in -3 +11 eleven 11x ' 11' 0x0b 1.0; do
        post '{"value":1}' /values SCRIPT_NAME= CONTENT_LENGTH="$length"
        [ "$(status)" = 400 ]
    done
    for length in 65537 99999999999 18446744073709551627 99999999999999999999999999; do
        post '{"value":1}' /values SCRIPT_NAME= CONTENT_LENGTH="$length"
        [ "$(status)" = 413 ]
    done
    nothing_was_done
}

@test "a body that ends early is 400 and no command" {
    post '{"value":1}' /values SCRIPT_NAME= CONTENT_LENGTH=12
    [ "$(status)" = 400 ]
    nothing_was_done
}

@test "what comes behind the length is no part of the body" {
    post '{"value":1}{"value":2}' /values SCRIPT_NAME= CONTENT_LENGTH=11
    [ "$(status)" = 202 ]
    [ "$(wc -l <commands)" -eq 1 ]
}

@test "the actor is REMOTE_USER" {
    post '{"value":1}' /values SCRIPT_NAME= REMOTE_USER='Zoë "Z" \ 🂡'
    [ "$(status)" = 202 ]
    [ "$(jq -r .actor commands)" = 'Zoë "Z" \ 🂡' ]
}

@test "an empty REMOTE_USER is no actor" {
    post '{"value":1}' /values SCRIPT_NAME= REMOTE_USER=
    [ "$(status)" = 202 ]
    [ "$(jq 'has("actor")' commands)" = false ]
}

@test "nothing but REMOTE_USER makes an actor" {
    post '{"value":1,"actor":"eve"}' /values SCRIPT_NAME= HTTP_REMOTE_USER=eve \
        HTTP_X_REMOTE_USER=eve HTTP_AUTHORIZATION='Basic ZXZlOmV2ZQ==' REMOTE_IDENT=eve
    [ "$(status)" = 202 ]
    [ "$(jq 'has("actor")' commands)" = false ]
}

@test "an actor has 256 bytes at most, and is UTF-8" {
    post '{"value":1}' /values SCRIPT_NAME= REMOTE_USER="$(printf 'x%.0s' {1..256})"
    [ "$(status)" = 202 ]
    rm commands
    for user in "$(printf 'x%.0s' {1..257})" "$(printf 'ä%.0s' {1..129})" $'\xff' $'a\xc0\x80'; do
        post '{"value":1}' /values SCRIPT_NAME= REMOTE_USER="$user"
        [ "$(status)" = 400 ]
        [ "$(header Content-Type)" = application/problem+json ]
    done
    nothing_was_done
}

@test "no view is 503 for queries, and no matter for commands" {
    get "/values/$base" SCRIPT_NAME=
    [ "$(status)" = 503 ]
    [[ $(header Retry-After) =~ ^[0-9]+$ ]]
    [ "$(body | jq .status)" = 503 ]
    get "/values/$base/commands/$base" SCRIPT_NAME=
    [ "$(status)" = 503 ]
    post '{"value":1}' /values SCRIPT_NAME=
    [ "$(status)" = 202 ]
}

@test "a log that can't be written is 503" {
    mkdir folder
    for log in folder missing/commands /dev/full; do
        post '{"value":1}' /values SCRIPT_NAME= CALC_COMMANDS="$log"
        [ "$(status)" = 503 ]
        [[ $(header Retry-After) =~ ^[0-9]+$ ]]
        [ "$(header Content-Type)" = application/problem+json ]
    done
    [ ! -e missing ]
}

@test "a full disk is 503, and the log stays whole" {
    post '{"value":1}' /values SCRIPT_NAME=
    cp commands before
    printf %s '{"value":2}' | (
        ulimit -f 0
        trap '' XFSZ
        exec env -i PATH="$PATH" CALC_COMMANDS=commands CALC_VIEW=view REQUEST_METHOD=POST \
            REQUEST_URI=/values SCRIPT_NAME= CONTENT_LENGTH=11 calc-cgi
    ) | cat >answer
    [ "$(status)" = 503 ]
    cmp before commands
}

@test "missing settings are 503, and said on stderr" {
    for setting in CALC_COMMANDS CALC_VIEW; do
        status_of 78 get "/values/$base" "$setting=" 2>errors
        [ "$(status)" = 503 ]
        grep -q "$setting" errors
    done
}

@test "the log may be named as a stream" {
    post '{"value":1}' /values SCRIPT_NAME= CALC_COMMANDS=file:commands
    [ "$(status)" = 202 ]
    [ "$(wc -l <commands)" -eq 1 ]
}

@test "what it says of a client's request stays in the answer" {
    post 'nonsense' /values SCRIPT_NAME= 2>errors
    [ "$(status)" = 400 ]
    [ ! -s errors ]
}

@test "a problem says its status, title and detail" {
    post '{"value":"1"}' /values SCRIPT_NAME=
    body | jq -e '.status == 400 and (.title | length > 0) and (.detail | length > 0)'
    [ "$(header Content-Type)" = application/problem+json ]
}

@test "the whole body is read, even where nobody needs it" {
    # behind a web server that gives a socket, what is left unread would cost the answer
    head -c 900000 /dev/zero >large
    for path in /nothing /values; do
        for type in text/plain application/json; do
            cgi REQUEST_METHOD=POST REQUEST_URI="$path" SCRIPT_NAME= CONTENT_LENGTH=900000 \
                CONTENT_TYPE="$type" < <(cat large && echo read >all)
            [[ $(status) =~ ^4 ]]
            until_true 5 test -s all
            rm all
        done
    done
}

@test "an answer that can't be written is exit status 74" {
    status_of 74 env -i PATH="$PATH" CALC_COMMANDS=commands CALC_VIEW=view REQUEST_METHOD=GET \
        REQUEST_URI=/nothing calc-cgi </dev/null >/dev/full 2>errors
    [ -s errors ]
}

@test "without a request and without a socket it says how it is used" {
    status_of 64 env -i PATH="$PATH" CALC_COMMANDS=commands CALC_VIEW=view calc-cgi </dev/null \
        2>errors
    [ -s errors ]
    status_of 64 calc-cgi --no-such-option 2>errors
    status_of 64 calc-cgi operand 2>errors
    calc-cgi --help | grep -q CALC_COMMANDS
    calc-cgi --version
    status_of 74 calc-cgi --help >/dev/full 2>errors
}

@test "a command that may be in the log though its sync failed is 504 with its link" {
    needs strace
    view_of_nothing
    # the sync fails, and cutting the log back to where it was fails, too
    printf '{"value":7}' | env -i PATH="$PATH" GATEWAY_INTERFACE=CGI/1.1 CALC_COMMANDS=commands \
        CALC_VIEW=view REQUEST_METHOD=POST REQUEST_URI=/values CONTENT_LENGTH=11 \
        ASAN_OPTIONS=detect_leaks=0 strace -f -o trace -e trace=fdatasync,ftruncate \
        -e inject=fdatasync:error=EIO -e inject=ftruncate:error=EIO calc-cgi >answer
    [ "$(status)" = 504 ]
    [[ $(body) == *'"type":"outcome-unknown"'* ]]
    [[ $(header Link) == '</values/'*'>; rel="status"' ]]
    [ -z "$(header Retry-After)" ]
}

# derived WORD PATH ACTOR KEY: the UUIDv5, by another program.
derived() {
    python3 -c 'import sys, uuid
space = uuid.UUID("ea5002c0-73f9-4d45-8c92-f0c2deaa7382")
print(uuid.uuid5(space, "".join(part + "\n" for part in sys.argv[1:])))' "$@"
}

@test "a key makes the ids of a create, out of path, actor and key" {
    local key="a \"key\" \\"
    post '{"value":1}' /calc/values SCRIPT_NAME=/calc HTTP_IDEMPOTENCY_KEY='"a \"key\" \\"'
    [ "$(jq -r .id commands)" = "$(derived command /values '' "$key")" ]
    [ "$(jq -r .data.value_id commands)" = "$(derived value /values '' "$key")" ]
    [ "$(body | jq -r .)" = "$(derived value /values '' "$key")" ]
    post '{"value":1}' /values SCRIPT_NAME= HTTP_IDEMPOTENCY_KEY=k1 REMOTE_USER='Zoë'
    [ "$(tail -n1 commands | jq -r .id)" = "$(derived command /values 'Zoë' k1)" ]
    [ "$(tail -n1 commands | jq -r .data.value_id)" = "$(derived value /values 'Zoë' k1)" ]
}

@test "a key makes the id of an update, out of path, actor and key" {
    post "$update" "/values/${base^^}" SCRIPT_NAME= HTTP_IDEMPOTENCY_KEY=k1
    [ "$(jq -r .id commands)" = "$(derived command "/values/$base" '' k1)" ]
    [ "$(jq -r .data.value_id commands)" = "$base" ]
    printf %s "$update" | cgi REQUEST_METHOD=PUT CONTENT_LENGTH=${#update} SCRIPT_NAME=/calc \
        PATH_INFO="/values/$base" HTTP_IDEMPOTENCY_KEY='"k1"' REMOTE_USER=ann
    [ "$(tail -n1 commands | jq -r .id)" = "$(derived command "/values/$base" ann k1)" ]
}

@test "an empty key is 400, and no key is a new id each time" {
    post '{"value":1}' /values SCRIPT_NAME= HTTP_IDEMPOTENCY_KEY=
    [ "$(status)" = 400 ]
    nothing_was_done
    post '{"value":1}' /values SCRIPT_NAME=
    post '{"value":1}' /values SCRIPT_NAME=
    [ "$(jq -r .id commands | sort -u | wc -l)" -eq 2 ]
}

@test "If-Match becomes the expected version of the command" {
    post "$update" "/values/$base" SCRIPT_NAME= HTTP_IF_MATCH='"7"'
    [ "$(status)" = 202 ]
    [ "$(jq -c .expected_version commands)" = 7 ]
    post "$update" "/values/$base" SCRIPT_NAME= HTTP_IF_MATCH='"9223372036854775807"'
    [ "$(tail -n1 commands | grep -o '"expected_version":[0-9]*')" = '"expected_version":9223372036854775807' ]
    post "$update" "/values/$base" SCRIPT_NAME= HTTP_IF_MATCH='*'
    [ "$(tail -n1 commands | jq 'has("expected_version")')" = false ]
}

@test "a condition that can never hold writes nothing" {
    for tag in 'W/"1"' '"x"' '"0"' '"01"' '""'; do
        post "$update" "/values/$base" SCRIPT_NAME= HTTP_IF_MATCH="$tag"
        [ "$(status)" = 412 ]
    done
    for tag in '"1", "2"' 1 ''; do
        post "$update" "/values/$base" SCRIPT_NAME= HTTP_IF_MATCH="$tag"
        [ "$(status)" = 400 ]
    done
    nothing_was_done
}

@test "who waits though there is no view, or a broken one, is told that the command is durable" {
    post '{"value":1}' /values SCRIPT_NAME= HTTP_PREFER=wait=0.2
    [ "$(status)" = 202 ]
    post '{"value":1}' /values SCRIPT_NAME= HTTP_PREFER=wait=1
    [ "$(status)" = 202 ]
    [ "$(header Preference-Applied)" = wait=1 ]
    mkdir -p view/1
    ln -s 1 view/current
    echo nonsense >view/1/data.mdb
    post '{"value":1}' /values SCRIPT_NAME= HTTP_PREFER=wait=1 2>errors
    [ "$(status)" = 202 ]
    [ "$(wc -l <commands)" -eq 3 ]
}

@test "as plain CGI, who waits gets the outcome when it comes" {
    view_of_nothing
    post '{"value":1}' /values SCRIPT_NAME= HTTP_PREFER=wait=20 3>&- &
    until_true 10 test -s commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    wait $!
    [ "$(status)" = 201 ]
    [ "$(body)" = '{"value":1.0}' ]
}

@test "a version that was forbidden, or that another create took, has its own status" {
    local actor='"actor":"ann"' key id
    id=$(derived command "/values/$base" '' k1)
    {
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1},%s}\n' "$base" "$base" "$actor"
        printf '{"action":"UpdateValue","id":"%s","data":{"value_id":"%s","operation":"ADD","value":3},"expected_owner":"bob"}\n' \
            "$id" "$base"
        key=$(derived value /values '' k2)
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1}}\n' "$base" "$key"
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":2}}\n' \
            "$(derived command /values '' k2)" "$key"
    } >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    post "$update" "/values/$base" SCRIPT_NAME= HTTP_IDEMPOTENCY_KEY=k1 HTTP_PREFER=wait=5
    [ "$(status)" = 403 ]
    [ "$(body | jq -r .reason)" = forbidden ]
    post '{"value":2}' /values SCRIPT_NAME= HTTP_IDEMPOTENCY_KEY=k2 HTTP_PREFER=wait=5
    [ "$(status)" = 409 ]
    [ "$(body | jq -r .reason)" = value_exists ]
}

@test "headers that came several times are one" {
    printf %s "$update" | env -i PATH="$PATH" python3 -c '
import os, subprocess, ctypes, sys
libc = ctypes.CDLL(None)
def texts(*all): return (ctypes.c_char_p * (len(all) + 1))(*[a.encode() for a in all], None)
path = next(p for p in (d + "/calc-cgi" for d in os.environ["PATH"].split(":")) if os.access(p, os.X_OK))
libc.execve(path.encode(), texts("calc-cgi"), texts(
    "CALC_COMMANDS=commands", "CALC_VIEW=view", "REQUEST_METHOD=PUT", "SCRIPT_NAME=",
    "REQUEST_URI=/values/" + sys.argv[1], "CONTENT_LENGTH=" + sys.argv[2],
    "HTTP_IF_MATCH=\"1\"", "HTTP_IF_MATCH=\"2\""))' "$base" "${#update}" >answer
    [ "$(status)" = 400 ]
    nothing_was_done
}

@test "healthz says which part doesn't work" {
    get /healthz SCRIPT_NAME= 2>errors
    [ "$(status)" = 503 ]
    [ "$(body | jq -c '[.commands, .view]')" = '[true,false]' ]
    view_of_nothing
    get /healthz SCRIPT_NAME=
    [ "$(status)" = 200 ]
    get /healthz SCRIPT_NAME= CALC_COMMANDS=missing/commands 2>errors
    [ "$(status)" = 503 ]
    [ "$(body | jq -c '[.commands, .view]')" = '[false,true]' ]
    [[ $(header Retry-After) =~ ^[0-9]+$ ]]
}

@test "healthz says that the log's disk is full, and that it has room again" {
    unshare -rm true 2>/dev/null || skip "a disk of its own can't be mounted here"
    view_of_nothing
    mkdir small
    # shellcheck disable=SC2016 # for that shell
    unshare -rm bash -euc '
        mount -t tmpfs -o size=64k none small
        health() {
            env -i PATH="$PATH" GATEWAY_INTERFACE=CGI/1.1 SERVER_PROTOCOL=HTTP/1.1 REQUEST_METHOD=GET \
                REQUEST_URI=/healthz SCRIPT_NAME= CALC_COMMANDS=small/commands CALC_VIEW=view calc-cgi >answer 2>errors
        }
        for state in absent there; do
            [ $state = absent ] || calc-submit -o small/commands create 1 >acknowledged
            health
            grep -q "^Status: 200" answer
            head -c 1M /dev/zero >small/rest || true
            health
            grep -q "^Status: 503" answer
            grep -q "commands\":false,\"view\":true" answer
            grep -q "No space left on device" errors
            rm small/rest
        done
        health
        grep -q "^Status: 200" answer'
}

@test "the mount is found before healthz and openapi.json, too" {
    get /some/where/openapi.json SCRIPT_NAME=/some/where/openapi.json
    [ "$(status)" = 200 ]
    [ "$(body | jq -r '.servers[0].url')" = /some/where ]
    get /openapi.json SCRIPT_NAME=
    [ "$(body | jq -r '.servers[0].url')" = / ]
    get /a/healthz SCRIPT_NAME=/a/healthz PATH_INFO= CALC_BASE=/b
    [ "$(status)" = 404 ]
}

@test "a slow body is 408 when its time is up" {
    mkfifo slow
    exec 9<>slow
    printf '{"value"' >&9
    cgi REQUEST_METHOD=POST CONTENT_LENGTH=11 REQUEST_URI=/values SCRIPT_NAME= <&9
    exec 9>&-
    [ "$(status)" = 408 ]
    nothing_was_done
}

@test "a log that another process keeps locked is 503 when the time is up" {
    : >commands
    exec 8<commands
    hold_lock 8
    post '{"value":1}' /values SCRIPT_NAME= 2>errors
    [ "$(status)" = 503 ]
    flock -u 8
    nothing_was_done
}
