#!/usr/bin/env bats
# The threads of calc-cgi under the thread sanitizer, while clients come and go.

# shellcheck disable=SC2154 # http/servers.bash and helper.bash set root, listener and groups
load helper
load http/servers

teardown() {
    end_groups
    end_started
}

# CROWD is for how many seconds. The libraries are as Debian has them: what passes between threads inside of
# them isn't seen, and none is complained of.
@test "no thread of calc-cgi reads what another one writes, while streams come and go, and at a stop" {
    needs python3 setsid pgrep
    make -s -C "$root" B="$PWD/build" HARDEN='-fsanitize=thread -fno-omit-frame-pointer -fPIE' HARDEN_LINK=-pie \
        CFLAGS='-O1 -g' WARN=-w "$PWD/build/bin/calc-cgi"
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view CALC_POLICY=$PWD/policy.json CALC_STREAMS=60
    export CALC_EVENTS=$PWD/events CALC_REJECTIONS=$PWD/rejections
    everyone='{"create":"everyone","add":"everyone","multiply":"everyone","read":"everyone","watch":"everyone"}'
    echo "$everyone" >policy.json
    : >commands
    in_group calc-handle -f -i commands -o events -r rejections
    in_group calc-project -f -i events -r rejections --view view
    until_true 10 test -e view/current
    in_group env TSAN_OPTIONS=log_path="$PWD/report exitcode=66" build/bin/calc-cgi --listen socket 2>log
    listener=${groups[-1]}
    until_true 20 test -S socket
    background "$root/tests/faults/crowd.py" socket "${CROWD:-3}" >did
    crowd=${started[-1]}
    until_true 20 test -s events
    calc-project --rebuild -i events -r rejections --view view
    echo "$everyone " >policy.new
    mv policy.new policy.json
    until_true $((${CROWD:-3} + 30)) test -s did
    echo "# $(cat did)" >&3
    kill "$listener"
    until_true 20 ended_process "$listener"
    touch stopped
    wait "$crowd"
    find . -name 'report.*' -exec head -n 80 {} +
    status_of 0 wait "$listener"
    jq -e '.streams > 50 and .requests > 50 and .bytes > 10000' did
}

ended_process() {
    ! kill -0 "$1" 2>/dev/null
}
