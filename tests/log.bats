#!/usr/bin/env bats
# The log that is a file: what several processes may do with it at once.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

value=11111111-1111-4111-8111-111111111111
line='{"action":"CreateValue","id":"'$value'","data":{"value_id":"'$value'","value":7.0}}'

# has_lines FILE COUNT
has_lines() {
    [ -e "$1" ] && [ "$(wc -l <"$1")" -eq "$2" ]
}

more_lines() {
    [ -e "$1" ] && [ "$(wc -l <"$1")" -gt "$2" ]
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# waiting KIND COUNT: so many processes wait for a lock (FLOCK, OFDLCK) on the log.
waiting() {
    [ "$(grep -cE -- "-> $1 .*:$(stat -c %i log) " /proc/locks)" -eq "$2" ]
}

# read_log: starts a reader of the log; what it finds comes into the file found.
read_log() {
    calc-handle -i log >found 2>said 3>&- 8<&- &
    reader=$!
    started+=("$reader")
}

traced() {
    ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace "$@"
}

@test "a reader waits for a writer that hasn't synced, and sees its records after" {
    echo "$line" >log
    exec 8>>log
    hold_lock 8
    echo "${line/7.0/8.0}" >&8
    read_log
    until_true 10 waiting FLOCK 1
    [ ! -s found ]
    flock -u 8
    wait "$reader"
    [ "$(cat found said | wc -l)" -eq 2 ]
}

@test "a batch that is cut back before its lock is released was never there" {
    echo "$line" >log
    size=$(stat -c %s log)
    exec 8>>log
    hold_lock 8
    yes "$line" | head -n 1000 >&8
    read_log
    until_true 10 waiting FLOCK 1
    truncate -s "$size" log
    flock -u 8
    wait "$reader"
    has_lines found 1
    [ ! -s said ]
}

@test "a follower doesn't take a batch that is cut back before its lock is released" {
    echo "$line" >log
    size=$(stat -c %s log)
    calc-handle -f -i log >found 2>said 3>&- &
    started+=($!)
    until_true 10 has_lines found 1
    exec 8>>log
    hold_lock 8
    yes "$line" | head -n 1000 >&8
    until_true 10 waiting FLOCK 1
    truncate -s "$size" log
    flock -u 8
    exec 8>&-
    calc-submit -o log add $value 1 >/dev/null
    until_true 10 has_lines found 2
    [[ $(tail -n 1 found) == *'"result":8.0,'* ]]
    [ ! -s said ]
}

@test "readers share the lock" {
    echo "$line" >log
    exec 8<log
    hold_lock 8 -s
    read_log
    wait "$reader"
    has_lines found 1
}

@test "a reader that comes while a writer waits stands behind it" {
    echo "$line" >log
    exec 8<log
    hold_lock 8 -s
    calc-submit -o log add $value 1 >out 3>&- 8<&- &
    started+=($!)
    until_true 10 waiting FLOCK 1
    read_log
    until_true 10 waiting OFDLCK 1
    [ ! -s found ]
    flock -u 8
    wait "$reader"
    has_lines found 2
}

@test "a writer that comes while a reader waits stands behind it" {
    echo "$line" >log
    exec 8<log
    hold_lock 8
    read_log
    until_true 10 waiting FLOCK 1
    calc-submit -o log add $value 1 >out 3>&- 8<&- &
    started+=($!)
    until_true 10 waiting OFDLCK 1
    flock -u 8
    wait "$reader"
    [ -s found ]
    until_true 10 has_lines out 1
    has_lines log 2
}

@test "busy writers don't keep a follower out" {
    : >log
    calc-handle -f -i log >found 3>&- &
    started+=($!)
    for writer in 1 2 3; do
        yes '{"value":1}' 2>/dev/null | calc-submit -o log >"out.$writer" 3>&- &
        started+=($!)
    done
    for _ in 1 2 3 4; do
        until_true 10 more_lines found "$(wc -l <found 2>/dev/null || echo 0)"
    done
    end_started
}

@test "an append takes the lock, writes, syncs, and lets go" {
    needs strace
    calc-submit -o log create 1 >/dev/null
    traced -e trace=flock,pwrite64,ftruncate,fdatasync calc-submit -o log create 1
    run -0 grep -oE 'LOCK_[EXUNSH]+|pwrite64|ftruncate|fdatasync' trace
    [ "${lines[*]}" = "LOCK_EX pwrite64 fdatasync LOCK_UN" ]
}

@test "a torn tail is cut under the lock" {
    needs strace
    printf torn >log
    traced -e trace=flock,pwrite64,ftruncate,fdatasync calc-submit -o log create 1
    run -0 grep -oE 'LOCK_[EXUNSH]+|pwrite64|ftruncate|fdatasync' trace
    [ "${lines[*]}" = "LOCK_EX ftruncate pwrite64 fdatasync LOCK_UN" ]
}

@test "a reader looks under the lock, and reads no further than it saw" {
    needs strace
    yes "$line" | head -n 5000 >log
    traced -e trace=flock,pread64 calc-handle -i log >/dev/null 2>&1
    awk '/flock\(.*LOCK_SH/ { locks++ }
        /pread64\([0-9]+<[^>]*\/log>/ { reads++; if (!locks) early = 1 }
        END { exit early || !reads || !locks }' trace
}

@test "many lines in a pipe share a sync" {
    needs strace
    mkfifo in
    exec 8<>in
    for _ in {1..500}; do echo '{"value":1}'; done >&8
    traced -e trace=fdatasync calc-submit -o log <in >out 8<&- 3>&- &
    started+=($!)
    until_true 20 has_lines out 500
    exec 8>&-
    wait "${started[0]}"
    has_lines log 500
    [ "$(grep -c 'fdatasync(' trace)" -le 3 ]
}

@test "many lines of a file share a sync" {
    needs strace
    yes '{"value":1}' | head -n 4000 >in
    traced -e trace=fdatasync calc-submit -i in -o log >out
    has_lines out 4000
    [ "$(grep -c 'fdatasync(' trace)" -le 2 ]
}

@test "the folder is synced when a log is made" {
    needs strace
    mkdir folder
    traced -e trace=openat,fsync,pwrite64 calc-submit -o folder/log create 7 >out
    awk '/fsync\([0-9]+<[^>]*\/folder>\) *= 0/ { synced = 1 }
        /pwrite64\(/ { if (!synced) early = 1; writes++ }
        END { exit early || !writes }' trace
    traced -e trace=openat,fsync,pwrite64 calc-handle -i folder/log -o folder/events -r folder/rejections
    awk '/fsync\([0-9]+<[^>]*\/folder>\) *= 0/ { synced = 1 }
        /pwrite64\(/ { if (!synced) early = 1; writes++ }
        END { exit early || !writes }' trace
}

@test "a log that can't be brought to a known end is not let go before the process ends" {
    needs strace
    calc-submit -o log create 1 >/dev/null
    status=0
    traced -e trace=flock,pwrite64,ftruncate,fdatasync -e inject=fdatasync:error=EIO \
        calc-submit -o log create 2 >out 2>said || status=$?
    [ "$status" -eq 74 ]
    [ ! -s out ]
    run -1 grep LOCK_UN trace
}

@test "what another program appended behind a failed batch is left alone" {
    needs strace
    calc-submit -o log create 1 >/dev/null
    # somebody who doesn't know the lock appends while the sync fails, which takes a while
    status=0
    ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace -e trace=pwrite64,ftruncate,fdatasync \
        -e inject=fdatasync:error=EIO:delay_enter=1000000:when=1 \
        calc-submit -o log create 2 >out 2>said 3>&- &
    started+=($!)
    until_true 10 grep -qs pwrite64 trace
    echo "$line" >>log
    wait "${started[0]}" || status=$?
    [ "$status" -eq 74 ]
    [ ! -s out ]
    run -1 grep ftruncate trace
    tail -n 1 log | grep -qxF "$line"
}

@test "a log whose size is a page, or a chunk of a search, is appended to behind its last line" {
    for size in 1 4096 65535 65536 65537 131072; do
        rm -f log
        { head -c "$size" /dev/zero | tr '\0' x && echo; } >log
        run -0 --separate-stderr calc-submit -o log create 7
        [[ $output == *'"position":"'$((size + 1))'"}' ]]
        [ -z "$stderr" ]
        # and the same as a torn tail behind a line
        { echo && head -c "$size" /dev/zero | tr '\0' x; } >log
        run -0 --separate-stderr calc-submit -o log create 7
        [[ $output == *'"position":"1"}' ]]
        [[ $stderr == *" $size bytes"* ]]
    done
}

@test "a writer that is killed while it waits for the lock leaves the log as it is" {
    echo "$line" >log
    cp log before
    exec 8<log
    hold_lock 8
    calc-submit -o log add $value 1 >out 3>&- 8<&- &
    started+=($!)
    until_true 10 waiting FLOCK 1
    kill -KILL "${started[0]}"
    until_true 10 gone "${started[0]}"
    flock -u 8
    cmp log before
    calc-submit -o log add $value 1 >out
    has_lines log 2
}

# decided PROCESS: every command, or it has ended.
decided() {
    gone "$1" || [ "$(grep -cs "" events)" = "$(grep -c "" commands)" ]
}

@test "a log that can't be looked at ends who follows it with 74, and isn't said to be replaced" {
    needs strace
    failed=0
    for call in {1..12}; do
        rm -rf events rejections events.state
        calc-submit -o commands create 1 >acks
        background env ASAN_OPTIONS=detect_leaks=0 strace -f -o trace -P "$PWD/commands" -e trace=statx \
            -e inject=statx:error=EIO:when="$call" calc-handle -f -i commands -o events -r rejections 2>said
        until_true 20 decided "${started[-1]}"
        # what comes later makes it look once more
        calc-submit -o commands create 2 >acks
        until_true 20 decided "${started[-1]}"
        if gone "${started[-1]}"; then
            status_of 74 wait "${started[-1]}"
            grep -q "commands: Input/output error" said
            failed=$((failed + 1))
        else
            kill "$(pgrep -P "${started[-1]}")"
            status_of 0 wait "${started[-1]}"
            [ ! -s said ]
        fi
    done
    [ $failed -gt 2 ] # some looks only save the next one
}
