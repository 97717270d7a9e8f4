#!/usr/bin/env bats
# calc-handle: commands to events and rejections.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

examples=$BATS_TEST_DIRNAME/examples

# id NUMBER: a UUID.
id() {
    printf '00000000-0000-4000-8000-%012d' "$1"
}

# create VALUE COMMAND NUMBER, add VALUE COMMAND NUMBER: a command's line; ids by their numbers.
create() {
    printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":%s}}\n' \
        "$(id "$2")" "$(id "$1")" "$3"
}
add() {
    printf '{"action":"UpdateValue","id":"%s","data":{"value_id":"%s","operation":"ADD","value":%s}}\n' \
        "$(id "$2")" "$(id "$1")" "$3"
}

# A log of commands with every kind of outcome, and what becomes of it.
some_commands() {
    {
        create 1 10 5
        add 1 11 2
        add 2 12 2
        echo nonsense
        add 1 11 2
        add 1 11 3
        echo
        create 1 13 1
        create 2 14 1e308
        add 2 15 1e308
        add 2 16 -1
        add 1 17 1
    } >commands
    calc-handle -i commands -o whole.events -r whole.rejections
    [ "$(wc -l <whole.events)" -eq 5 ]
    [ "$(wc -l <whole.rejections)" -eq 5 ]
}

# has_lines FILE COUNT
has_lines() {
    [ -e "$1" ] && [ "$(wc -l <"$1")" -eq "$2" ]
}

# talk COMMAND...: starts it between two pipes: descriptor 8 is its stdin, 9 its stdout.
talk() {
    mkfifo in out
    "$@" <in >out 2>errors 3>&- &
    started+=($!)
    exec 8>in 9<out
}

# Starts a handler that follows commands, with -f.
follow() {
    calc-handle -f -i commands -o events -r rejections 2>errors 3>&- &
    started+=($!)
}

