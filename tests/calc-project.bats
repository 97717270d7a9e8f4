#!/usr/bin/env bats
# calc-project: events and rejections to a view, or to the last values.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

examples=$BATS_TEST_DIRNAME/examples

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

# rejection VALUE COMMAND REASON VERSION
rejection() {
    printf '{"action":"CommandRejected","id":"%s","parent":"%s","data":{"value_id":"%s","operation":"ADD","value":1.0},"reason":"%s","version":%d}\n' \
        "$(id $(($2 + 5000)))" "$(id "$2")" "$(id "$1")" "$3" "$4"
}

# state VALUE NUMBER VERSION: the line that tells it.
state() {
    printf '{"value_id":"%s","value":%s,"version":%d}\n' "$(id "$1")" "$2" "$3"
}

# equals TEXT EXPECTED
equals() {
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$1")
}

# shows EXPECTED: what the view holds.
shows() {
    equals "$(calc-get --view view --all)" "$1"
}

# shows_soon EXPECTED
shows_soon() {
    [ -e view/current ] && [ "$(calc-get --view view --all)" = "$1" ]
}

project() {
    calc-project -i events --view view "$@"
}

follow() {
    calc-project -f -i events -r rejections --view view 2>errors 3>&- &
    started+=($!)
}

# watches PROCESS: it waits to be told of changes.
watches() {
    grep -qs inotify "/proc/$1/fdinfo/"*
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# ends STATUS [SIGNAL]: the first process that was started ends with this status.
ends() {
    [ -z "${2-}" ] || kill -"$2" "${started[0]}"
    until_true 15 gone "${started[0]}"
    status_of "$1" wait "${started[0]}"
    started=("${started[@]:1}")
}

traced() {
    ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace "$@"
}

# --- without a view ---

@test "it prints each value's last state, ordered by id" {
    { event 3 1 10 1.0 && event 1 1 11 2.0 && event 3 2 12 2.5 && event 2 1 13 -0.0; } >events
    # shellcheck disable=SC2002 # a pipe is wanted
    run -0 --separate-stderr calc-project < <(cat events)
    equals "$output" "$(state 1 2.0 1 && state 2 -0.0 1 && state 3 2.5 2)"
    [ -z "$stderr" ]
    equals "$(calc-project <events)" "$output"
    equals "$(calc-project -i events)" "$output"
    equals "$(calc-project -i file:events)" "$output"
}

@test "the examples' events fold to their values" {
    calc-project -i "$examples/events.jsonl" >values
    cmp values "$examples/values.jsonl"
    calc-project -i "$examples/events.jsonl" -r "$examples/rejections.jsonl" >values
    cmp values "$examples/values.jsonl"
}

@test "a value's timestamp is its last event's, and absent where that has none" {
    event 1 1 10 1.0 | sed 's/}$/,"timestamp":"2026-11-23T11:00:00.000000Z","actor":"ann"}/' >events
    run -0 calc-project -i events
    equals "$output" "$(state 1 1.0 1 | sed 's/}$/,"timestamp":"2026-11-23T11:00:00.000000Z"}/')"
    event 1 2 11 2.0 >>events
    run -0 calc-project -i events
    equals "$output" "$(state 1 2.0 2)"
}

@test "with -e files are read to their end, as they are without" {
    event 1 1 10 1.0 >events
    equals "$(calc-project -e -i events)" "$(state 1 1.0 1)"
    project --exit
    equals "$(calc-get --view view --all)" "$(state 1 1.0 1)"
}

@test "no events print nothing" {
    run -0 calc-project </dev/null
    [ -z "$output" ]
    : >events
    run -0 calc-project -i events
    [ -z "$output" ]
}

@test "a last line without newline counts on a pipe, and in a file it is said that it doesn't" {
    event 1 1 10 1.0 >events
    printf %s "$(event 1 2 11 2.0)" >>events
    # shellcheck disable=SC2002 # a pipe is wanted
    run -0 --separate-stderr calc-project < <(cat events)
    equals "$output" "$(state 1 2.0 2)"
    [ -z "$stderr" ]
    run -0 --separate-stderr calc-project -i events
    equals "$output" "$(state 1 1.0 1)"
    [[ $stderr == calc-project:*newline* ]]
}

@test "without a view too a duplicate changes nothing, and forks and gaps are 65" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 1 1 10 1.0; } >events
    run -0 calc-project -i events
    equals "$output" "$(state 1 2.0 2)"
    at=$(stat -c %s events)
    { event 1 2 99 9.0 && event 1 3 12 3.0; } >>events
    run -65 --separate-stderr calc-project -i events
    [[ $stderr == calc-project:*events*" $at"* ]]
    run -0 --separate-stderr calc-project -i events --skip events:"$at"
    equals "$output" "$(state 1 3.0 3)"
    { event 1 1 10 1.0 && event 1 3 11 2.0; } >events
    run -65 calc-project -i events
}

