#!/usr/bin/env bats
# calc-handle: the state that it keeps of a commands log that is a file, and what a restart makes of it.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

# make_commands FROM TO: as many commands: a create, two updates, one that is rejected, in turn.
make_commands() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        for (i = from; i < to; i++) {
            value = sprintf("00000000-0000-4000-8000-%012d", int(i / 4))
            id = sprintf("11111111-1111-4111-8111-%012d", i)
            if (i % 4 == 0)
                printf "{\"action\":\"CreateValue\",\"id\":\"%s\",\"data\":{\"value_id\":\"%s\",\"value\":%d}}\n",
                    id, value, i
            else
                printf "{\"action\":\"UpdateValue\",\"id\":\"%s\",\"data\":{\"value_id\":\"%s\",\"operation\":\"ADD\",\"value\":0.1}%s}\n",
                    id, value, i % 4 == 3 ? ",\"expected_version\":1" : ""
        }
    }'
}

handle() {
    calc-handle -i commands -o events -r rejections "$@"
}

# some_logs: the state is at command 100, and what the outputs hold of the next 100 came behind the
# checkpoint, as if the handler had been killed then. There are 100 commands more.
some_logs() {
    rm -rf events.state commands events rejections
    make_commands 0 300 >all
    calc-handle -i all -o whole.events -r whole.rejections
    head -n 100 all >commands
    handle
    cp -r events.state kept.state
    head -n 200 all >commands
    handle
    rm -r events.state
    mv kept.state events.state
    cp all commands
}

# marked_logs: the same, but the state knows that the outputs of the 200 are durable.
marked_logs() {
    some_logs
    # a pipe has no state, and leaves the position as it was
    head -n 200 all | calc-handle -o events -r rejections
}

# whole: both outputs hold everything.
whole() {
    cmp events whole.events && cmp rejections whole.rejections
}

remember() {
    cp events before.events
    cp rejections before.rejections
}

# unchanged: since then nothing was.
unchanged() {
    cmp events before.events && cmp rejections before.rejections
}

# start_of FILE LINE: where it begins, counted from 1.
start_of() {
    head -n $(($2 - 1)) "$1" | wc -c
}

