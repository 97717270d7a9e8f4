#!/usr/bin/env bats
# calc-project --rebuild: a new copy of the view beside the one in use, and the switch to it.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

faults=$BATS_TEST_DIRNAME/faults

# id NUMBER: a UUID.
id() {
    printf '00000000-0000-4000-8000-%012d' "$1"
}

# event VALUE VERSION EVENT RESULT: ids by their numbers; its command's is the event's + 1000.
event() {
    local action=ValueUpdated operation='"operation":"ADD",'
    [ "$2" -ne 1 ] || action=ValueCreated operation=
    printf '{"action":"%s","id":"%s","parent":"%s","data":{"value_id":"%s",%s"value":1.0},"version":%d,"result":%s}\n' \
        $action "$(id "$3")" "$(id $(($3 + 1000)))" "$(id "$1")" "$operation" "$2" "$4"
}

# state VALUE NUMBER VERSION: the line that tells it.
state() {
    printf '{"value_id":"%s","value":%s,"version":%d}\n' "$(id "$1")" "$2" "$3"
}

# equals TEXT EXPECTED
equals() {
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$1")
}

# make_logs COUNT: events and rejections of so many commands.
make_logs() {
    "$root/tests/bench/make.py" "$1" >commands
    calc-handle -i commands -o events -r rejections
}

project() {
    calc-project -i events -r rejections --view view "$@"
}

# follow [OPTION...]: in the background; $! is its id.
follow() {
    calc-project -f -i events -r rejections --view view "$@" 2>>errors 3>&- &
    started+=($!)
}

# shows FILE: what the view holds, all of it.
shows() {
    calc-get --view view --all | cmp - "$1"
}

# shows_soon EXPECTED
shows_soon() {
    [ -e view/current ] && [ "$(calc-get --view view --all)" = "$1" ]
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# watches PROCESS: it waits to be told of changes.
watches() {
    grep -qs inotify "/proc/$1/fdinfo/"*
}

# ends PROCESS STATUS [SIGNAL]
ends() {
    [ -z "${3-}" ] || kill -"$3" "$1"
    until_true 30 gone "$1"
    status_of "$2" wait "$1"
}

# holds NUMBER...: these copies are in the view's folder, and no others.
holds() {
    equals "$(cd view && printf '%s\n' [0-9]*)" "$(printf '%s\n' "$@")"
}

# copy_in_use: its number.
copy_in_use() {
    readlink view/current
}

# is_at NUMBER: the copy in use.
is_at() {
    [ "$(copy_in_use)" = "$1" ]
}

# only_copy: the one in use is the only one.
only_copy() {
    holds "$(copy_in_use)" 2>/dev/null
}

# make_older COPY: gives it a format of before.
make_older() {
    perl -pi -e 's/(format\0{7})./$1\x01/gs' "$1/data.mdb"
}

# waiting_rebuild: one that goes on until a line comes through the pipe `more`, which fd 8 has; $!.
waiting_rebuild() {
    mkfifo more
    exec 8<>./more
    calc-project --rebuild -i more -r rejections --view view 2>rebuild-errors 3>&- 8>&- &
    started+=($!)
    until_true 20 test -s view/rebuild.lock -o -d view/2 -o -d view/3
}

# --- alone ---

@test "a rebuilt view is what a new one is, in a new copy, and the old one is gone" {
    make_logs 3000
    project
    calc-get --view view --all >values
    holds 1
    run -0 project --rebuild
    [ -z "$output" ]
    shows values
    holds 2
    calc-project -i events >folded
    shows folded
    run -0 project --rebuild
    holds 3
    shows values
}

@test "it is folded from the logs, whatever is in the one in use" {
    needs perl
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    : >rejections
    project
    # a view that lies: another number in the value's record
    perl -0777 -pi -e 's/\x40\x00\x00\x00\x00\x00\x00\x00/\x40\x14\x00\x00\x00\x00\x00\x00/g' view/1/data.mdb
    equals "$(calc-get --view view --all)" "$(state 1 5.0 2)"
    project --rebuild
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
}

@test "where there is no view yet, it makes one" {
    event 1 1 10 1.0 >events
    : >rejections
    project --rebuild
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
    holds 1
}

@test "it takes what came to the logs since, too, and goes on with -f" {
    event 1 1 10 1.0 >events
    : >rejections
    project
    event 1 2 11 2.0 >>events
    project --rebuild
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
    follow --rebuild
    until_true 20 is_at 3
    event 1 3 12 3.0 >>events
    until_true 20 shows_soon "$(state 1 3.0 3)"
    run -75 project
    ends $! 0 TERM
    [ ! -s errors ]
}

@test "a pipe that has all of the log is rebuilt from, and stdin that is a file" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    calc-project --view view <events
    calc-project --rebuild --view view < <(cat events)
    is_at 2
    calc-project --rebuild --view view <events
    is_at 3
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
}

