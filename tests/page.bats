# The page at the mount point, driven in Chromium; behind lighttpd with its example configuration.

# shellcheck disable=SC2154,SC2034 # http/servers.bash sets and reads them
load helper
load http/servers

teardown() {
    if [ -e servers ]; then # those that a scenario started
        mapfile -t -O "${#groups[@]}" groups <servers
    fi
    end_servers
}

# scenario NAME: see page/scenarios.mjs.
scenario() {
    local page=$root/tests/page
    needs node npm chromium
    "$page/node" 2>errors || {
        [ $? -eq 69 ] && skip "what the page's tests need can't be installed"
        cat errors
        false
    }
    start lighttpd-fastcgi
    export SERVER_GROUP=$id SERVER_CONFIGURATION=$conf/lighttpd-fastcgi.conf CALC_CGI=$cgi
    "$page/node" "$page/scenarios.mjs" "$1" "$url" 2>&1
}

@test "a person creates, adds, multiplies, sees 12, and a rejection with its reason" {
    scenario walk
}

@test "the keyboard is enough" {
    scenario keyboard
}

@test "what others do is seen as it happens, and what they are called is only text" {
    scenario others
}

@test "values are listed by pages, and opened by their ids" {
    scenario pages
}

@test "a server that is lost is said to be, and nothing is missed or told twice when it is back" {
    scenario outage
}

@test "after errors it goes on where it was, and with other logs it begins anew" {
    cat >control <<'END'
#!/usr/bin/env bash
# Takes the view away and brings it back, and puts other logs into the place of those that are there.
set -eu
stop() {
    kill -TERM -- "-$1"
    while pgrep -g "$1" -r D,R,S,T >/dev/null; do sleep 0.02; done
}
begin() {
    setsid "$@" >>log 2>&1 3>&- </dev/null &
    echo $! >>servers
    echo $! >"${1##*/}.group"
}
project() { begin calc-project -f -i events -r rejections --view view; }
case $1 in
hide-view)
    stop "$(cat calc-project.group)"
    mv view view.away
    kill -KILL "$(pgrep -P "$SERVER_GROUP" -x calc-cgi)"
    ;;
show-view)
    mv view.away view
    project
    ;;
other-logs)
    stop "$(cat calc-project.group)"
    stop "$(cat calc-handle.group)"
    rm -rf view commands events* rejections*
    kill -KILL "$(pgrep -P "$SERVER_GROUP" -x calc-cgi)"
    touch commands
    begin calc-handle -f -i commands -o events -r rejections
    project
    ;;
esac
END
    chmod +x control
    start_calculator() {
        local part
        touch commands
        in_group calc-handle -f -i commands -o events -r rejections
        echo "${groups[-1]}" >calc-handle.group
        in_group calc-project -f -i events -r rejections --view view
        echo "${groups[-1]}" >calc-project.group
    }
    scenario errors
}

@test "axe-core finds nothing, on a desktop and a phone, by day and by night" {
    scenario accessible
}

@test "without streams, values and outcomes are asked for" {
    export CALC_STREAMS=0
    scenario streamless
}

@test "what a policy refuses is said" {
    echo '{"read":"everyone","create":["ann"]}' >policy.json
    export CALC_POLICY=$PWD/policy.json
    scenario policy
}

# The long form is in make soak.
@test "EventSource hears each event once, through kills of its page, calc-cgi and the projector, and a rebuild" {
    needs node npm chromium lighttpd python3
    "$root/tests/page/node" 2>errors || {
        [ $? -eq 69 ] && skip "what the page's tests need can't be installed"
        cat errors
        false
    }
    "$root/tests/faults/eventsource.py" --events 2000 --kills 4 --seed 1
}

@test "the mount point without its slash leads to the page" {
    for base in /calc /; do
        env -i PATH="$PATH" REQUEST_METHOD=GET REQUEST_URI="$base" CALC_BASE=$base CALC_COMMANDS=commands \
            CALC_VIEW=view calc-cgi >"answer${base//\//-}"
    done
    grep -q '^Status: 308' answer-calc
    tr -d '\r' <answer-calc | grep -qx 'Location: /calc/'
    grep -q '^Status: 200' answer-
}