# put FILE OFFSET TEXT: over what is there.
put() {
    printf %s "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# refused STATUS WORD...: a run exits so, says these words, and changes nothing.
refused() {
    remember
    run -"$1" --separate-stderr handle
    shift
    for word; do
        [[ $stderr == calc-handle:*"$word"* ]] || {
            echo "it doesn't say '$word': $stderr" >&2
            return 1
        }
    done
    unchanged
}

follow() {
    calc-handle -f -i commands -o events -r rejections 2>errors 3>&- &
    started+=($!)
}

# ends STATUS SIGNAL: the process that was started last does.
ends() {
    kill -"$2" "${started[-1]}"
    status_of "$1" wait "${started[-1]}"
    unset 'started[-1]'
}

# watches PROCESS: it waits to be told of changes.
watches() {
    grep -qs inotify "/proc/$1/fdinfo/"*
}

has_lines() {
    [ -e "$1" ] && [ "$(wc -l <"$1")" -eq "$2" ]
}

# --- a restart ---

@test "a state is kept in OUTPUT.state, or where --state says" {
    make_commands 0 8 >commands
    handle
    [ -s events.state/0/data.mdb ]
    [ -e events.state/handler.lock ]
    calc-handle -i commands -o file:other -r rejections.2
    [ -s other.state/0/data.mdb ]
    calc-handle -i commands -o third -r rejections.3 --state somewhere
    [ -s somewhere/0/data.mdb ]
    [ ! -e third.state ]
}

@test "a restart goes on from the checkpoint and reads nothing before it" {
    some_logs
    cp -r events.state kept.state
    handle
    whole
    # bytes that would be noticed
    for file in commands events rejections; do
        mv events.state gone
        cp -r kept.state events.state
        cp "$file" good
        put "$file" "$(start_of "$file" 9)" '#'
        handle
        cmp -n "$(start_of "$file" 9)" "$file" good
        cp good "$file"
        rm -r gone
        whole
    done
}

@test "a state that lags behind the outputs is caught up, and what it lags is compared" {
    some_logs
    cp -r events.state lagging.state
    for _ in 1 2; do
        run -0 --separate-stderr handle
        [ -z "$stderr" ]
        whole
        rm -r events.state
        cp -r lagging.state events.state
    done
}

@test "retries, owners and versions are remembered over restarts" {
    some_logs
    handle
    make_commands 0 300 >>commands
    {
        echo '{"action":"CreateValue","id":"22222222-2222-4222-8222-222222222222","data":{"value_id":"33333333-3333-4333-8333-333333333333","value":1},"actor":"ann"}'
        make_commands 0 300
    } >>commands
    handle
    echo '{"action":"UpdateValue","id":"44444444-4444-4444-8444-444444444444","data":{"value_id":"33333333-3333-4333-8333-333333333333","operation":"ADD","value":1},"expected_owner":"ann","expected_version":1}' >>commands
    handle
    [ "$(wc -l <events)" -eq "$(($(wc -l <whole.events) + 2))" ]
    cmp rejections whole.rejections
    calc-handle <commands >again 2>again.rejections
    cmp events again
}

@test "the state is kept when it ends, when SIGTERM comes, and when nothing does for a second" {
    make_commands 0 100 >commands
    follow
    until_true 10 has_lines events 75
    ends 0 TERM
    put commands 200 '#' # not read any more
    make_commands 100 200 >>commands
    follow
    until_true 10 has_lines events 150
    before=$(cksum <events.state/0/data.mdb)
    saved() { [ "$(cksum <events.state/0/data.mdb)" != "$before" ]; }
    until_true 10 saved
    ends 137 KILL
    put commands "$(start_of commands 150)" '#'
    make_commands 200 300 >>commands
    handle
    calc-handle -i <(make_commands 0 300) >all 2>all.rejections
    cmp events all
    cmp rejections all.rejections
}

@test "stdin that is a file has the state of that file" {
    make_commands 0 100 >commands
    calc-handle -o events -r rejections <commands
    put commands 200 '#'
    make_commands 100 200 >>commands
    calc-handle -o events -r rejections <commands
    handle
    calc-handle -i <(make_commands 0 200) >all 2>all.rejections
    cmp events all
    cmp rejections all.rejections
    # another beginning is another log
    run -65 bash -c '{ read -r _; calc-handle -o events -r rejections; } <commands'
    cmp events all
}

@test "renamed logs are the same logs" {
    some_logs
    mv commands other.commands
    mv events other.events
    mv rejections other.rejections
    calc-handle -i other.commands -o other.events -r other.rejections --state events.state
    cmp other.events whole.events
    cmp other.rejections whole.rejections
}

@test "with outputs that are whole it changes nothing" {
    some_logs
    handle
    touch -d 2001-01-01 events rejections
    handle
    [ "$(find events rejections -newermt 2002-01-01)" = "" ]
    whole
}

# --- behind the durable ends ---

@test "what differs behind the durable ends is cut, said and derived again" {
    for log in events rejections; do
        for line in 76 100 149; do
            some_logs
            [ $log = events ] || line=$((line / 3 + 1))
            start=$(start_of $log "$line")
            put $log $((start + 50)) '####'
            handle 2>errors
            whole
            grep -q "^calc-handle: $log: cut off .* bytes at $start" errors
            [ "$(wc -l <errors)" -eq 1 ]
        done
    done
}

@test "blocks of zeros behind the durable ends are cut and derived again" {
    for log in events rejections; do
        for size in 10 4096 100000; do
            # where data should be, and more where there was none
            some_logs
            start=$(start_of $log $(($(wc -l <$log) - 5)))
            dd if=/dev/zero of=$log bs=1 seek="$start" count=300 conv=notrunc status=none
            truncate -s +$size $log
            handle 2>errors
            whole
            grep -q "cut off" errors
        done
    done
    some_logs
    for log in events rejections; do
        truncate -s -2000 $log
        truncate -s +2000 $log
        printf '\n' >>$log
    done
    handle 2>errors
    whole
}

@test "outputs that end anywhere behind their durable ends are completed" {
    some_logs
    cp events long.events
    cp rejections long.rejections
    cp -r events.state kept.state
    size=$(stat -c %s rejections)
    for cut in 0 1 300 1000 3000; do
        rm -r events.state
        cp -r kept.state events.state
        head -c -$cut long.events >events
        head -c $((size - cut)) long.rejections >rejections
        handle 2>errors
        whole
    done
}

@test "a crash in the very first batch leaves nothing that isn't derived again" {
    needs strace
    make_commands 0 300 >commands
    calc-handle -i commands -o whole.events -r whole.rejections
    for call in pwrite64:1 fdatasync:2; do # the first sync is of what was there
        for log in events rejections; do
            rm -rf events events.state rejections
            status_of 137 strace -f -o trace -P "$PWD/$log" -e trace=${call%:*} \
                -e inject=${call%:*}:signal=KILL:when=${call#*:} \
                env ASAN_OPTIONS=detect_leaks=0 "$CALC_BIN/calc-handle" -i commands -o "$PWD/events" -r "$PWD/rejections"
            # as if it had been a power loss
            { head -c 5000 /dev/zero && echo && head -c 100 whole.events; } >events
            handle 2>errors
            whole
            grep -q "events: cut off" errors
        done
    done
}

@test "an unsynced tail is not cut before the other output turns out sound" {
    marked_logs
    put rejections "$(start_of rejections 40)" '#'
    printf '{"garbage"}\n' >>events
    refused 65 rejections
}

@test "a torn line behind outputs that are whole is cut" {
    some_logs
    handle
    printf '{"torn' >>events
    head -c 70000 /dev/zero >>rejections
    handle 2>errors
    whole
    grep -q "torn tail of 6 bytes" errors
    grep -q "torn tail of 70000 bytes" errors
}

# --- damage ---

@test "a difference between the checkpoint and the durable ends is 65, and says where" {
    marked_logs
    cp -r events.state kept.state
    for log in events rejections; do
        for line in 76 150; do
            [ $log = events ] || line=$((line / 3 + 1))
            ((line <= $(wc -l <$log))) || line=$(wc -l <$log)
            cp $log good
            start=$(start_of $log "$line")
            put $log $((start + 60)) '#'
            refused 65 "$log at $start "
            cp good $log
        done
        sed "${line}s/^/\n/" good >$log
        refused 65 "$log: a blank line at $start"
        cp good $log
    done
    handle
    whole
}

@test "an output that is shorter than its durable end is 65" {
    some_logs
    handle
    for log in events rejections; do
        cp $log good
        for cut in 1 100 $(($(stat -c %s $log) - 10)); do
            head -c -"$cut" good >$log
            refused 65 "$log ends at" "before $(stat -c %s good),"
        done
        : >$log
        refused 65 "$log ends at 0"
        cp good $log
    done
    handle
}

@test "an output that goes on behind what the input derives is 65" {
    for log in events rejections; do
        some_logs
        head -n 150 all >commands
        refused 65 "goes on at"
        cp all commands
        handle
        for more in '{"more":1}' ''; do
            printf '%s\n' "$more" >>$log
            refused 65 "$log" "at $(stat -c %s whole.$log)"
            cp whole.$log $log
        done
    done
}

@test "an output of another log is 65, however long it is" {
    some_logs
    make_commands 1000 2000 >another
    calc-handle -i another -o other.events -r other.rejections
    cp other.events events
    refused 65 events "the state in events.state"
    cp whole.events events
    cp other.rejections rejections
    refused 65 rejections "the state in events.state"
}

@test "damage in one output is found however much the other one misses" {
    # rejections of 1,700 bytes, and more of them than are held back
    actor=$(printf '\\u0001%.0s' {1..256})
    awk -v actor="$actor" 'BEGIN {
        for (i = 0; i < 12000; i++) {
            id = sprintf("11111111-1111-4111-8111-%012d", i)
            printf "{\"action\":\"%s\",\"id\":\"%s\",\"data\":{\"value_id\":\"%s\",%s\"value\":1},\"actor\":\"%s\"}\n",
                i % 400 ? "UpdateValue" : "CreateValue", id, id, i % 400 ? "\"operation\":\"ADD\"," : "", actor
        }
    }' >commands
    calc-handle -i commands -o whole.events -r whole.rejections
    [ "$(stat -c %s whole.rejections)" -gt $((17 << 20)) ]
    cp whole.events events
    head -n 10 whole.rejections >rejections
    put events "$(start_of events 29)" '#'
    refused 65 "events at"
    cp whole.events events
    handle
    whole
}

# --- which log it is of ---

@test "a state of another log is 65" {
    some_logs
    # another first record, another last one, one that ends before, none at all
    { sed '1s/"value":0/"value":1/' all; } >commands
    refused 65 "of another log"
    sed '100s/0\.1/0.2/' all >commands
    refused 65 "of another log"
    { echo && cat all; } >commands
    refused 65 "of another log"
    for lines in 1 50 99; do
        head -n $lines all >commands
        refused 65 "commands ends at $(stat -c %s commands), before"
    done
    : >commands
    refused 65 "commands ends at 0, before"
    head -n 100 all | head -c -1 >commands
    refused 65 "commands ends at"
    make_commands 1000 2000 >commands
    refused 65 "of another log"
    cp all commands
    handle
    whole
}

@test "with -f a log of which there is a state is waited for, and then it has to be that one" {
    some_logs
    mv commands away
    follow
    until_true 10 watches "${started[-1]}"
    mv away commands
    until_true 10 cmp -s events whole.events
    ends 0 TERM
    whole
    mv commands away
    remember
    follow
    until_true 10 watches "${started[-1]}"
    make_commands 1000 2000 >other
    mv other commands
    status_of 65 wait "${started[-1]}"
    started=()
    grep -q "of another log" errors
    unchanged
}

@test "a file that is no state is 65, and it says what to do" {
    make_commands 0 100 >commands
    handle
    remember
    for size in 100 8192 100000; do
        yes garbage | head -c $size >events.state/0/data.mdb
        refused 65 "without the folder events.state the state is derived again"
    done
    rm -r events.state
    handle
    unchanged
}

# --- without a state ---

@test "a lost state is derived again, and the outputs stay" {
    some_logs
    rm -r events.state
    handle
    whole
    rm -r events.state
    touch -d 2001-01-01 events rejections
    handle
    whole
    [ "$(find events rejections -newermt 2002-01-01)" = "" ]
    # and it is there again
    put commands 200 '#'
    handle
    whole
}

@test "without a state any difference is 65, and a torn line is cut" {
    for log in events rejections; do
        for line in 1 20 last; do
            some_logs
            rm -r events.state
            [ $line != last ] || line=$(wc -l <$log)
            start=$(start_of $log "$line")
            put $log $((start + 50)) '#'
            refused 65 "$log at $start "
        done
        some_logs
        rm -r events.state
        printf '{"torn' >>$log
        handle 2>errors
        whole
        grep -q "torn tail of 6 bytes" errors
    done
}

@test "the durable ends of a lost state are known as soon as something is appended" {
    some_logs
    rm -r events.state
    # the rejections are complete, events are missing: they are appended, and the state is marked first
    cp whole.rejections rejections
    needs strace
    status_of 137 strace -f -o trace -P "$PWD/events" -e trace=pwrite64 \
        -e inject=pwrite64:signal=KILL:when=1 \
        env ASAN_OPTIONS=detect_leaks=0 "$CALC_BIN/calc-handle" -i commands -o "$PWD/events" -r "$PWD/rejections"
    cp events good
    put events "$(start_of events 20)" '#'
    refused 65 "events at $(start_of events 20) "
    cp good events
    printf '{"unsynced"}\n' >>events
    handle 2>errors
    grep -q "events: cut off 13 bytes" errors
    whole
}

@test "a pipe has no state, and is compared from its beginning" {
    some_logs
    # shellcheck disable=SC2002 # a pipe is wanted
    cat commands | calc-handle -o events -r rejections
    whole
    put events 100 '#'
    # shellcheck disable=SC2002
    run -65 calc-handle -o events -r rejections < <(cat commands)
    put events 100 "$(tail -c +101 whole.events | head -c 1)"
    whole
    # what it appended is durable for those who have a state
    put events "$(start_of events 220)" '#'
    refused 65 "events at $(start_of events 220) "
}

# --- options, locks ---

@test "--state and --cache are for logs only" {
    make_commands 0 4 >commands
    run -64 --separate-stderr calc-handle -i commands --state state
    [[ $stderr == calc-handle:*--state*--help* ]]
    run -64 calc-handle -i commands -r rejections --state state
    run -64 calc-handle -i commands --cache 5
    run -64 calc-handle -o events -r rejections --state state < <(cat commands)
    [ ! -e state ]
    for cache in 0 -1 x 1.5 '' 99999999999999999; do
        run -64 --separate-stderr calc-handle -i commands -o events -r rejections --cache "$cache"
        [[ $stderr == calc-handle:*--cache* ]]
    done
    run -74 calc-handle -i commands -o events -r rejections --state nowhere/state
    run -74 calc-handle -i commands -o events -r rejections --state commands
}

@test "a second handler on the state exits 75" {
    make_commands 0 4 >commands
    follow
    until_true 10 has_lines events 3
    run -75 --separate-stderr calc-handle -i commands -o other -r others --state events.state
    [[ $stderr == calc-handle:*events.state/handler.lock* ]]
    ends 0 TERM
    run -65 calc-handle -i commands -o other -r others --state events.state
    handle
}

@test "a small cache gives the same bytes, and bounds the memory" {
    make_commands 0 200000 >commands
    calc-handle <commands >whole.events 2>whole.rejections
    make_commands 0 100000 >>commands # retries
    # shellcheck disable=SC2317 # it is run below
    limited() {
        ulimit -d 40000 # KiB
        exec calc-handle -i commands -o events -r rejections "$@"
    }
    if ! grep -q __asan_init "$CALC_BIN/calc-handle"; then
        run limited # that is too little for all of it
        [ "$status" -ne 0 ]
        [[ $output == *memory* ]]
        rm -rf events rejections events.state
        (limited --cache 8)
        whole
        rm -rf events rejections events.state
    fi
    handle --cache 1
    whole
    handle --cache 3
    whole
}

# --- kill -9 ---

@test "killed at any moment it ends with the bytes of an undisturbed run" {
    make_commands 0 60000 >commands
    make_commands 20000 22000 >>commands # retries
    calc-handle <commands >whole.events 2>whole.rejections
    # it wrote outcomes, or a checkpoint, or is done
    moved() {
        [ "$(stat -c %s "$1" 2>/dev/null)" != "$2" ] || ! kill -0 "${started[-1]}" 2>/dev/null
    }
    for kills in {1..5}; do
        for watched in events events.state/0/data.mdb rejections; do
            size=$(stat -c %s "$watched" 2>/dev/null) || true
            calc-handle -i commands -o events -r rejections --cache 1 2>errors 3>&- &
            started+=($!)
            until_true 20 moved "$watched" "$size"
            kill -KILL "${started[-1]}" 2>/dev/null || true
            wait "${started[-1]}" || true
            started=()
        done
        # torn, too
        ((kills % 2)) || printf '{"torn' >>events
    done
    handle
    whole
}

has_threads() {
    [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -eq "$2" ]
}

@test "a full batch is appended while the next one is decided, and comes before it" {
    make_commands 0 4 >commands
    background calc-handle -f -i commands -o events -r rejections
    handler=${started[0]}
    until_true 10 has_lines events 3
    exec 8<events
    hold_lock 8
    make_commands 4 40000 >commands.more
    flock commands dd if=commands.more of=commands oflag=append conv=notrunc status=none bs=16M
    until_true 20 has_threads "$handler" 2 || later=no
    has_lines events 3 || later=no
    flock -u 8
    [ -z "${later:-}" ]
    until_true 20 has_lines events 30000
    calc-handle -i commands -o whole.events -r whole.rejections
    until_true 10 cmp rejections whole.rejections
    cmp events whole.events
    until_true 10 has_threads "$handler" 1
    kill "$handler"
    status_of 0 wait "$handler"
}

@test "a full batch that can't be appended ends the handler, and the next run goes on behind the one before" {
    make_commands 0 60000 >commands
    status_of 74 bash -c 'trap "" XFSZ; ulimit -f 6000; exec calc-handle -i commands -o events -r rejections' 2>said
    grep "can't append to events: File too large" said
    size=$(stat -c %s events)
    ((size > 2000000 && size < 6144000))
    [ "$(tail -c 1 events | xxd -p)" = 0a ]
    handle
    calc-handle -i commands -o whole.events -r whole.rejections
    cmp events whole.events
    cmp rejections whole.rejections
}