# --- with a projector that runs ---

@test "a projector that runs takes the new copy over and goes on in it" {
    make_logs 3000
    follow
    projector=$!
    calc-project -i events >values
    until_true 30 shows_soon "$(cat values)"
    run -0 project --rebuild
    is_at 2
    shows values
    until_true 20 only_copy
    run -0 project --rebuild
    is_at 3
    calc-submit -o commands create 7 >acks
    calc-handle -i commands -o events -r rejections
    calc-project -i events >values
    until_true 20 shows_soon "$(cat values)"
    ends "$projector" 0 TERM
    run -0 project
    shows values
    [ ! -s errors ]
}

@test "a projector that doesn't follow takes over what one that died has offered" {
    make_logs 3000
    project
    calc-get --view view --all >values
    cp -R view/1 view/5
    ln -s 5 view/next
    project
    is_at 5
    shows values
    holds 5
    [ ! -L view/next ]
}

@test "what is offered is brought to where the view in use is before the switch" {
    make_logs 3000
    head -n 1000 events >less
    calc-project -i less --view view
    mv view/1 offered
    rm -rf view
    project
    mv offered view/2
    ln -s 2 view/next
    calc-get --view view --all >values
    project
    is_at 2
    shows values
    command=$(jq -r .parent <rejections | head -n 1)
    value=$(jq -r .data.value_id <rejections | head -n 1)
    run -1 calc-get --view view --command "$command" "$value"
}

@test "an offer that can't be taken over is refused, and the view in use goes on" {
    needs perl
    event 1 1 10 1.0 >events
    : >rejections
    follow
    projector=$!
    until_true 20 shows_soon "$(state 1 1.0 1)"
    cp -R view/1 copy
    make_older copy
    mv copy view/5
    ln -s 5 view/next
    until_true 20 grep -q "isn't taken over: it has an older format" errors
    until_true 20 holds 1
    [ ! -L view/next ]
    # of another log
    event 1 1 99 1.0 >other
    calc-project -i other --view other-view
    mv other-view/1 view/7
    ln -s 7 view/next
    until_true 20 grep -q "isn't taken over: events is another log" errors
    # of a copy that isn't there
    ln -s 9 view/next
    event 1 2 11 2.0 >>events
    until_true 20 shows_soon "$(state 1 2.0 2)"
    is_at 1
    ends "$projector" 0 TERM
}

@test "a projector on a pipe, that can't be read again, is waited for" {
    event 1 1 10 1.0 >events
    mkfifo pipe
    exec 7<>pipe
    calc-project -i pipe --view view 2>errors 3>&- 7>&- &
    projector=$!
    started+=("$projector")
    cat events >&7
    until_true 20 shows_soon "$(state 1 1.0 1)"
    calc-project --rebuild -i events --view view 2>rebuild-errors 3>&- 7>&- &
    rebuild=$!
    started+=("$rebuild")
    until_true 20 test -L view/next
    event 1 2 11 2.0 | tee -a events >&7
    until_true 20 shows_soon "$(state 1 2.0 2)"
    is_at 1
    exec 7>&-
    ends "$projector" 0
    ends "$rebuild" 0
    is_at 2
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
}