# --- going on ---

@test "a view goes on where it stopped" {
    { event 1 1 10 1.0 && event 2 1 20 5.0 && event 1 2 11 2.0; } >events
    run -0 project
    [ -z "$output" ]
    shows "$(state 1 2.0 2 && state 2 5.0 1)"
    # what lies between the first record and the last one consumed isn't read again
    sed -i '2s/ValueCreated/Something_Es/' events
    event 2 2 21 6.0 >>events
    run -0 project
    shows "$(state 1 2.0 2 && state 2 6.0 2)"
}

@test "a view that is up to date stays as it is" {
    event 1 1 10 1.0 >events
    project
    run -0 project
    shows "$(state 1 1.0 1)"
}

@test "a log is taken in pieces as it is taken at once" {
    calc-project -i "$examples/events.jsonl" -r "$examples/rejections.jsonl" --view whole
    calc-get --view whole --all >expected
    cmp expected "$examples/values.jsonl"
    size=$(stat -c %s "$examples/events.jsonl")
    for ((i = 1; i < size + 9000; i += 9000)); do
        head -c $i "$examples/events.jsonl" >events
        head -c $((i / 2)) "$examples/rejections.jsonl" >rejections
        project -r rejections 2>/dev/null
    done
    calc-get --view view --all >got
    cmp got expected
}

@test "a view can be fed from a pipe, again and again" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    calc-project --view view < <(cat events)
    shows "$(state 1 2.0 2)"
    event 1 3 12 3.0 >>events
    calc-project --view view < <(cat events)
    shows "$(state 1 3.0 3)"
}

@test "CALC_VIEW is the default of --view, and an empty one is none" {
    event 1 1 10 1.0 >events
    CALC_VIEW=view run -0 calc-project -i events
    [ -z "$output" ]
    shows "$(state 1 1.0 1)"
    CALC_VIEW='' run -0 calc-project -i events
    equals "$output" "$(state 1 1.0 1)"
}

# --- duplicates, forks, gaps ---

@test "duplicate events change nothing" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 1 3 12 3.0; } >once
    cat once once once >events
    { event 1 2 11 2.0 && event 1 4 13 4.0; } >>events
    run -0 --separate-stderr project
    [ -z "$stderr" ]
    shows "$(state 1 4.0 4)"
    cat once >>events
    run -0 project
    shows "$(state 1 4.0 4)"
}

# stops_at POSITION [TEXT]: the projector stops there with 65, and again, and what came before stays.
stops_at() {
    for _ in 1 2; do
        run -65 --separate-stderr project
        [[ $stderr == calc-project:*events*" $1"* ]]
        [[ $stderr == *"${2-}"* ]]
        shows "$(state 1 2.0 2 && state 2 5.0 1)"
    done
}

@test "a fork is 65, says where, and what came before it stays" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 2 1 20 5.0; } >events
    at=$(stat -c %s events)
    { event 1 2 99 9.0 && event 2 2 21 6.0; } >>events
    stops_at "$at" "$(id 1)"
}

@test "a fork at a version long gone is 65 too" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 2 1 20 5.0; } >events
    project
    at=$(stat -c %s events)
    event 1 1 99 9.0 >>events
    stops_at "$at" "$(id 1)"
}

