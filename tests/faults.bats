#!/usr/bin/env bats
# What kill -9, torn tails, full disks and pauses leave behind. The long forms are faults/soak.py,
# faults/reader.py, faults/watch.py and faults/sweep.py (make soak).

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

faults=$BATS_TEST_DIRNAME/faults

# make_inputs WRITER COUNT: lines for calc-submit; create, update, a failing precondition in turn.
make_inputs() {
    awk -v writer="$1" -v count="$2" 'BEGIN {
        for (i = 0; i < count; i++) {
            value = sprintf("00000000-0000-4000-8000-%06d%06d", writer, int(i / 4))
            id = sprintf("11111111-1111-4111-8111-%06d%06d", writer, i)
            if (i % 4 == 0)
                printf "{\"id\":\"%s\",\"value_id\":\"%s\",\"value\":%d}\n", id, value, i
            else
                printf "{\"id\":\"%s\",\"value_id\":\"%s\",\"operation\":\"ADD\",\"value\":0.1%s}\n",
                    id, value, i % 4 == 3 ? ",\"expected_version\":1" : ""
        }
    }'
}

# judge ACKNOWLEDGEMENTS...: handles and projects what is in the logs, then the oracle.
judge() {
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    "$faults/verify.py" . "$@"
}

more_lines() {
    [ -e "$1" ] && [ "$(wc -l <"$1")" -gt "$2" ]
}

prints_last_event() {
    [ "$(tail -n 1 printed)" = "$(tail -n 1 events)" ]
}

# submit_on_full_disk WRITER BLOCKS: batches of fewer and fewer lines, for a log that can't outgrow so many
# KiB: the first ones don't fit.
submit_on_full_disk() {
    trap '' XFSZ
    ulimit -f "$2"
    local count status
    for count in 4000 2000 1000 400; do
        make_inputs "$1" "$count" >"in.$1.$count"
        status=0
        calc-submit -i "in.$1.$count" -o commands >"acks.$1.$count" 2>"errors.$1.$count" || status=$?
        echo "$status" >"status.$1.$count"
    done
}

@test "kill -9 of handler, projector, submitters and calc-cgi under load loses no acknowledged command" {
    "$faults/soak.py" --rounds 6 --seed 3 --seconds-per-round 1
}

@test "a handler and a projector that are killed again and again end with the bytes of an undisturbed run" {
    make_inputs 1 20000 | calc-submit -o commands >acks
    calc-handle -i commands -o whole.events -r whole.rejections
    for kills in 1 2 3 4 5 6; do
        local before=0
        [ ! -e events ] || before=$(wc -l <events)
        calc-handle -i commands -o events -r rejections 3>&- &
        local handler=$!
        calc-project -f -i events -r rejections --view view 3>&- &
        local projector=$!
        started+=("$handler" "$projector")
        until_true 20 more_lines events $((before < 15000 ? before : 0))
        kill -9 "$handler" "$projector" 2>/dev/null || true
        wait "$handler" "$projector" || true
        started=()
    done
    judge acks
    cmp events whole.events
    cmp rejections whole.rejections
}

@test "splitting a handler's work over restarts gives identical bytes" {
    make_inputs 1 1000 | calc-submit -o all >acks
    calc-handle -i all -o whole.events -r whole.rejections
    for lines in 1 2 3 4 5 250 251 252 600 999 1000; do
        head -n "$lines" all >commands
        calc-handle -i commands -o events -r rejections
    done
    cmp events whole.events
    cmp rejections whole.rejections
    judge acks
}

@test "outputs torn at any byte of their last records are completed" {
    make_inputs 1 12 | calc-submit -o commands >acks
    calc-handle -i commands -o whole.events -r whole.rejections
    local size
    size=$(stat -c %s whole.rejections)
    for cut in $(seq 0 7 "$size"); do
        rm -rf events.state # its durable ends are those of whole outputs
        head -c "$cut" whole.rejections >rejections
        head -c $(($(stat -c %s whole.events) - cut)) whole.events >events
        calc-handle -i commands -o events -r rejections
        cmp events whole.events
        cmp rejections whole.rejections
    done
    judge acks
}

@test "a torn tail of the commands is no record, and the next submitter cuts it off" {
    make_inputs 1 100 | calc-submit -o commands >acks
    make_inputs 2 1 | calc-submit | head -c 100 >>commands
    calc-handle -i commands -o events -r rejections
    [ "$(cat events rejections | wc -l)" -eq 100 ]
    make_inputs 3 1 | calc-submit -o commands >acks.3 2>errors.3
    grep "cut off a torn tail of 100 bytes" errors.3
    judge acks acks.3
}

@test "a submitter on a full disk acknowledges nothing that isn't in the log" {
    make_inputs 1 9000 | calc-submit -o commands >acks
    local size=$(($(stat -c %s commands) / 1024))
    (submit_on_full_disk 2 $((size + 300)))
    [ "$(cat status.2.4000)" -eq 74 ]
    grep "can't append to commands: File too large" errors.2.4000
    [ "$(cat status.2.1000)" -eq 0 ]
    [ "$(cat status.2.400)" -eq 0 ]
    judge acks acks.2.*
}

@test "a follower never sees a record that isn't in the log at the end while writers are killed and cut back" {
    make_inputs 1 1000 | calc-submit -o commands >acks
    calc-handle -f -i commands >printed 2>printed.rejections 3>&- &
    local follower=$!
    started+=("$follower")
    local size=$(($(stat -c %s commands) / 1024)) writer
    for writer in 2 3 4 5; do
        (submit_on_full_disk "$writer" $((size + 400))) 3>&- &
        started+=($!)
    done
    for kills in 6 7 8 9; do
        make_inputs "$kills" 4000 >in
        calc-submit -i in -o commands >"acks.$kills" 2>"errors.$kills" 3>&- &
        local victim=$!
        started+=("$victim")
        until_true 20 grep -qs . "acks.$kills" || true
        kill -9 "$victim" 2>/dev/null || true
        wait "$victim" || true
    done
    for writer in "${started[@]:1:4}"; do
        wait "$writer"
    done
    cat status.* | sort -u >statuses
    grep -x 74 statuses
    calc-submit -o commands create 1 >last
    judge acks acks.* last
    until_true 20 prints_last_event
    kill "$follower"
    wait "$follower"
    cmp printed events
    grep '^{' printed.rejections | cmp - rejections
}

@test "readers see what is in the log at the end, whatever becomes of its writers" {
    "$faults/reader.py" --rounds 60 --seed 3
}

@test "subscribers that are killed and resumed hear everything once, whatever else is killed or rebuilt" {
    "$faults/watch.py" --events 5000 --kills 10 --seed 3
}

@test "64 writers at once lose nothing" {
    local writer writers=()
    for writer in $(seq 64); do
        make_inputs "$writer" 200 >"in.$writer"
    done
    calc-handle -f -i commands -o events -r rejections 3>&- &
    local handler=$!
    started+=("$handler")
    for writer in $(seq 64); do
        calc-submit -i "in.$writer" -o commands >"acks.$writer" 3>&- &
        writers+=($!)
        started+=($!)
    done
    for writer in "${writers[@]}"; do
        wait "$writer"
    done
    kill "$handler"
    wait "$handler"
    [ "$(wc -l <commands)" -eq 12800 ]
    [ "$(cat acks.* | wc -l)" -eq 12800 ]
    judge acks.*
}

@test "a failing or fatal call of a tool leaves nothing that a restart doesn't mend" {
    needs strace
    "$faults/sweep.py" --every 80
}