# submit_on: as fast as it can, until the file `enough` is there.
submit_on() {
    until [ -e enough ]; do
        "$root/tests/bench/make.py" 5000 inputs | calc-submit -o commands >>acks
    done
}

@test "it ends though events come as fast as they can, and nothing is lost or doubled" {
    make_logs 20000
    calc-handle -f -i commands -o events -r rejections 3>&- &
    handler=$!
    started+=("$handler")
    follow
    projector=$!
    submit_on 3>&- &
    submitter=$!
    started+=("$submitter")
    until_true 20 test -s acks
    for copy in 2 3; do
        status_of 0 timeout 60 calc-project --rebuild -i events -r rejections --view view
        is_at $copy
    done
    gone "$submitter" && false
    : >enough
    wait "$submitter"
    ends "$handler" 0 TERM
    last=$(tail -n 1 events | jq -r .parent)
    value=$(tail -n 1 events | jq -r .data.value_id)
    calc-get --view view --seen "$last" --wait 30 "$value"
    calc-project -i events >values
    shows values
    ends "$projector" 0 TERM
    [ ! -s errors ]
}

# --- readers ---

# read_on ID: asks again and again for a value, until the file `enough` is there; its version never
# goes back.
read_on() {
    local last=0 line looks=0
    until [ -e enough ]; do
        line=$(calc-get --view view "$1") || return 1
        line=${line##*\"version\":}
        line=${line%%[!0-9]*}
        ((line >= last)) || return 2
        last=$line
        looks=$((looks + 1))
    done
    ((looks > 10)) || return 3
}

# read_lines_on ID: the same, in one process that keeps the view open.
read_lines_on() {
    local last=0 line
    mkfifo asks answers
    calc-get --view view <asks >answers &
    exec 7>asks 6<answers
    until [ -e enough ]; do
        echo "$1" >&7
        read -r -t 20 line <&6 || return 1
        line=${line##*\"version\":}
        line=${line%%[!0-9]*}
        ((line >= last)) || return 2
        last=$line
    done
    exec 7>&-
    wait $!
}

@test "readers follow without an error, and what they see never goes back" {
    {
        for version in {1..2000}; do
            event 1 "$version" "$version" 1.0
        done
    } >all
    head -n 500 all >events
    : >rejections
    follow
    projector=$!
    state 1 1.0 500 >values
    until_true 30 shows_soon "$(cat values)"
    readers=()
    for _ in 1 2 3; do
        read_on "$(id 1)" 2>>reader-errors 3>&- &
        readers+=($!)
    done
    read_lines_on "$(id 1)" 2>>reader-errors 3>&- &
    readers+=($!)
    started+=("${readers[@]}")
    for copy in {2..9}; do
        tail -n +$((501 + (copy - 2) * 180)) all | head -n 180 >part
        # shellcheck disable=SC2094 # the lock is on what is appended to
        flock events cat part >>events
        project --rebuild
        [ "$(copy_in_use)" -ge "$copy" ]
    done
    : >enough
    for reader in "${readers[@]}"; do
        status_of 0 wait "$reader"
    done
    [ ! -s reader-errors ]
    ends "$projector" 0 TERM
}

@test "who waits for an outcome goes on waiting across a switch, and is woken" {
    event 1 1 10 1.0 >events
    : >rejections
    follow
    projector=$!
    until_true 20 shows_soon "$(state 1 1.0 1)"
    calc-get --view view --seen "$(id 1011)" --wait 60 "$(id 1)" >got 2>reader-errors 3>&- &
    reader=$!
    started+=("$reader")
    until_true 20 watches "$reader"
    project --rebuild
    is_at 2
    gone "$reader" && false
    event 1 2 11 2.0 >>events
    ends "$reader" 0
    equals "$(cat got)" "$(state 1 2.0 2)"
    [ ! -s reader-errors ]
    ends "$projector" 0 TERM
}

@test "calc-cgi follows a switch without an error, and lets go of the old copy" {
    needs python3
    event 1 1 10 1.0 >events
    : >rejections
    follow
    projector=$!
    until_true 20 shows_soon "$(state 1 1.0 1)"
    CALC_COMMANDS=commands CALC_VIEW=view calc-cgi --listen socket 2>cgi-errors 3>&- &
    started+=($!)
    until_true 20 test -S socket
    PYTHONPATH=$faults python3 - "$(id 1)" 3>&- <<'END' &
import os, sys
import fcgi
count = 0
while not os.path.exists("enough"):
    answer = fcgi.request("socket", "GET", "/values/" + sys.argv[1])
    assert answer.status == 200 and answer.body == b'{"value":1.0}', (answer.status, answer.body)
    count += 1
assert count > 10, count
END
    client=$!
    started+=("$client")
    for _ in {1..6}; do
        project --rebuild
    done
    is_at 7
    : >enough
    wait "$client"
    [ ! -s cgi-errors ]
    PYTHONPATH=$faults python3 -c 'import sys, fcgi; fcgi.request("socket", "GET", "/values/x")' 2>&1
    until_true 20 only_copy
    ends "$projector" 0 TERM
}

# reader_of_copy: a calc-get that has the view open and waits for lines from fd 7; $!.
reader_of_copy() {
    mkfifo lines
    exec 7<>lines
    calc-get --view view <lines >got 3>&- 7>&- &
    started+=($!)
    id 1 >&7
    echo >&7
    until_true 20 test -s got
}

@test "the old copy goes when its last reader has left, and he sees the new one at once" {
    { event 1 1 10 1.0 && event 2 1 20 5.0; } >events
    : >rejections
    follow
    projector=$!
    until_true 20 shows_soon "$(state 1 1.0 1 && state 2 5.0 1)"
    reader_of_copy
    project --rebuild
    is_at 2
    holds 1 2
    event 1 2 11 2.0 >>events
    until_true 20 shows_soon "$(state 1 2.0 2 && state 2 5.0 1)"
    holds 1 2
    id 1 >&7
    echo >&7
    until_true 20 grep -q '"version":2' got
    until_true 20 holds 2
    ends "$projector" 0 TERM
}

@test "a reader that was killed holds no copy back" {
    { event 1 1 10 1.0; } >events
    : >rejections
    project
    reader_of_copy
    reader=$!
    project --rebuild
    holds 1 2
    run -0 project
    holds 1 2
    kill -KILL "$reader"
    wait "$reader" || true
    run -0 project # whoever comes next removes it
    holds 2
}

@test "what is no copy of ours is left where it is" {
    event 1 1 10 1.0 >events
    : >rejections
    project
    mkdir view/7 view/08 view/2x
    echo precious >view/7/file
    echo precious >view/08/data.mdb
    project --rebuild
    project
    is_at 8
    [ -e view/7/file ]
    [ -e view/08/data.mdb ]
    [ -d view/2x ]
}

# --- interrupted ---

@test "a copy that was half made when its rebuild was killed is removed" {
    needs strace
    event 1 1 10 1.0 >events
    : >rejections
    project
    half_made() {
        # before the file gets its name
        run -137 env ASAN_OPTIONS=detect_leaks=0 strace -o trace -e trace=rename \
            -e inject=rename:signal=KILL:when=1 calc-project --rebuild -i events -r rejections --view view
        equals "$(ls view/2)" new.mdb
    }
    half_made
    project
    holds 1
    half_made
    project --rebuild
    only_copy
}

@test "killed at 20 random moments it leaves the view in use as it was, and at last ends" {
    make_logs 12000
    follow
    projector=$!
    calc-project -i events >values
    until_true 30 shows_soon "$(cat values)"
    killed=0
    for round in {1..20}; do
        calc-project --rebuild -i events -r rejections --view view 2>>errors 3>&- &
        rebuild=$!
        started+=("$rebuild")
        # a few milliseconds later in each round, so that all of its way is walked
        sleep "$(printf '0.%03d' $((round * 17 + RANDOM % 17)))"
        kill -KILL "$rebuild" 2>/dev/null && killed=$((killed + 1))
        wait "$rebuild" || true
        shows values
        gone "$projector" && false
    done
    [ $killed -gt 3 ]
    run -0 project --rebuild
    shows values
    until_true 20 only_copy
    ends "$projector" 0 TERM
    [ ! -s errors ]
}

@test "rebuild and projector killed at random moments lose nothing" {
    make_logs 6000
    calc-project -i events >values
    project
    for round in {1..20}; do
        follow
        projector=$!
        calc-project --rebuild -i events -r rejections --view view 2>>errors 3>&- &
        rebuild=$!
        started+=("$rebuild")
        sleep "$(printf '0.%03d' $((round * 11 + RANDOM % 11)))"
        # if it came so late that the rebuild had its place by then, it has ended
        kill -KILL "$projector" 2>/dev/null || grep -q "another calc-project works on" errors
        [ $((round % 3)) -eq 0 ] || kill -KILL "$rebuild" 2>/dev/null || true
        wait "$projector" || true
        wait "$rebuild" || true
        shows values
    done
    run -0 project
    only_copy
    shows values
    run -0 project --rebuild
    shows values
    only_copy
}

@test "SIGTERM ends it with 75: the view in use is as it was, and the new copy is gone" {
    event 1 1 10 1.0 >events
    : >rejections
    project
    waiting_rebuild
    until_true 20 test -d view/2
    ends $! 75 TERM
    grep -q "the rebuild was interrupted; the view in use is as it was" rebuild-errors
    holds 1
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
}

@test "a second rebuild is 75, and a projector isn't" {
    event 1 1 10 1.0 >events
    : >rejections
    project
    waiting_rebuild
    rebuild=$!
    until_true 20 test -d view/2
    run -75 --separate-stderr project --rebuild
    [[ $stderr == *"another calc-project --rebuild works on"* ]]
    event 1 2 11 2.0 >>events
    run -0 project
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
    holds 1 2
    cat events >&8
    exec 8>&-
    ends "$rebuild" 0
    is_at 2
    equals "$(calc-get --view view --all)" "$(state 1 2.0 2)"
}

# --- formats ---

@test "a view of an older format is rebuilt when a projector starts" {
    needs perl
    make_logs 3000
    project
    calc-get --view view --all >values
    make_older view/1
    run -75 --separate-stderr calc-get --view view --all
    [[ $stderr == *"has format 1, this version reads "*"it is being rebuilt, or will be"* ]]
    run -0 --separate-stderr project
    [[ $stderr == *"has an older format: it is rebuilt first"* ]]
    shows values
    holds 2
    make_older view/2
    follow
    until_true 20 shows_soon "$(cat values)"
    ends $! 0 TERM
    make_older view/3
    run -0 project --rebuild
    shows values
}

@test "while a view of an older format is rebuilt, readers wait or are told 75" {
    needs perl
    event 1 1 10 1.0 >events
    : >rejections
    project
    make_older view/1
    mkfifo more
    exec 8<>./more
    calc-project -i more -r rejections --view view 2>errors 3>&- 8>&- &
    started+=($!)
    until_true 20 test -d view/2
    run -75 calc-get --view view --all
    calc-get --view view --seen "$(id 1010)" --wait 60 "$(id 1)" >got 3>&- 8>&- &
    reader=$!
    started+=("$reader")
    run -75 project # the one that rebuilds it is its projector
    run -75 project --rebuild
    cat events >&8
    exec 8>&-
    ends "$reader" 0
    equals "$(cat got)" "$(state 1 1.0 1)"
    ends "${started[0]}" 0
    is_at 2
}

@test "a view of a newer format is not rebuilt by itself, and is at the operator's word" {
    needs perl
    event 1 1 10 1.0 >events
    : >rejections
    project
    perl -pi -e 's/(format\0{7})./$1\x63/gs' view/1/data.mdb
    run -65 project
    is_at 1
    project --rebuild
    is_at 2
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
}

# --- what is refused, and what fails ---

@test "a damaged view is rebuilt" {
    event 1 1 10 1.0 >events
    : >rejections
    project
    yes damage | head -c 40960 >view/1/data.mdb
    run -65 project
    run -0 project --rebuild
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
    holds 2
}

@test "what --skip left out has to be left out again, and nothing is in silence" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    at=$(stat -c %s events)
    { event 1 2 99 9.0 && event 1 3 12 3.0; } >>events
    : >rejections
    run -0 project --skip events:"$at"
    equals "$(calc-get --view view --all)" "$(state 1 3.0 3)"
    run -65 --separate-stderr project --rebuild
    [[ $stderr == *" at $at: a fork"* ]]
    holds 1
    equals "$(calc-get --view view --all)" "$(state 1 3.0 3)"
    run -0 --separate-stderr project --rebuild --skip events:"$at"
    [[ $stderr == *" at $at: left out, as --skip says"* ]]
    holds 2
    equals "$(calc-get --view view --all)" "$(state 1 3.0 3)"
}

@test "logs that end before what the view in use has, or are others, are 65, and it stays" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 1 3 12 3.0; } >events
    : >rejections
    project
    cp events good
    head -n 2 good >events
    for option in -e -f; do
        run -65 --separate-stderr timeout 60 calc-project --rebuild $option -i events --view view
        [[ $stderr == *"events ends before $(stat -c %s good), which the view in use has reached"* ]]
        holds 1
    done
    { event 1 1 99 1.0 && event 1 2 11 2.0 && event 1 3 12 3.0 && event 1 4 13 4.0; } >events
    run -65 --separate-stderr project --rebuild
    [[ $stderr == *"events is another log than the one that the view in use was folded from"* ]]
    { head -n 2 good && event 1 3 98 3.0; } >events
    run -65 --separate-stderr project --rebuild
    [[ $stderr == *"events is another log"* ]]
    holds 1
    equals "$(calc-get --view view --all)" "$(state 1 3.0 3)"
    cp good events
    run -0 project --rebuild
}