@test "a gap is 65, says where, and what came before it stays" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 2 1 20 5.0; } >events
    at=$(stat -c %s events)
    { event 1 4 13 9.0 && event 2 2 21 6.0; } >>events
    stops_at "$at" "$(id 1)"
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 2 1 20 5.0; } >events
    { event 3 2 13 9.0 && event 2 2 21 6.0; } >>events
    stops_at "$at" "$(id 3)"
}

@test "an unreadable event is 65, says where, and what came before it stays" {
    { event 1 1 10 1.0 && event 1 2 11 2.0 && event 2 1 20 5.0; } >good
    at=$(stat -c %s good)
    event 2 2 21 6.0 >next
    {
        echo nonsense
        echo '{}'
        sed 's/ValueUpdated/ValueDestroyed/' next
        sed 's/"version":2/"version":0/' next
        sed 's/"version":2/"version":2.0/' next
        sed 's/,"result":6.0//' next
        sed 's/"parent"/"father"/' next
        printf '%-65537s\n' "$(cat next)"
        rejection 1 50 version_conflict 1
    } >bad
    for kind in {1..9}; do
        rm -rf view
        { cat good && sed -n "${kind}p" bad && cat next; } >events
        stops_at "$at"
    done
}

@test "an unreadable rejection is 65 and says where" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    rejection 1 50 version_conflict 1 >rejections
    at=$(stat -c %s rejections)
    event 1 3 12 3.0 >>rejections
    run -65 --separate-stderr project -r rejections
    [[ $stderr == calc-project:*rejections*" $at"* ]]
    run -1 calc-get --view view --command "$(id 50)" "$(id 1)"
    run -0 project -r rejections --skip rejections:"$at"
}

# --- --skip ---

@test "--skip leaves out a fork, and the projector goes on" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    at=$(stat -c %s events)
    { event 1 2 99 9.0 && event 1 3 12 3.0 && event 2 1 20 5.0; } >>events
    run -65 project
    run -0 --separate-stderr project --skip events:"$at"
    [[ $stderr == calc-project:*" $at"* ]]
    shows "$(state 1 3.0 3 && state 2 5.0 1)"
    run -0 project
}

@test "after --skip the value's next event sets its version, and only the next" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    at=$(stat -c %s events)
    { event 1 4 13 4.0 && event 1 7 16 7.0; } >>events
    run -65 project
    run -0 project --skip events:"$at"
    shows "$(state 1 7.0 7)"
    event 1 9 18 9.0 >>events
    run -65 project
    shows "$(state 1 7.0 7)"
}

@test "what --skip granted is kept until the event comes, in a later run" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    at=$(stat -c %s events)
    event 1 4 13 4.0 >>events
    run -0 project --skip events:"$at"
    shows "$(state 1 2.0 2)"
    event 1 5 14 5.0 >>events
    run -0 project
    shows "$(state 1 5.0 5)"
}

@test "--skip of one value's event gives another value no leave" {
    { event 1 1 10 1.0 && event 2 1 20 5.0; } >events
    at=$(stat -c %s events)
    { event 1 3 12 3.0 && event 2 3 22 7.0; } >>events
    run -65 project --skip events:"$at"
    shows "$(state 1 1.0 1 && state 2 5.0 1)"
}

@test "--skip leaves out an unreadable event, and its value goes on" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    at=$(stat -c %s events)
    { echo nonsense && event 2 1 20 5.0 && event 1 4 13 4.0; } >>events
    run -65 project
    run -0 project --skip events:"$at"
    shows "$(state 1 4.0 4 && state 2 5.0 1)"
}

@test "--skip of a position where nothing is wrong, or no record is, is no word for another" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    at=$(stat -c %s events)
    event 1 4 13 4.0 >>events
    run -65 project --skip events:$((at + 1)) --skip rejections:"$at"
    shows "$(state 1 2.0 2)"
}

@test "--skip may be given several times" {
    event 1 1 10 1.0 >events
    first=$(stat -c %s events)
    echo nonsense >>events
    second=$(stat -c %s events)
    { echo again && event 1 2 11 2.0; } >>events
    run -0 project --skip events:"$first" --skip events:"$second"
    shows "$(state 1 2.0 2)"
}

# --- which log it is ---