# watches PROCESS: it waits to be told of changes.
watches() {
    grep -qs inotify "/proc/$1/fdinfo/"*
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

asleep() {
    grep -q '^State:.S' "/proc/$1/status"
}

# ends STATUS [SIGNAL]: the first process that was started ends with this status.
ends() {
    [ -z "${2-}" ] || kill -"$2" "${started[0]}"
    until_true 15 gone "${started[0]}"
    status_of "$1" wait "${started[0]}"
    started=("${started[@]:1}")
}

# whole: both outputs hold everything.
whole() {
    cmp -s events whole.events && cmp -s rejections whole.rejections
}

# limited COMMAND...: with little memory to take (sanitizers need terabytes of addresses).
limited() {
    if grep -q __asan_init "$CALC_BIN/calc-handle"; then
        "$@"
    else
        (ulimit -v 50000 && exec "$@")
    fi
}

traced() {
    ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace "$@"
}

# --- the examples ---

@test "the examples come out byte for byte from a file to logs" {
    calc-handle -i "$examples/commands.jsonl" -o events -r rejections
    cmp events "$examples/events.jsonl"
    cmp rejections "$examples/rejections.jsonl"
}

@test "the examples come out byte for byte from stdin that is a file" {
    calc-handle <"$examples/commands.jsonl" >events 2>rejections
    cmp events "$examples/events.jsonl"
    cmp rejections "$examples/rejections.jsonl"
}

@test "the examples come out byte for byte from a pipe" {
    # what follows the last newline is no record of a file, but one of a pipe
    # shellcheck disable=SC2002 # a pipe is wanted
    cat "$examples/commands.jsonl" | head -n "$(wc -l <"$examples/commands.jsonl")" |
        calc-handle -r rejections >events
    cmp events "$examples/events.jsonl"
    cmp rejections "$examples/rejections.jsonl"
}

@test "the examples come out byte for byte through pipes of small pieces" {
    head -n "$(wc -l <"$examples/commands.jsonl")" "$examples/commands.jsonl" |
        dd bs=777 iflag=fullblock status=none | calc-handle -o events -r rejections
    cmp events "$examples/events.jsonl"
    cmp rejections "$examples/rejections.jsonl"
}

@test "handling twice gives identical bytes, whatever the surroundings" {
    for run in 1 2; do
        calc-handle -i "$examples/commands.jsonl" -o events.$run -r rejections.$run
    done
    LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo LOG_LEVEL=debug CALC_VIEW=x \
        calc-handle -i "$examples/commands.jsonl" -o events.3 -r rejections.3
    cmp events.1 events.2
    cmp rejections.1 rejections.2
    cmp events.1 events.3
    cmp rejections.1 rejections.3
}

@test "rejections don't change the exit status" {
    run -0 --separate-stderr calc-handle < <(echo nonsense)
    [ -z "$output" ]
    [[ $stderr == '{"action":"CommandRejected",'*'"reason":"malformed"}' ]]
}

# --- pipes ---

@test "rejections go to stderr as they are, or to a file" {
    some_commands
    calc-handle -i commands >events 2>rejections
    whole
    rm events rejections
    calc-handle -i commands -r rejections >events
    whole
    calc-handle -i commands -o events -r - >rejections 2>err && status=0 || status=$?
    [ "$status" -eq 64 ]
}

@test "an event is written when the input would block" {
    talk calc-handle
    create 1 2 3 >&8
    read -r -t 10 -u 9 line
    [[ $line == '{"action":"ValueCreated",'* ]]
    echo nonsense >&8
    until_true 10 grep -q malformed errors
    add 1 3 4 >&8
    read -r -t 10 -u 9 line
    [[ $line == *'"version":2,"result":7.0}' ]]
    exec 8>&- 9<&-
    ends 0
}

@test "events and rejections reach their logs when the input would block" {
    mkfifo in
    calc-handle -o events -r rejections <in 3>&- &
    started+=($!)
    exec 8>in
    create 1 2 3 >&8
    until_true 10 has_lines events 1
    echo nonsense >&8
    until_true 10 has_lines rejections 1
    exec 8>&-
    ends 0
}

@test "a last line without newline counts on a pipe" {
    run -0 --separate-stderr calc-handle < <(printf %s "$(create 1 2 3)")
    [ "${#lines[@]}" -eq 1 ]
    [ -z "$stderr" ]
}

@test "a last line without newline is no record of a file, and it is said" {
    create 1 2 3 >commands
    printf %s "$(add 1 3 4)" >>commands
    run -0 --separate-stderr calc-handle -i commands
    [ "${#lines[@]}" -eq 1 ]
    [[ $stderr == calc-handle:*newline* ]]
    run -0 --separate-stderr calc-handle <commands
    [ "${#lines[@]}" -eq 1 ]
    [[ $stderr == calc-handle:*newline* ]]
    LOG_LEVEL=error run -0 --separate-stderr calc-handle -i commands
    [ -z "$stderr" ]
}

@test "blank lines are skipped and count in positions" {
    { printf '\n \t\r\n' && create 1 2 3 && printf '\r\nnonsense\n\n'; } >commands
    calc-handle -i commands >events 2>rejections
    has_lines events 1
    position=$(grep -abo nonsense commands | cut -d: -f1)
    [[ $(cat rejections) == *'"data":{"position":"'"$position"'"}'* ]]
}

@test "stdin that stands in the middle of a file is read from there, with the file's positions" {
    { echo '{"first":1}' && echo nonsense; } >commands
    { read -r _ && calc-handle; } <commands 2>rejections
    [[ $(cat rejections) == *'"data":{"position":"12"}'* ]]
}

@test "a line of a gigabyte is malformed, or blank, and costs little memory" {
    mkfifo fifo
    { create 1 2 3 && head -c 1G /dev/zero && echo && add 1 3 4; } >fifo &
    limited calc-handle <fifo >events 2>rejections
    has_lines events 2
    has_lines rejections 1
    { create 1 2 3 && head -c 1G /dev/zero | tr '\0' ' ' && echo && add 1 3 4; } >fifo &
    limited calc-handle <fifo >events 2>rejections
    has_lines events 2
    [ ! -s rejections ]
}

@test "a line of a gigabyte in a file costs little memory" {
    create 1 2 3 >commands
    truncate -s +1G commands
    printf '\n' >>commands
    add 1 3 4 >>commands
    limited calc-handle -i commands >events 2>rejections
    has_lines events 2
    has_lines rejections 1
}

# --- restarts ---

# (with their state outputs may not become shorter: see calc-handle-state.bats)
@test "restarted at any point it goes on exactly where its outputs ended" {
    some_commands
    events=$(stat -c %s whole.events)
    rejections=$(stat -c %s whole.rejections)
    for ((i = 0, j = rejections; i <= events; i += 67, j = (j + 83) % (rejections + 1))); do
        rm -rf events.state
        head -c $i whole.events >events
        head -c $j whole.rejections >rejections
        calc-handle -i commands -o events -r rejections 2>errors
        whole || {
            echo "cut at $i and $j" >&2
            return 1
        }
    done
}

@test "restarted in the examples at any point it goes on exactly where its outputs ended" {
    events=$(stat -c %s "$examples/events.jsonl")
    rejections=$(stat -c %s "$examples/rejections.jsonl")
    for ((i = 1, j = rejections - 1; i < events && j > 0; i += 4001, j -= 2411)); do
        rm -rf events.state
        head -c $i "$examples/events.jsonl" >events
        head -c $j "$examples/rejections.jsonl" >rejections
        calc-handle -i "$examples/commands.jsonl" -o events -r rejections 2>errors
        cmp events "$examples/events.jsonl"
        cmp rejections "$examples/rejections.jsonl"
    done
}

@test "a torn last line of an output is cut and derived again, and it is said" {
    some_commands
    size=$(stat -c %s whole.events)
    for cut in 1 2 100; do
        rm -rf events.state
        head -c $((size - cut)) whole.events >events
        cp whole.rejections rejections
        calc-handle -i commands -o events -r rejections 2>errors
        whole
        [[ $(cat errors) == calc-handle:*torn* ]]
    done
    # a torn line need not be the beginning of the right one
    rm -rf events.state
    { head -n 2 whole.events && printf '{"garbage'; } >events
    calc-handle -i commands -o events -r rejections 2>errors
    whole
}

@test "with outputs that are whole it changes nothing" {
    some_commands
    cp whole.events events
    cp whole.rejections rejections
    touch -d 2001-01-01 events rejections
    run -0 calc-handle -i commands -o events -r rejections
    [ -z "$output" ]
    whole
    [ "$(stat -c %Y events)" -eq "$(stat -c %Y rejections)" ]
    [ "$(stat -c %y events | cut -c1-4)" = 2001 ] || [ "$(stat -c %y events | cut -c1-4)" = 2000 ]
}

@test "it goes on with commands that came since" {
    some_commands
    mv commands all
    : >commands
    while IFS= read -r line; do
        printf '%s\n' "$line" >>commands
        calc-handle -i commands -o events -r rejections
    done <all
    whole
}

@test "commands from a pipe that pauses are compared with the outputs too" {
    some_commands
    cp whole.events events
    cp whole.rejections rejections
    mkfifo in
    calc-handle -o events -r rejections <in 2>errors 3>&- &
    started+=($!)
    exec 8>in
    head -n 3 commands >&8
    until_true 10 asleep "${started[0]}" # it waits for more
    tail -n +4 commands >&8
    exec 8>&-
    ends 0
    whole
}

@test "a changed byte in an output is 65, says where, and changes nothing" {
    some_commands
    for log in events rejections; do
        for line in 1 3 5; do
            cp whole.events events
            cp whole.rejections rejections
            start=$(head -n $((line - 1)) "whole.$log" | wc -c)
            for byte in 0 40 99; do
                cp "whole.$log" $log
                printf '#' | dd of=$log bs=1 seek=$((start + byte)) conv=notrunc status=none
                cp events before.events
                cp rejections before.rejections
                run -65 --separate-stderr calc-handle -i commands -o events -r rejections
                [[ $stderr == calc-handle:*$log*" $start "* ]]
                cmp events before.events
                cmp rejections before.rejections
            done
        done
    done
}

@test "a difference is found before the other output is gone on with" {
    some_commands
    head -n 1 whole.events >events
    sed '5s/1/2/' whole.rejections >rejections
    cp events before.events
    cp rejections before.rejections
    run -65 calc-handle -i commands -o events -r rejections
    cmp events before.events
    cmp rejections before.rejections
}

@test "a whole line that is missing, doubled, blank or moved in an output is 65" {
    some_commands
    for change in 2d 2p '2s/^/\n/' '2{h;d};3G'; do
        sed "$change" whole.events >events
        cp whole.rejections rejections
        cp events before
        run -65 --separate-stderr calc-handle -i commands -o events -r rejections
        [[ $stderr == calc-handle:*events* ]]
        cmp events before
        cmp rejections whole.rejections
    done
}

@test "an output that is longer than what the input derives is 65 and stays as it is" {
    some_commands
    head -n 4 commands >fewer
    for follow in "" -f; do
        cp whole.events events
        cp whole.rejections rejections
        # shellcheck disable=SC2086 # an option or none
        run -65 --separate-stderr timeout 20 calc-handle $follow -i fewer -o events -r rejections
        [[ $stderr == calc-handle:*events*" $(head -n 2 whole.events | wc -c) "* ]]
        whole
    done
    head -n 2 whole.events >events
    run -65 --separate-stderr calc-handle -i fewer -o events -r rejections
    [[ $stderr == calc-handle:*rejections*" $(head -n 2 whole.rejections | wc -c) "* ]]
}

@test "outputs of another log are 65" {
    some_commands
    create 9 9 9 >another
    cp whole.events events
    cp whole.rejections rejections
    run -65 calc-handle -i another -o events -r rejections
    whole
}

# --- which streams go together ---

@test "a second handler on the same output exits 75" {
    some_commands
    follow
    until_true 10 whole
    run -75 --separate-stderr calc-handle -i commands -o events -r rejections
    [[ $stderr == calc-handle:*events* ]]
    run -75 calc-handle -f -i commands -o events -r other
    run -75 calc-handle -i commands -o other -r rejections
    whole
    ends 0 TERM
    run -0 calc-handle -i commands -o events -r rejections
}

@test "a handler that was killed leaves no lock behind" {
    some_commands
    follow
    until_true 10 whole
    ends 137 KILL
    run -0 calc-handle -i commands -o events -r rejections
}

@test "an output log needs a rejections log" {
    create 1 2 3 >commands
    run -64 calc-handle -i commands -o events
    [ ! -e events ]
    run -64 calc-handle -i commands -o events -r -
    [ ! -e events ]
}

@test "an output that is the input, or the other output, is 64" {
    create 1 2 3 >commands
    cp commands before
    ln -s commands link
    ln commands hard
    for names in "commands commands r" "commands ./commands r" "./commands file:commands r" \
        "commands link r" "hard commands r" "commands e commands" "commands e link" \
        "commands e e" "commands e file:e"; do
        # shellcheck disable=SC2086 # words are wanted
        set -- $names
        run -64 calc-handle -i "$1" -o "$2" -r "$3"
    done
    # shellcheck disable=SC2094 # that is the point
    run -64 calc-handle -o commands -r r <commands
    # shellcheck disable=SC2094
    run -64 calc-handle -r commands <commands
    cmp commands before
}

@test "a bad command line is 64, and says where help is" {
    for line in -x --nonsense "-i" "operand" "-i http:x" "-o nfs:x -r y" "-r http:x" -3; do
        # shellcheck disable=SC2086 # words are wanted
        run -64 --separate-stderr calc-handle $line </dev/null
        [ -z "$output" ]
        [[ $stderr == calc-handle:*--help* ]]
    done
    run -64 calc-handle -i ''
}

@test "--help goes to stdout and exits 0, --version too" {
    run -0 --separate-stderr calc-handle --help
    [[ $output == usage:* ]]
    [ -z "$stderr" ]
    run -0 --separate-stderr calc-handle --version
    [[ $output == "calc-handle "[0-9]*.[0-9]*.[0-9]* ]]
    status_of 74 calc-handle --help >/dev/full
}

# --- what fails ---

@test "a stream that can't be opened is 74" {
    create 1 2 3 >commands
    run -74 calc-handle -i nowhere
    run -74 calc-handle -i nowhere/commands -f
    run -74 calc-handle -i commands -o nowhere/events -r rejections
    run -74 calc-handle -i commands -o events -r nowhere/rejections
    run -74 calc-handle -i commands -o /dev/full -r rejections
    run -74 calc-handle -i commands -r /dev/full
    mkdir folder
    run -74 calc-handle -i folder
    run -74 calc-handle -i commands -o folder -r rejections
    status_of 74 calc-handle <&-
    rm -f /dev/full.lock
}

@test "a full disk on stdout, and on stderr for rejections, is 74" {
    some_commands
    status_of 74 calc-handle -i commands >/dev/full 2>err
    status_of 74 calc-handle -i commands >events 2>/dev/full
    status_of 74 calc-handle -i commands >&- 2>err
}

@test "a closed pipe kills it with SIGPIPE" {
    yes '{"value":7}' | head -n 20000 | calc-submit >commands
    env --default-signal=PIPE calc-handle -i commands | head -n 1 >first
    [ "${PIPESTATUS[0]}" -eq 141 ]
    has_lines first 1
}

@test "a closed stdout or stderr never lands in a log" {
    some_commands
    bash -c 'exec calc-handle -i commands -o events -r rejections >&- 2>&-'
    whole
    printf torn >>commands
    rm -rf events.state
    head -c 200 whole.events >events
    bash -c 'exec calc-handle -i commands -o events -r rejections >&- 2>&- <&-'
    whole
}

@test "an output that can't be synced is 74 and stays as it was" {
    needs strace
    some_commands
    : >events
    status_of 74 traced -e trace=fdatasync -e inject=fdatasync:error=EIO:when=2 \
        calc-handle -i commands -o events -r rejections
    [ ! -s events ]
    calc-handle -i commands -o events -r rejections
    whole
}

# the first thing done to an output's bytes comes after the input's sync
input_first() {
    awk '/fdatasync\([0-9]+<[^>]*\/commands>\) *= 0/ { synced = 1 }
        /pwrite64\([0-9]+<[^>]*\/(events|rejections)>/ { writes++; if (!synced) early = 1 }
        END { exit early || !writes }' trace
}

@test "the input is made durable before an outcome is written" {
    needs strace
    some_commands
    traced -e trace=pwrite64,write,fdatasync calc-handle -i commands -o events -r rejections
    input_first
    rm rejections
    traced -e trace=pwrite64,write,fdatasync calc-handle -i commands -r rejections >/dev/null
    input_first
}

# whether a writer can say here what it has synced: calc-formats(5), Logs
can_mark() {
    [[ $(stat -f -c %T .) =~ ^(ext2/ext3|xfs|btrfs|f2fs|tmpfs)$ ]]
}

# starts a writer of commands that stays until the test ends: it writes what it gets on 8
open_writer() {
    mkfifo inputs
    calc-submit -o commands <inputs >/dev/null 3>&- &
    started+=($!)
    exec 8>inputs
}

# handles four commands, each when the outcome of the one before is there; `append` appends them
follow_four() {
    background traced -e trace=pwrite64,fdatasync calc-handle -f -i commands -o events -r rejections
    for count in {1..4}; do
        append
        until_true 20 has_lines events "$count"
    done
    kill "$(pgrep calc-handle -P "$(pgrep strace -P "${started[-1]}" || echo "${started[-1]}")")"
    status_of 0 wait "${started[-1]}"
}

@test "what comes later is made durable, too, before its outcome is written" {
    needs strace
    append() { calc-submit create 7 | flock commands sh -c 'cat >>commands'; }
    follow_four
    awk '/fdatasync\([0-9]+<[^>]*\/commands>\) *= 0/ { synced = 1 }
        /pwrite64\([0-9]+<[^>]*\/events>/ { writes++; if (!synced) early = 1; synced = 0 }
        END { exit early || writes != 4 }' trace
}

@test "what its writer has synced isn't synced again" {
    needs strace
    open_writer
    append() { echo '{"value":7}' >&8; }
    follow_four
    can_mark || return 0
    awk '/fdatasync\([0-9]+<[^>]*\/commands>/ { again = 1 }
        /pwrite64\([0-9]+<[^>]*\/events>/ { writes++ }
        END { exit again || writes != 4 }' trace
}

@test "what was written by one that is gone is synced" {
    needs strace
    calc-submit -o commands create 7 >/dev/null
    traced -e trace=pwrite64,fdatasync calc-handle -i commands -o events -r rejections
    input_first
}

@test "what never came to the disk is told, though a later writer has synced" {
    needs strace
    can_mark || return 0
    open_writer
    echo '{"value":7}' >&8
    until_true 20 has_lines commands 1
    flock commands true # it is synced by then
    status_of 74 traced -e trace=sync_file_range -e inject=sync_file_range:error=EIO \
        calc-handle -i commands -o events -r rejections
    [ ! -s events ]
    # and where a kernel can't tell so, it is synced
    traced -e trace=sync_file_range,pwrite64,fdatasync -e inject=sync_file_range:error=ENOSYS \
        calc-handle -i commands -o events -r rejections
    input_first
}

@test "what a writer wrote that was killed before its sync is made durable" {
    needs strace
    calc-submit -o commands create 7 >/dev/null
    status_of 137 strace -o killed -e trace=fdatasync -e inject=fdatasync:signal=KILL:when=1 \
        env ASAN_OPTIONS=detect_leaks=0 "$CALC_BIN/calc-submit" -o commands create 8
    has_lines commands 2
    traced -e trace=pwrite64,fdatasync calc-handle -i commands -o events -r rejections
    input_first
}

@test "outputs are durable when it ends" {
    needs strace
    some_commands
    traced -e trace=pwrite64,fdatasync calc-handle -i commands -o events -r rejections
    for log in events rejections; do
        awk '/pwrite64\([0-9]+<[^>]*\/'$log'>/ { dirty = 1; writes++ }
            /fdatasync\([0-9]+<[^>]*\/'$log'>\) *= 0/ { dirty = 0 }
            END { exit dirty || !writes }' trace
    done
}

# --- following ---

@test "-f waits for a file that isn't there yet" {
    follow
    until_true 10 test -e rejections
    until_true 10 watches "${started[0]}"
    calc-submit -o commands create 7 >/dev/null
    until_true 10 has_lines events 1
    ends 0 TERM
}

@test "-f waits for a file that is moved there" {
    some_commands
    mv commands elsewhere
    follow
    until_true 10 test -e rejections
    mv elsewhere commands
    until_true 10 whole
    ends 0 TERM
}

@test "-f follows what is appended" {
    some_commands
    mv commands all
    : >commands
    follow
    while IFS= read -r line; do printf '%s\n' "$line" >>commands; done <all
    until_true 10 whole
    ends 0 TERM
}

@test "-f follows stdin that is a file" {
    create 1 2 3 >commands
    calc-handle -f -o events -r rejections <commands 3>&- &
    started+=($!)
    until_true 10 has_lines events 1
    add 1 3 4 >>commands
    until_true 10 has_lines events 2
    ends 0 TERM
}

@test "-f is woken by an append rather than looking now and then" {
    : >commands
    follow
    fastest=9999
    for i in {1..8}; do
        begun=$(date +%s%3N)
        add 1 "$i" 1 >>commands
        until_true 10 has_lines rejections "$i"
        took=$(($(date +%s%3N) - begun))
        ((took > fastest)) || fastest=$took
    done
    # each would wait for the rest of a second
    [ "$fastest" -lt 700 ]
}

@test "-f ends with 0 on SIGTERM and on SIGINT, with what it read written" {
    some_commands
    for signal in TERM INT; do
        rm -rf events rejections events.state
        follow
        until_true 10 whole
        ends 0 $signal
        whole
        [ ! -s errors ]
    done
}

@test "SIGTERM in the middle of a long log ends it with 0, and it goes on later" {
    yes '{"value":7}' | head -n 60000 | calc-submit >commands
    calc-handle -i commands >whole
    follow
    until_true 10 test -s events
    ends 0 TERM
    cmp -n "$(stat -c %s events)" events whole
    run -0 tail -c 1 events
    calc-handle -i commands -o events -r rejections
    cmp events whole
}

@test "SIGTERM ends a handler that reads a pipe, without -f, with 0" {
    talk calc-handle
    create 1 2 3 >&8
    read -r -t 10 -u 9 line
    ends 0 TERM
    exec 8>&- 9<&-
}

@test "SIGTERM while the input is locked by a writer is 0 too" {
    some_commands
    cp whole.events events
    cp whole.rejections rejections
    exec 8<commands
    hold_lock 8
    calc-handle -f -i commands -o events -r rejections 2>errors 3>&- 8<&- &
    started+=($!)
    until_true 10 grep -qE -- "-> FLOCK .*:$(stat -c %i commands) " /proc/locks
    ends 0 TERM
    whole
}

@test "-f never takes a torn tail that is cut and replaced" {
    create 1 2 3 >commands
    follow
    until_true 10 has_lines events 1
    # in one write with a whole line, so that it has looked at the tail when it took the line
    printf '%s\n{"action":"CreateValue","id":"%s","data":{"value_id"' "$(add 1 3 1)" "$(id 5)" >both
    dd if=both of=commands bs=64k oflag=append conv=notrunc status=none
    until_true 10 has_lines events 2
    calc-submit -o commands add "$(id 1)" 4 >/dev/null 2>said
    grep -q torn said
    until_true 10 has_lines events 3
    [[ $(tail -n 1 events) == *'"version":3,"result":8.0,'* ]]
    [ ! -s rejections ]
    ends 0 TERM
}

@test "-f takes a line when its newline comes" {
    create 1 2 3 >commands
    follow
    until_true 10 has_lines events 1
    line=$(add 1 3 4)
    for ((i = 0; i < ${#line}; i += 10)); do printf %s "${line:i:10}" >>commands; done
    has_lines events 1
    echo >>commands
    until_true 10 has_lines events 2
    [ ! -s rejections ]
    ends 0 TERM
}

@test "an input that is cut short while it is followed is 65" {
    some_commands
    for size in 0 100; do
        cp commands copy
        rm -rf events rejections events.state
        follow
        until_true 10 whole
        truncate -s $size commands
        ends 65
        [[ $(cat errors) == calc-handle:*commands* ]]
        whole
        mv copy commands
    done
}

@test "an input that is replaced while it is followed is 65" {
    some_commands
    follow
    until_true 10 whole
    cp commands copy
    mv copy commands
    ends 65
    [[ $(cat errors) == calc-handle:*commands* ]]
}

@test "stopped and continued it goes on as if nothing had been" {
    some_commands
    mv commands all
    head -n 2 all >commands
    follow
    until_true 10 has_lines events 2
    kill -STOP "${started[0]}"
    tail -n +3 all >>commands
    kill -CONT "${started[0]}"
    until_true 10 whole
    ends 0 TERM
}
