#!/usr/bin/env bats
# calc-watch: subscriptions to a view.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

one=00000000-0000-4000-8000-000000000001
two=00000000-0000-4000-8000-0000000000ab
none=ffffffff-ffff-4fff-bfff-ffffffffffff
applied=11111111-0000-4000-8000-000000000001
rejected=11111111-0000-4000-8000-000000000002
unsent=11111111-0000-4000-8000-000000000003

# Logs with all kinds of outcomes, and their view.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    {
        printf '%s\n' '{"action":"CreateValue","id":"'$one'","data":{"value_id":"'$one'","value":7},"actor":"ann \"é\\"}'
        echo '{"action":"CreateValue","id":"'$two'","data":{"value_id":"'$two'","value":-0.5}}'
        echo 'no command'
        echo '{"action":"UpdateValue","id":"'$applied'","data":{"value_id":"'$one'","operation":"ADD","value":3}}'
        echo '{"action":"UpdateValue","id":"'$applied'","data":{"value_id":"'$one'","operation":"ADD","value":4}}'
        echo '{"action":"UpdateValue","id":"'$rejected'","data":{"value_id":"'$one'","operation":"MULTIPLY","value":3},"expected_version":7}'
        echo '{"action":"UpdateValue","id":"'$rejected'","data":{"value_id":"'$two'","operation":"ADD","value":1}}'
    } >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    cp -r "$BATS_FILE_TMPDIR"/{commands,events,rejections,view} .
    cp -r "$BATS_FILE_TMPDIR"/events.state .
    export CALC_VIEW=view
}

teardown() {
    end_started
}

handle() {
    calc-handle -i commands -o events -r rejections
}

project() {
    calc-project -i events -r rejections --view "${1-view}"
}

# plain FILE: its lines without their cursors.
plain() {
    sed 's/,"cursor":"[^"]*"}$/}/' "$1"
}

cursor_of() {
    sed -n "$1s/.*\"cursor\":\"\\([^\"]*\\)\"}\$/\\1/p" "$2"
}

lines_are() {
    [ "$(wc -l <"$2")" -eq "$1" ]
}

# watch FILE ARGUMENTS...: in the background, its output in FILE; sets watcher.
watch() {
    calc-watch "${@:2}" >"$1" 2>"$1.err" 3>&- &
    watcher=$!
    started+=("$watcher")
}

follow() {
    background calc-handle -f -i commands -o events -r rejections
    background calc-project -f -i events -r rejections --view view
    projector=${started[-1]}
}

# --- what is told ---

@test "everything is told once, to the byte as the logs have it, with a cursor behind" {
    run -0 --separate-stderr calc-watch --from beginning -e
    [ -z "$stderr" ]
    echo "$output" >all
    lines_are 7 all
    diff <(plain all | grep -v Rejected) events
    diff <(plain all | grep Rejected) rejections
    [ "$(grep -c '"cursor":"[A-Za-z0-9._-]*"}$' all)" -eq 7 ]
}

@test "from each cursor, exactly what is behind it comes" {
    calc-watch --from beginning -e >all
    for n in {1..7}; do
        calc-watch --from "$(cursor_of "$n" all)" -e | diff <(sed -n "$((n + 1)),\$p" all) -
    done
}

@test "by value ids, their events and rejections come, and no others" {
    calc-watch --from beginning -e $one >some
    diff <(plain some | LC_ALL=C sort) <(grep -h "\"value_id\":\"$one\"" events rejections | LC_ALL=C sort)
    lines_are 4 some
    calc-watch --from beginning -e ${two^^} $none >some
    diff <(plain some) <(grep -h "\"value_id\":\"$two\"" events rejections)
    run -0 calc-watch --from beginning -e $none
    [ -z "$output" ]
    # a cursor of some goes on for all
    calc-watch --from beginning -e >all
    calc-watch --from "$(cursor_of 1 some)" -e | diff <(tail -n +"$(($(grep -nF "$(sed -n 1p some)" all | cut -d: -f1) + 1))" all) -
}