# refuses WORD: with 65, and the view stays as it is.
refuses() {
    before=$(calc-get --view view --all)
    run -65 --separate-stderr project
    [[ $stderr == calc-project:*events* ]]
    shows "$before"
}

@test "a log with another first record is refused" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    project
    cp events good
    sed -i '1s/"result":1.0/"result":8.0/' events
    event 1 3 12 3.0 >>events
    refuses
    mv good events
    event 1 3 12 3.0 >>events
    run -0 project
    shows "$(state 1 3.0 3)"
}

@test "a log with another record where the last one consumed was is refused" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    project
    cp events good
    sed -i '2s/"result":2.0/"result":8.0/' events
    event 1 3 12 3.0 >>events
    refuses
    # the same records, a byte later
    { head -n 1 good && echo && tail -n 1 good && event 1 3 12 3.0; } >events
    refuses
}

@test "a log that ends before the position is refused" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    project
    cp events good
    for size in 0 1 300 $(($(stat -c %s good) - 1)); do
        head -c "$size" good >events
        refuses
    done
    head -n 1 good >events
    refuses
    cp good events
    run -0 project
}

@test "another log is refused with -f as well" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    : >rejections
    project
    head -n 1 events >less
    mv less events
    follow
    ends 65
    shows "$(state 1 2.0 2)"
}

@test "another rejections log is refused" {
    event 1 1 10 1.0 >events
    { rejection 1 50 version_conflict 1 && rejection 1 51 version_conflict 1; } >rejections
    project -r rejections
    { rejection 1 52 version_conflict 1 && rejection 1 53 version_conflict 1; } >rejections
    run -65 project -r rejections
    run -69 calc-get --view view --command "$(id 52)" "$(id 1)"
}

# --- outcomes ---

@test "rejections become outcomes" {
    event 1 1 10 1.0 >events
    {
        rejection 1 50 version_conflict 1
        rejection 2 51 unknown_value 0
        rejection 1 52 forbidden 1
        rejection 1 53 value_exists 1
        rejection 1 54 out_of_range 1
    } >rejections
    project -r rejections
    for case in "1 50 version_conflict 1" "2 51 unknown_value 0" "1 52 forbidden 1" \
        "1 53 value_exists 1" "1 54 out_of_range 1"; do
        # shellcheck disable=SC2086 # words are wanted
        set -- $case
        run -1 calc-get --view view --command "$(id "$2")" "$(id "$1")"
        equals "$output" '{"id":"'"$(id "$2")"'","value_id":"'"$(id "$1")"'","status":"rejected","reason":"'"$3"'","version":'"$4"'}'
    done
    shows "$(state 1 1.0 1)"
}

@test "malformed lines and reused ids replace no outcome" {
    event 1 1 10 1.0 >events
    {
        echo '{"action":"CommandRejected","id":"'"$(id 60)"'","parent":null,"data":{"position":"7"},"reason":"malformed"}'
        rejection 1 1010 id_reused 1
        rejection 1 55 version_conflict 1
        rejection 1 55 id_reused 1
        rejection 1 56 id_reused 1
    } >rejections
    run -0 project -r rejections
    run -0 calc-get --view view --command "$(id 1010)" "$(id 1)"
    [[ $output == *'"status":"applied","version":1,'* ]]
    run -1 calc-get --view view --command "$(id 55)" "$(id 1)"
    [[ $output == *'"reason":"version_conflict"'* ]]
    run -69 calc-get --view view --command "$(id 56)" "$(id 1)"
}

@test "duplicate rejections change nothing" {
    event 1 1 10 1.0 >events
    { rejection 1 50 version_conflict 1 && rejection 1 50 version_conflict 1; } >rejections
    run -0 project -r rejections
    run -1 calc-get --view view --command "$(id 50)" "$(id 1)"
}

# --- following ---

@test "-f waits for logs that aren't there yet, follows them, and ends with 0" {
    for signal in TERM INT; do
        rm -rf view events rejections
        follow
        until_true 10 test -e view/wake
        event 1 1 10 1.0 >new
        mv new events
        until_true 10 shows_soon "$(state 1 1.0 1)"
        event 1 2 11 2.0 >>events
        until_true 10 shows_soon "$(state 1 2.0 2)"
        rejection 1 50 version_conflict 1 >rejections
        run -1 calc-get --view view --command "$(id 50)" --wait 10 "$(id 1)"
        ends 0 $signal
        [ ! -s errors ]
    done
}

