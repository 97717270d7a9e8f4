#!/usr/bin/env bats
# Threads under the thread sanitizer: those of calc-cgi, while clients come and go, and the one that commits
# for calc-handle.

# shellcheck disable=SC2154 # http/servers.bash and helper.bash set root, listener and groups
load helper
load http/servers

# watch_threads TOOL: builds it. The libraries are as Debian has them: what passes between threads inside of
# them isn't seen, and none is complained of.
watch_threads() {
    make -s -C "$root" B="$PWD/build" HARDEN='-fsanitize=thread -fno-omit-frame-pointer -fPIE' HARDEN_LINK=-pie \
        CFLAGS='-O1 -g' WARN=-w "$PWD/build/bin/$1"
    export TSAN_OPTIONS="log_path=$PWD/report exitcode=66"
}

# make_inputs COUNT: values, and twice as much that is done to each, one half of it in vain.
make_inputs() {
    awk -v count="$1" 'BEGIN {
        for (i = 0; i < count; i++)
            if (i % 3 == 0)
                printf "{\"value_id\":\"00000000-0000-4000-8000-%012d\",\"value\":%d}\n", i / 3, i
            else
                printf "{\"value_id\":\"00000000-0000-4000-8000-%012d\",\"operation\":\"ADD\",\"value\":0.1,\"expected_version\":1}\n", i / 3
    }'
}

@test "what calc-handle decides while the batch before it is appended touches nothing of that" {
    watch_threads calc-handle
    make_inputs 40000 | calc-submit -o commands >acknowledgements
    status_of 0 build/bin/calc-handle -i commands -o events -r rejections --stats stats
    find . -name 'report.*' -exec head -n 80 {} +
    jq -e '.commit_duration_seconds.count > 3' stats
    calc-handle -i commands -o whole.events -r whole.rejections
    cmp events whole.events
    cmp rejections whole.rejections
}

# CROWD is for how many seconds.
@test "no thread of calc-cgi reads what another one writes, while streams come and go, and at a stop" {
    needs python3 setsid pgrep
    watch_threads calc-cgi
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view CALC_POLICY=$PWD/policy.json CALC_STREAMS=60
    export CALC_EVENTS=$PWD/events CALC_REJECTIONS=$PWD/rejections
    everyone='{"create":"everyone","add":"everyone","multiply":"everyone","read":"everyone","watch":"everyone"}'
    echo "$everyone" >policy.json
    : >commands
    in_group calc-handle -f -i commands -o events -r rejections
    in_group calc-project -f -i events -r rejections --view view
    until_true 10 test -e view/current
    in_group build/bin/calc-cgi --listen socket 2>log
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
