# Who may do what: the table of tests/policy, over HTTP behind web servers with real passwords, and by
# calc-submit; what is a policy, when it changes, and what is said.

# shellcheck disable=SC2154,SC2034,SC2030,SC2031 # http/servers.bash sets and reads them
load helper
load http/servers

policies=$BATS_TEST_DIRNAME/policy
json='Content-Type: application/json'

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    export LOG_LEVEL=info
}

# with_users NAME: the example configuration of a web server, with the lines for users; ann, bob and eve have
# passwords.
with_users() {
    python3 - >users <<'PYTHON'
import base64, hashlib
for name, password in (("ann", "an!n"), ("bob", "b o:b"), ("eve", "")):
    print(name + ":{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode())
PYTHON
    sed -E "s/^( *)#([^ #!])/\1\2/; s|/etc/calc/users|$PWD/users|; s|/etc/calc/policy.json|$PWD/policy.json|
        /fastcgi_param REMOTE_USER +\"\";/d" "$conf/$1.conf" >users.conf
    grep -q users users.conf
}

# serve NAME [POLICY]: the calculator behind that web server, which asks for passwords.
serve() {
    with_users "$1"
    export CALC_POLICY=
    if [ -n "${2-}" ]; then
        printf '%s\n' "$2" >policy.json
        CALC_POLICY=$PWD/policy.json
    fi
    start_server "$1" "$PWD/users.conf"
    start_calculator
    until_true 10 test -e view/current
}

# put POLICY: in place of the one that is there, and taken.
put() {
    local before
    before=$(grep -c 'took the policy' log || true)
    printf '%s\n' "$1" >policy.new
    mv policy.new policy.json
    until_true 10 more_than "$before" 'took the policy'
}

# more_than COUNT TEXT: the log has it more often.
more_than() {
    [ "$(grep -c "$2" log)" -gt "$1" ]
}

everyone='{"create":"everyone","add":"everyone","multiply":"everyone","read":"everyone","watch":"everyone"}'

# --- the table ---

# table NAME [ARGUMENT...]
table() {
    serve "$1" '{}'
    : >commands
    [ -z "${as_user[*]}" ] || chown nobody commands
    "$policies/check.py" http "$url" "${@:2}"
}

@test "each answer is the policy's, by FastCGI behind lighttpd" {
    table lighttpd-fastcgi --reloads log
}

@test "each answer is the policy's, by FastCGI behind nginx" {
    table nginx-fastcgi --reloads log
}

@test "each answer is the policy's, by FastCGI behind Apache" {
    table apache-fastcgi --reloads log
}

@test "each answer is the policy's, by plain CGI behind lighttpd" {
    table lighttpd-cgi
}

@test "each answer is the policy's, by plain CGI behind Apache" {
    table apache-cgi
}

@test "each answer is the policy's, by plain CGI behind nginx and fcgiwrap" {
    needs nginx fcgiwrap
    table nginx-fcgiwrap --no-streams
}

@test "each command is taken or refused by the policy, by calc-submit" {
    start_calculator
    "$policies/check.py" submit
    "$policies/check.py" submit none
}

@test "without a policy everything is allowed, to everybody" {
    serve lighttpd-fastcgi
    "$policies/check.py" http "$url" none
}

# --- who asks ---

# nobody_is_let_in: whatever a client sends that isn't the right name and password, it is nobody.
nobody_is_let_in() {
    python3 - "$url" <<'PYTHON'
import base64, concurrent.futures, http.client, sys, urllib.parse
parts = urllib.parse.urlsplit(sys.argv[1])
basic = lambda pair: "Basic " + base64.b64encode(pair).decode()
names = """REMOTE_USER Remote-User remote-user Remote_User X-Remote-User X_REMOTE_USER HTTP_REMOTE_USER Http-Remote-User
    Remote.User X-Forwarded-User X-Forwarded-Remote-User X-User X-Authenticated-User X-WEBAUTH-USER Auth-User Auth-Type
    AUTH_TYPE User From Remote-Ident REMOTE_IDENT Redirect-Remote-User REDIRECT_REMOTE_USER Proxy-Authorization
    Proxy-User X-Original-User Logname SSL-Client-S-DN SSL_CLIENT_S_DN_CN X-SSL-Client-CN Cookie""".split()
forged = [[(name, value)] for name in names for value in ("ann", basic(b"ann:an!n"))]
forged += [[("Remote-User", "ann"), ("X-Remote-User", "ann"), ("REMOTE_USER", "ann"), ("Auth-Type", "Basic")],
           [("Connection", "close, Authorization"), ("Remote-User", "ann")], []]
wrong = [[("Authorization", value)] for value in
         (basic(b"ann:wrong"), basic(b"ann:"), basic(b"ann"), basic(b":"), basic(b""), "Basic ann",
          "ann", "Bearer ann", "Digest username=\"ann\"", basic(b"ANN:an!n"), basic(b"nobody:an!n"), "Basic")]
wrong += [[("Authorization", ""), ("Authorization", basic(b"ann:wrong"))],
          [("Authorization", basic(b"ann:wrong")), ("Authorization", "")],
          [("authorization", basic(b"ann:wrong")), ("Remote-User", "ann")]]
def ask(method, path, headers, body=None):
    server = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    server.putrequest(method, parts.path + path)
    for header in headers + ([("Content-Length", str(len(body)))] if body else []):
        server.putheader(*header)
    server.endheaders(body)
    answer = server.getresponse()
    answer.read(10)
    server.close()
    return answer.status
# the right one gets in, so that what follows means something
assert ask("GET", "/values", [("Authorization", basic(b"ann:an!n"))]) == 200
def ask_all(headers):
    return {ask("GET", "/values", headers), ask("GET", "/events?REMOTE_USER=ann&actor=ann", headers),
            ask("POST", "/values", headers, b'{"value":1,"actor":"ann"}')}
# servers take their time to refuse a password
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    answers = list(pool.map(ask_all, forged + wrong))
for headers, statuses in zip(forged + wrong, answers):
    assert statuses <= ({403} if headers in forged else {400, 401, 403}), (headers, statuses)
assert 401 in set().union(*answers)
PYTHON
    [ ! -s commands ]
}

ann_only='{"create":["ann"],"add":["ann"],"multiply":["ann"],"read":["ann"],"watch":["ann"],"own":true}'

@test "whatever name a client sends, it stays nobody, behind lighttpd" {
    serve lighttpd-fastcgi "$ann_only"
    nobody_is_let_in
}

@test "whatever name a client sends, it stays nobody, behind nginx" {
    serve nginx-fastcgi "$ann_only"
    nobody_is_let_in
}

@test "whatever name a client sends, it stays nobody, behind Apache" {
    serve apache-fastcgi "$ann_only"
    nobody_is_let_in
}

@test "whatever name a client sends, it stays nobody, by plain CGI behind lighttpd" {
    serve lighttpd-cgi "$ann_only"
    nobody_is_let_in
}

@test "whatever name a client sends, it stays nobody, by plain CGI behind Apache" {
    serve apache-cgi "$ann_only"
    nobody_is_let_in
}

@test "whatever name a client sends, it stays nobody, by plain CGI behind nginx and fcgiwrap" {
    serve nginx-fcgiwrap "$ann_only"
    nobody_is_let_in
}

@test "where the web server asks nobody for a password, everybody is nobody" {
    export CALC_POLICY=$PWD/policy.json
    printf '%s\n' "$ann_only" >policy.json
    start_server nginx-fastcgi
    status_is 403 "$url/values"
    status_is 403 -u 'ann:an!n' "$url/values"
    status_is 403 -u 'ann:an!n' -H "$json" -d '{"value":1}' "$url/values"
}

# cgi METHOD PATH [NAME=VALUE...]: by plain CGI, without a web server; the answer goes to ./answer.
cgi() {
    env -i PATH="$PATH" CALC_COMMANDS=commands CALC_VIEW=view CALC_POLICY=policy.json SCRIPT_NAME= \
        REQUEST_METHOD="$1" PATH_INFO="$2" "${@:3}" calc-cgi </dev/null >answer 2>errors
}

@test "a name that is no valid actor is 400, also for who reads" {
    echo '{"read":"actors"}' >policy.json
    : >events
    : >rejections
    calc-project -i events -r rejections --view view
    for user in "$(printf 'x%.0s' {1..257})" $'\xff' $'a\xc0\x80' $'\xed\xa0\x80'; do
        cgi GET /values REMOTE_USER="$user"
        grep -q '^Status: 400' answer
    done
    cgi GET /values REMOTE_USER="$(printf 'x%.0s' {1..256})"
    grep -q '^Status: 200' answer
    cgi GET /values REMOTE_USER=
    grep -q '^Status: 403' answer
}

@test "a refusal says what, but not who else may, and its log line says who" {
    echo '{"create":["root"],"read":["root","carl"]}' >policy.json
    cgi POST /values REMOTE_USER=$'e"v\ne' CONTENT_LENGTH=0
    grep -q '^Status: 403' answer
    [ "$(tail -n 1 answer)" = '{"type":"not-allowed","title":"Forbidden","status":403,"detail":"this user may not create: the policy doesn'"'"'t allow it"}' ]
    [ "$(cat errors)" = 'calc-cgi: refused: "e\"v\ne" may not create: the policy doesn'"'"'t allow it' ]
    cgi GET /values/0198c0de-0000-7000-8000-00000000beef
    grep -q '"a request without a user.s name may not read: ' answer
    grep -q 'refused: who has no name may not read' errors
    [ "$(cat answer errors | grep -cE 'root|carl')" = 0 ]
}

# --- the same command again ---

@test "a retry is one, whatever the policy was between" {
    serve lighttpd-fastcgi "$everyone"
    send() {
        status_is "$1" "${@:3}" -H "$json" -H 'Prefer: wait=20' -H 'Idempotency-Key: k' \
            -d '{"operation":"ADD","value":3}' "$url/values/$2"
    }
    calc() { CALC_POLICY='' calc-submit -o commands --wait 20 --view view "$@"; }
    ann=$(calc --actor ann create 1 | jq -r 'select(.version).value_id')
    bob=$(calc --actor bob create 1 | jq -r 'select(.version).value_id')
    send 200 "$ann" -u 'ann:an!n'
    send 200 "$bob" -u 'ann:an!n'
    put "${everyone%\}},\"own\":true}"
    # with another expected_owner it is the same command: its first outcome stands
    send 200 "$ann" -u 'ann:an!n'
    send 200 "$bob" -u 'ann:an!n'
    [ "$(jq -r '.expected_owner // "-"' commands | paste -sd' ')" = '- - - - ann ann' ]
    [ "$(wc -l <events)" -eq 4 ]
    # and so does a rejection when everything is allowed again
    send 403 "$ann" -u 'bob:b o:b'
    grep -q '"type":"forbidden"' answer
    put "$everyone"
    send 403 "$ann" -u 'bob:b o:b'
    grep -q '"type":"forbidden"' answer
    [ "$(wc -l <rejections)" -eq 1 ]
    # who may not any more is told so, and the first outcome stands
    put '{"read":"everyone"}'
    send 403 "$ann" -u 'ann:an!n'
    grep -q '"type":"not-allowed"' answer
    [ "$(wc -l <commands)" -eq 8 ]
    value_is "$url/values/$ann" '{"value":4.0}'
}

# --- changes ---

@test "a policy that changes is taken as a whole, a broken one changes nothing and is said once" {
    serve lighttpd-fastcgi '{"read":["ann"]}'
    status_is 200 -u 'ann:an!n' "$url/values"
    status_is 403 -u 'bob:b o:b' "$url/values"
    put '{"read":["bob"]}'
    status_is 403 -u 'ann:an!n' "$url/values"
    status_is 200 -u 'bob:b o:b' "$url/values"
    printf '{"read":["ann"],\n"raed":["bob"]}' >policy.json
    until_true 10 grep -q "policy.json:2: \"raed\" is no member of a policy.*the policy of before goes on" log
    status_is 403 -u 'ann:an!n' "$url/values"
    status_is 200 -u 'bob:b o:b' "$url/values"
    rm policy.json
    until_true 10 grep -q "can't read the policy .*policy.json: No such file" log
    status_is 200 -u 'bob:b o:b' "$url/values"
    put '{"read":["ann"]}'
    status_is 200 -u 'ann:an!n' "$url/values"
    [ "$(grep -c raed log)" -eq 1 ]
    [ "$(grep -c 'No such file' log)" -eq 1 ]
}

@test "a policy that is broken at the start is refused with 78, where it is said" {
    printf '{\n"read":"anybody"}' >policy.json
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view CALC_POLICY=policy.json
    status_of 78 timeout 5 calc-cgi --listen socket 2>errors
    grep -q '^calc-cgi: policy.json:2: who may do something is' errors
    [ ! -e socket ]
    status_of 78 calc-submit -o commands create 1 2>errors
    grep -q '^calc-submit: policy.json:2: ' errors
    status_of 78 calc-submit -o commands --policy missing create 1 2>errors
    grep -q 'missing: No such file' errors
    status_of 64 calc-submit -o commands --policy '' create 1
    # as a request it is an answer, which tells a client nothing of it
    status_of 78 cgi GET /values
    grep -q '^Status: 503' answer
    [ "$(grep -c policy answer)" -eq 0 ]
    [ ! -e commands ]
}

# listen_as NAME FILE: a stream of events, as a user; its process is the last one started.
listen_as() {
    background curl -sN -u "$1" -o "$2" "$url/events?from=beginning"
    until_true 10 grep -q '^id:' "$2"
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

streams_end() {
    serve "$1" '{"watch":"actors"}'
    listen_as 'ann:an!n' ann
    listen_as 'bob:b o:b' bob
    printf '{"watch":["bob"]}' >policy.json
    until_true 10 gone "${started[0]}"
    CALC_POLICY='' calc-submit -o commands create 5
    until_true 10 grep -q ValueCreated bob
    kill -0 "${started[1]}"
    [ "$(grep -c ValueCreated ann)" -eq 0 ]
    grep -q 'a stream ends: "ann" may not watch' log
    status_is 403 -u 'ann:an!n' "$url/events"
}

@test "a stream ends when the policy doesn't allow it any more, and the others go on" {
    streams_end lighttpd-fastcgi
}

@test "a stream of plain CGI ends when the policy doesn't allow it any more" {
    streams_end lighttpd-cgi
}

# --- calc-submit ---

@test "calc-submit reports what is refused by its line, and appends the rest, with status 1" {
    echo '{"create":["ann"],"add":"actors","own":true}' >policy.json
    id=0198c0de-0000-7000-8000-000000000001
    printf '%s\n' '{"value":1,"actor":"ann"}' '{"value":1}' '{"value":1,"actor":"bob"}' \
        '{"value_id":"'$id'","operation":"ADD","value":1,"actor":"bob"}' \
        '{"value_id":"'$id'","operation":"ADD","value":1,"actor":"bob","expected_owner":"bob"}' \
        '{"value_id":"'$id'","operation":"ADD","value":1,"actor":"bob","expected_owner":"ann"}' \
        '{"value_id":"'$id'","operation":"MULTIPLY","value":1,"actor":"bob"}' >inputs
    status_of 1 calc-submit --policy policy.json -o commands <inputs >told 2>errors
    [ "$(jq -c '[.actor,.expected_owner]' commands | paste -sd' ')" = '["ann",null] ["bob","bob"] ["bob","bob"]' ]
    [ "$(wc -l <told)" -eq 3 ]
    [ "$(cut -d: -f1-3 errors | paste -sd'|')" = 'calc-submit: line 2: who has no name may not create|calc-submit: line 3: "bob" may not create|calc-submit: line 6: "bob" may not add|calc-submit: line 7: "bob" may not multiply' ]
    grep -q 'line 6: .* expected_owner is somebody else' errors
    # a bad line is the worse
    echo '{"value":"x"}' >>inputs
    status_of 65 calc-submit --policy policy.json <inputs >told 2>errors
    # standard output is under the policy as well
    [ "$(jq -c .expected_owner told | paste -sd' ')" = 'null "bob" "bob"' ]
}

@test "calc-submit that goes on takes a policy that changes" {
    export CALC_POLICY=$PWD/policy.json
    echo '{"create":["ann"]}' >policy.json
    mkfifo inputs
    background calc-submit -f -i inputs -o commands >told 2>log
    exec 7>inputs
    echo '{"value":1,"actor":"ann"}' >&7
    until_true 10 test -s commands
    put '{"create":["bob"]}'
    echo '{"value":1,"actor":"ann"}' >&7
    echo '{"value":1,"actor":"bob"}' >&7
    until_true 10 grep -q bob commands
    echo '{"create":["ann"],"own":1}' >policy.json
    until_true 10 grep -q 'policy.json:1: own is true or false; the policy of before goes on' log
    echo '{"value":2,"actor":"bob"}' >&7
    until_true 10 grep -q 2.0 commands
    exec 7>&-
    [ "$(jq -r .actor commands | paste -sd' ')" = 'ann bob bob' ]
    grep -q '"ann" may not create' log
}

# --- who can reach it ---

# warnings: how often it was said that everybody may do everything.
warnings() {
    grep -c 'CALC_POLICY is not set' log || true
}

# ask NAME=VALUE...: a request to ./socket.
ask() {
    env -i PATH="$PATH" REQUEST_METHOD=GET REQUEST_URI=/healthz SCRIPT_NAME= CONTENT_LENGTH=0 "$@" \
        cgi-fcgi -bind -connect socket >answer
}

@test "without a policy a server that others reach is warned of once, and one of this machine's own isn't" {
    needs cgi-fcgi setsid pgrep
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view CALC_POLICY=
    start_listener socket
    for own in 127.0.0.1 127.1.2.3 ::1 ::ffff:127.0.0.1 ''; do
        ask SERVER_ADDR="$own" REMOTE_ADDR=127.0.0.1
    done
    ask
    [ "$(warnings)" = 0 ]
    ask SERVER_ADDR=192.0.2.1 REMOTE_ADDR=127.0.0.1
    ask SERVER_ADDR=2001:db8::1
    ask REMOTE_ADDR=192.0.2.7
    [ "$(warnings)" = 1 ]
    grep -q 'at 192.0.2.1, may do everything' log
    kill "$listener"
    status_of 0 wait "$listener"
    start_listener socket
    ask REMOTE_ADDR=192.0.2.7
    [ "$(warnings)" = 2 ]
    kill "$listener"
    status_of 0 wait "$listener"
    printf '%s\n' "$everyone" >policy.json
    CALC_POLICY=policy.json start_listener socket
    ask SERVER_ADDR=192.0.2.1
    [ "$(warnings)" = 2 ]
}

@test "a FastCGI socket that others reach is warned of" {
    unshare -rn true 2>/dev/null || skip "a network of its own can't be made here"
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    in_group unshare -rn calc-cgi --listen 0.0.0.0:9000 2>>log
    until_true 10 grep -q 'the socket for web servers is at 0.0.0.0: whoever reaches it may do everything' log
}

@test "behind nginx that listens on this machine only, nothing is warned of" {
    CALC_POLICY='' start nginx-fastcgi
    walk
    [ "$(warnings)" = 0 ]
}