@test "now is the default, and is behind what is there" {
    run -0 calc-watch -e
    [ -z "$output" ]
    watch told
    watch also --from now $two
    until_true 10 watches "${started[0]}"
    until_true 10 watches "${started[1]}"
    echo '{"action":"UpdateValue","id":"'$unsent'","data":{"value_id":"'$two'","operation":"ADD","value":1}}' >>commands
    handle && project
    until_true 10 lines_are 1 told
    until_true 10 lines_are 1 also
    diff <(plain told) <(tail -n 1 events)
    cmp told also
}

# watches PROCESS: it has the view open, and sleeps: until that changes.
watches() {
    [ -n "$(find "/proc/$1/fd" -lname '*data.mdb')" ] && grep -q '^State:.S' "/proc/$1/status"
}

@test "each line is written at once, also to a pipe" {
    follow
    mkfifo out
    calc-watch >out 3>&- &
    started+=($!)
    exec 9<out
    until_true 10 watches "${started[-1]}"
    for i in 1 2 3; do
        calc-submit -o commands add $two $i >acknowledged
        read -r -t 10 -u 9 line
        [[ $line == *'"version":'$((i + 2))* ]]
    done
    exec 9<&-
}

# --- commands ---

@test "a command's outcome is told with its cursor, and the exit status says which it is" {
    calc-watch --from beginning -e >all
    run -0 calc-watch --command $applied $one
    [ "$output" = "$(grep "\"parent\":\"$applied\"" all | grep -v id_reused)" ]
    run -1 calc-watch --command ${rejected^^} $one
    [ "$output" = "$(grep "\"parent\":\"$rejected\"" all | grep $one)" ]
    run -0 calc-watch --command $rejected $two
    [ "$output" = "$(grep "\"parent\":\"$rejected\"" all | grep $two)" ]
}

@test "an outcome that isn't there is 69 when the time is up, and waited for until then" {
    run -69 --separate-stderr calc-watch --command $unsent --wait 0 $one
    [ -z "$output" ]
    [[ $stderr == *$unsent* ]]
    run -69 calc-watch --command $unsent --wait 0.3 $one
    watch told --command $unsent --wait 20 $one
    echo '{"action":"UpdateValue","id":"'$unsent'","data":{"value_id":"'$one'","operation":"ADD","value":1}}' >>commands
    handle && project
    status_of 0 wait "$watcher"
    diff <(plain told) <(tail -n 1 events)
}

@test "without --wait it is waited for as long as it takes; a signal is no outcome" {
    watch told --command $unsent $one
    until_true 10 watches "$watcher"
    kill -TERM "$watcher"
    status_of 143 wait "$watcher"
    watch told --command $unsent $none
    echo '{"action":"UpdateValue","id":"'$unsent'","data":{"value_id":"'$none'","operation":"ADD","value":1}}' >>commands
    handle && project
    status_of 1 wait "$watcher"
    diff <(plain told) <(tail -n 1 rejections)
}

# --- where to begin, and what is in the way ---

@test "a cursor that is none, or is cut off, or is of other logs, is 65" {
    calc-watch --from beginning -e >all
    for cursor in x '' "$(cursor_of 3 all | head -c 20)" 1.0123456789abcdef.0-1..; do
        run -65 --separate-stderr calc-watch --from "$cursor" -e
        [ -z "$output" ]
        [[ $stderr == calc-watch:*cursor* ]]
        run -65 timeout 10 calc-watch --from "$cursor"
    done
    { echo x && echo '{"value":1}' | calc-submit; } | calc-handle -o other -r other-rejections
    calc-project -i other -r other-rejections --view other-view
    run -65 calc-watch --view other-view --from "$(cursor_of 7 all)" -e
}

@test "a view that isn't there is 75 with -e, and else waited for; then everything is new" {
    run -75 --separate-stderr calc-watch --view later -e
    [[ $stderr == *later* ]]
    watch told --view later
    watch outcome --view later --command $applied $one
    project later
    status_of 0 wait "$watcher"
    lines_are 1 outcome
    until_true 10 lines_are 7 told
    calc-watch --from beginning -e | diff told -
}