@test "without the rejections that the view in use has it is 64" {
    make_logs 3000
    project
    [ -s rejections ]
    run -64 --separate-stderr calc-project --rebuild -i events --view view
    [[ $stderr == *"name them with -r"* ]]
    holds 1
}

@test "without a view it is 64, and a log that isn't there is 74" {
    : >events
    run -64 --separate-stderr calc-project --rebuild -i events
    [[ $stderr == *"--rebuild: which view?"* ]]
    calc-project -i events --view view
    run -74 timeout 20 calc-project --rebuild -i nowhere --view view
    holds 1
}

@test "on a full disk it is 74, and the view in use goes on" {
    unshare -rm true 2>/dev/null || skip "a disk of its own can't be mounted here"
    mkdir small
    make_logs 6000
    calc-project -i events >values
    # shellcheck disable=SC2016 # for that shell
    unshare -rm bash -euc '
        mount -t tmpfs -o size=10m none small
        project() { calc-project -i events -r rejections --view small/view "$@"; }
        project
        used=$(du -sk small/view | cut -f 1)
        # room for a third of another copy
        head -c $(((10240 - used - used / 3) * 1024)) /dev/zero >small/rest
        calc-project -f -i events -r rejections --view small/view 2>errors &
        projector=$!
        got=0
        project --rebuild 2>rebuild-errors || got=$?
        [ $got -eq 74 ]
        [ "$(cd small/view && echo [0-9]*)" = 1 ]
        calc-get --view small/view --all | cmp - values
        rm small/rest
        kill -0 $projector
        mount -o remount,size=40m small
        project --rebuild
        [ "$(readlink small/view/current)" = 2 ]
        calc-get --view small/view --all | cmp - values
        kill $projector
        wait $projector
    ' 3>&-
    grep -qi "no space\|can't" rebuild-errors
    [ ! -s errors ]
}