@test "-f stops at a fork with 65, and what came before it stays" {
    event 1 1 10 1.0 >events
    : >rejections
    follow
    until_true 10 shows_soon "$(state 1 1.0 1)"
    { event 1 2 11 2.0 && event 1 2 99 2.0; } >both
    cat both >>events
    ends 65
    shows "$(state 1 2.0 2)"
}

@test "SIGTERM while a log is locked by a writer is 0" {
    event 1 1 10 1.0 >events
    : >rejections
    project -r rejections
    exec 8<events
    hold_lock 8
    calc-project -f -i events -r rejections --view view 2>errors 3>&- 8<&- &
    started+=($!)
    until_true 10 grep -qE -- "-> FLOCK .*:$(stat -c %i events) " /proc/locks
    ends 0 TERM
    [ ! -s errors ]
}

@test "a log that is cut short while it is followed is 65" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    : >rejections
    follow
    until_true 10 shows_soon "$(state 1 2.0 2)"
    truncate -s 100 events
    ends 65
    shows "$(state 1 2.0 2)"
}

@test "a second projector on the same view exits 75" {
    event 1 1 10 1.0 >events
    : >rejections
    follow
    until_true 10 shows_soon "$(state 1 1.0 1)"
    run -75 --separate-stderr project
    [[ $stderr == calc-project:*view* ]]
    ends 0 TERM
    run -0 project
}

@test "the wake file is touched after each commit and when it starts" {
    event 1 1 10 1.0 >events
    : >rejections
    project
    touch -d 2001-01-01 view/wake
    project
    [ "$(stat -c %Y view/wake)" -gt 1000000000 ]
    follow
    until_true 10 shows_soon "$(state 1 1.0 1)"
    touch -d 2001-01-01 view/wake
    touch marker
    event 1 2 11 2.0 >>events
    until_true 10 shows_soon "$(state 1 2.0 2)"
    until_true 10 test view/wake -nt marker
}

@test "who waits is woken by a commit rather than looking now and then" {
    event 1 1 10 1.0 >events
    : >rejections
    follow
    until_true 10 shows_soon "$(state 1 1.0 1)"
    fastest=9999
    for version in {2..9}; do
        calc-get --view view --command "$(id $((1100 + version)))" --wait 20 "$(id 1)" >got 3>&- &
        started+=($!)
        until_true 10 watches $!
        begun=$(date +%s%3N)
        event 1 "$version" $((100 + version)) 1.0 >>events
        wait $!
        took=$(($(date +%s%3N) - begun))
        ((took > fastest)) || fastest=$took
    done
    [ "$fastest" -lt 700 ]
}

@test "readers see whole batches" {
    : >rejections
    { event 1 1 1 1.0 && event 2 1 2 1.0; } >events
    follow
    until_true 10 test -e view/current
    {
        for version in {2..400}; do
            # both in one append
            pair="$(event 1 "$version" "$version" 1.0 && event 2 "$version" $((version + 2000)) 1.0)"
            # shellcheck disable=SC2094 # the lock is on what is appended to
            flock events printf '%s\n' "$pair" >>events
        done
    } 3>&- &
    writer=$!
    started+=("$writer")
    looks=0
    until gone $writer; do
        calc-get --view view --all >seen
        [ "$(grep -o '"version":[0-9]*' seen | sort -u | wc -l)" -le 1 ]
        looks=$((looks + 1))
    done
    [ $looks -gt 5 ]
    until_true 20 shows_soon "$(state 1 1.0 400 && state 2 1.0 400)"
    ends 0 TERM
}