@test "it goes on in a view that was rebuilt, and in one that was made anew, nothing twice" {
    follow
    watch told --from beginning
    until_true 10 lines_are 7 told
    calc-project --rebuild -i events -r rejections --view view
    calc-submit -o commands add $two 1 >acknowledged
    until_true 10 lines_are 8 told
    kill "$projector" && wait "$projector"
    rm -r view
    background calc-project -f -i events -r rejections --view view
    calc-submit -o commands add $two 1 >acknowledged
    until_true 10 lines_are 9 told
    [ "$(jq -r .id told | sort -u | wc -l)" -eq 9 ]
    # a cursor of before means the same
    calc-watch --from "$(cursor_of 8 told)" -e | diff <(sed -n 9p told) -
}

@test "the views of two hosts, who read the logs in another order, give one cursor the same meaning" {
    # the rejections first, all of them
    : >none
    calc-project -i none -r rejections --view other
    project other
    calc-watch --from beginning -e >all
    calc-watch --view other --from beginning -e >others
    status_of 1 cmp -s all others
    for n in {1..7}; do
        calc-watch --view other --from "$(cursor_of "$n" all)" -e >rest
        diff <(plain rest | LC_ALL=C sort) <(sed -n "$((n + 1)),\$p" all | sed 's/,"cursor":"[^"]*"}$/}/' | LC_ALL=C sort)
    done
}

# --- how it ends ---

@test "SIGTERM and SIGINT end it with 0" {
    for signal in TERM INT; do
        env --default-signal=INT calc-watch --from beginning >told 3>&- &
        watcher=$!
        started+=("$watcher")
        until_true 10 lines_are 7 told
        kill -s $signal "$watcher"
        status_of 0 wait "$watcher"
    done
}

@test "SIGTERM ends it though nobody reads its output, between two lines" {
    yes '{"value_id":"'$two'","operation":"ADD","value":1}' | head -n 5000 | calc-submit >added
    cat added >>commands
    handle && project
    mkfifo out
    calc-watch --from beginning >out 3>&- &
    watcher=$!
    started+=("$watcher")
    exec 9<out
    until_true 10 stalls "$watcher"
    kill -TERM "$watcher"
    status_of 0 wait "$watcher"
    cat <&9 >got
    exec 9<&-
    calc-watch --from beginning -e >all
    cmp -n "$(stat -c %s got)" got all
    [ "$(tail -c 1 got | od -An -c | tr -d ' ')" = '\n' ]
    calc-watch --from "$(tail -n 1 got | cursor_of '' /dev/stdin)" -e | cat got - | cmp - all
}

# stalls PROCESS: the pipe is full.
stalls() {
    python3 -c 'import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(9, termios.FIONREAD, bytes(4)))[0] < 60000)'
}

@test "it holds no snapshot while nobody reads it" {
    needs mdb_stat
    yes '{"value_id":"'$two'","operation":"ADD","value":1}' | head -n 5000 | calc-submit >added
    cat added >>commands
    handle && project
    mkfifo out
    calc-watch --from beginning >out 3>&- &
    started+=($!)
    exec 9<out
    until_true 10 stalls
    until_true 5 no_snapshots
    exec 9<&-
}

no_snapshots() {
    mdb_stat -r view/current | grep -q 'no active readers'
}

@test "who doesn't read any more ends it, also while nothing comes" {
    { calc-watch --from beginning && echo 0 || echo $? >status; } 2>err | head -n 1 >got
    until_true 10 test -s status
    [ "$(cat status)" -eq 141 ]
    lines_are 1 got
}

@test "output that can't be written is 74" {
    status_of 74 calc-watch --from beginning -e >/dev/full 2>err
    grep -q stdout err
}

@test "a command line that makes no sense is 64" {
    for arguments in "--command $applied" "--command x $one" "--command $applied $one $two" "--wait 3" \
        "--command $applied --from now $one" "--command $applied -e $one" "--command $applied --wait x $one" \
        nothing "--from"; do
        # shellcheck disable=SC2086 # words
        run -64 --separate-stderr calc-watch $arguments
        [ -z "$output" ]
        [[ $stderr == calc-watch:* ]]
    done
    CALC_VIEW='' run -64 calc-watch -e
    run -0 calc-watch --help
    run -0 calc-watch --version
}