@test "logs are made durable before the view knows of them" {
    needs strace
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    rejection 1 50 version_conflict 1 >rejections
    calc-project -i /dev/null --view view
    traced -e trace=pwrite64,pwritev,write,writev,fdatasync,msync,fsync \
        calc-project -i events -r rejections --view view
    awk '/fdatasync\([0-9]+<[^>]*\/events>\) *= 0/ { events = 1 }
        /fdatasync\([0-9]+<[^>]*\/rejections>\) *= 0/ { rejections = 1 }
        /write[a-z0-9]*\([0-9]+<[^>]*\/data.mdb>/ { writes++; if (!events || !rejections) early = 1 }
        /write[a-z0-9]*\([0-9]+<[^>]*\/wake>/ { if (writes && !synced) early = 1 }
        /sync\([0-9]+<[^>]*\/data.mdb>\) *= 0/ { synced = 1 }
        END { exit early || !writes || !synced }' trace
}

# kept [AWK]: what was written to the view was synced since. What is written by another descriptor than the one that
# is synced is durable at once (O_DSYNC).
kept() {
    awk -v synced="$(grep -oP 'fdatasync\(\K[0-9]+(?=<[^>]*/data.mdb>)' trace | tail -n 1)" '
        /write[a-z0-9]*\([0-9]+<[^>]*\/data.mdb>/ { split($0, part, /[(<]/); if (part[2] == synced) dirty = 1 }
        /sync\([0-9]+<[^>]*\/data.mdb>\) *= 0/ { dirty = 0 }
        '"${1-}"'
        END { exit dirty }' trace
}

# -D: the process that is started is the projector.
follow_traced() {
    background env ASAN_OPTIONS=detect_leaks=0 strace -D -f -y -o trace \
        -e trace=pwrite64,pwritev,write,writev,fdatasync,msync "$CALC_BIN/calc-project" -f -i events --view view
}

@test "readers see a batch before it is durable, which it is a second later" {
    needs strace
    event 1 1 10 1.0 >events
    follow_traced
    until_true 10 shows_soon "$(state 1 1.0 1)"
    for version in 2 3; do
        event 1 "$version" $((10 + version)) 1.0 >>events
        until_true 10 shows_soon "$(state 1 1.0 "$version")"
        # without anything else to come
        until_true 10 kept
    done
    kept '/write[a-z0-9]*\([0-9]+<[^>]*\/wake>/ { seen += dirty } END { if (seen != 3) exit 1 }'
}

@test "a view is durable when its projector ends" {
    needs strace
    event 1 1 10 1.0 >events
    traced -e trace=pwrite64,pwritev,write,writev,fdatasync,msync calc-project -i events --view view
    kept
    event 1 2 12 1.0 >>events
    follow_traced
    until_true 10 shows_soon "$(state 1 1.0 2)"
    event 1 3 13 1.0 >>events
    until_true 10 shows_soon "$(state 1 1.0 3)"
    ends 0 TERM
    until_true 10 kept
}

@test "what came before a record that is no event is durable, too" {
    needs strace
    event 1 1 10 1.0 >events
    follow_traced
    until_true 10 shows_soon "$(state 1 1.0 1)"
    { event 1 2 11 1.0 && echo nonsense; } | flock events sh -c 'cat >>events'
    ends 65
    shows "$(state 1 1.0 2)"
    until_true 10 kept
}

# --- what fails ---

@test "a view that can't be made is 74" {
    event 1 1 10 1.0 >events
    run -74 --separate-stderr calc-project -i events --view nowhere/view
    [[ $stderr == calc-project:*nowhere/view* ]]
    : >file
    run -74 calc-project -i events --view file
}

@test "a log that can't be read is 74" {
    run -74 calc-project -i nowhere --view view
    event 1 1 10 1.0 >events
    run -74 calc-project -i events -r nowhere --view view
    mkdir folder
    run -74 calc-project -i folder
    status_of 74 timeout 10 calc-project <&-
}

@test "a view of a format that isn't known is refused" {
    needs perl
    event 1 1 10 1.0 >events
    project
    perl -pi -e 's/(format\0{7})./$1\x63/gs' view/current/data.mdb
    cp view/current/data.mdb before
    run -65 --separate-stderr project
    [[ $stderr == calc-project:*"format 99"*"fold it anew"* ]]
    cmp view/current/data.mdb before
    run -65 calc-get --view view --all
}

@test "a view that is no database is refused" {
    event 1 1 10 1.0 >events
    project
    yes damage | head -c 40960 >view/current/data.mdb
    cp view/current/data.mdb before
    run -65 project
    cmp view/current/data.mdb before
    run -65 calc-get --view view --all
}

@test "a full disk on stdout is 74, a closed stdout too" {
    event 1 1 10 1.0 >events
    status_of 74 calc-project -i events >/dev/full
    status_of 74 calc-project -i events >&-
}

@test "a closed pipe kills it with SIGPIPE" {
    yes '{"value":7}' | head -n 5000 | calc-submit | calc-handle >events
    env --default-signal=PIPE calc-project -i events | head -n 1 >first
    [ "${PIPESTATUS[0]}" -eq 141 ]
    [ "$(wc -l <first)" -eq 1 ]
}

@test "a bad command line is 64, and says where help is" {
    : >events
    for line in -x --nonsense -i operand -3 "-i http:x" "-r nfs:x" "--skip" "--skip events" \
        "--skip 7" "-e -f -i events" "-X acks=1" "--from 0 -i events" "--skip events:x" "--skip events:-1" "--skip commands:7" "-i events -r events" \
        "-i - -r -" "--view"; do
        # shellcheck disable=SC2086 # words are wanted
        run -64 --separate-stderr calc-project $line </dev/null
        [ -z "$output" ]
        [[ $stderr == calc-project:* ]]
    done
    run -64 calc-project -i ''
}

@test "--help goes to stdout and exits 0, --version too" {
    run -0 --separate-stderr calc-project --help
    [[ $output == usage:* ]]
    [ -z "$stderr" ]
    run -0 --separate-stderr calc-project --version
    [[ $output == "calc-project "[0-9]*.[0-9]*.[0-9]* ]]
    status_of 74 calc-project --help >/dev/full
}

@test "an event of a command that was rejected is a fork, and nothing of it is applied" {
    event 1 1 10 1.0 >events
    rejection 1 1011 out_of_range 1 >rejections
    project -r rejections
    at=$(stat -c %s events)
    event 1 2 11 2.0 >>events
    run -65 --separate-stderr project -r rejections
    [[ $stderr == *" at $at: a fork"* ]]
    shows "$(state 1 1.0 1)"
    status_of 1 calc-get --view view --command "$(id 1011)" "$(id 1)" >/dev/null
}

@test "a rejection of a command that was applied is a fork" {
    { event 1 1 10 1.0 && event 1 2 11 2.0; } >events
    : >rejections
    project -r rejections
    rejection 1 1011 out_of_range 1 >>rejections
    run -65 --separate-stderr project -r rejections
    [[ $stderr == *" at 0: a fork"* ]]
    status_of 0 calc-get --view view --command "$(id 1011)" "$(id 1)" >/dev/null
}

# scattered ACTION FROM TO: as many commands, each on a value of its own, in an order that isn't that of the ids.
scattered() {
    awk -v action="$1" -v from="$2" -v to="$3" 'BEGIN {
        operation = action == "UpdateValue" ? "\"operation\":\"ADD\"," : ""
        for (i = from; i < to; i++)
            printf "{\"action\":\"%s\",\"id\":\"%04x%04x-0000-7000-9000-%012d\",\"data\":{\"value_id\":\"%04x%04x-0000-7000-8000-%012d\",%s\"value\":1}}\n",
                action, i * 60493 % 65536, i * 40503 % 65536, (operation != "") * 1000000 + i, i * 40503 % 65536, i * 60493 % 65536, i, operation
    }'
}

# commits COUNT: as many ones fold what the commands have come to.
commits() {
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view --stats stats
    jq -e --argjson count "$1" '.commit_duration_seconds.count == $count' stats
}

@test "changes of a large view that share no pages are committed a few at a time, many of them at once" {
    scattered CreateValue 0 700000 >commands
    commits 1
    scattered UpdateValue 0 15000 >>commands
    commits 2
    scattered UpdateValue 15000 100000 >>commands
    commits 1
    calc-get --view view --all >listed
    [ "$(grep -c '"version":2' listed)" -eq 100000 ]
    [ "$(wc -l <listed)" -eq 700000 ]
}
