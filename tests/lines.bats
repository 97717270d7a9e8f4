#!/usr/bin/env bats
# Lines of the commands log, good, unusual and bad, and what calc-handle makes of each.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper

oracle=$BATS_TEST_DIRNAME/oracle
examples=$BATS_TEST_DIRNAME/examples
export PYTHONDONTWRITEBYTECODE=1

# The log of all cases, and what must come of it, are made once for this file.
setup_file() {
    "$BATS_TEST_DIRNAME/cases/lines/build.py" "$BATS_FILE_TMPDIR"
}

built=$BATS_FILE_TMPDIR

# as_expected EVENTS REJECTIONS: what calc-handle wrote is what the oracle derived, to the byte.
as_expected() {
    "$oracle/oracle.py" check "$built/commands" "$1" "$2"
    cmp "$1" "$built/events"
    cmp "$2" "$built/rejections"
}

# malformed_positions REJECTIONS
malformed_positions() {
    sed -n 's/.*"data":{"position":"\([0-9]*\)"},"reason":"malformed"}$/\1/p' "$1"
}

@test "there are more than a hundred kinds of bad line" {
    [ "$(grep -c '' <"$built/malformed")" -gt 100 ]
}

@test "every bad line from a pipe is malformed at its position, and no other" {
    # shellcheck disable=SC2002 # a pipe is wanted
    cat "$built/commands" | calc-handle -r rejections >events
    diff <(cut -d' ' -f1 "$built/malformed") <(malformed_positions rejections)
    as_expected events rejections
}

@test "every bad line of a file is malformed at its position, and no other" {
    calc-handle -i "$built/commands" -o events -r rejections
    diff <(cut -d' ' -f1 "$built/malformed") <(malformed_positions rejections)
    as_expected events rejections
}

@test "a file on stdin gives the same" {
    calc-handle -r rejections <"$built/commands" >events
    as_expected events rejections
}

@test "the lines around bad ones come to the same as without them" {
    calc-handle -i "$built/commands" -o events -r rejections
    calc-handle -i "$built/commands.good" -o events.good -r rejections.good
    cmp events events.good
    [ -z "$(malformed_positions rejections.good)" ]
    "$oracle/oracle.py" check "$built/commands.good" events.good rejections.good
}

@test "a pipe that brings a few bytes at a time gives the same" {
    # pieces of 4093 bytes end within lines, names, escapes and characters
    python3 -c '
import os, sys
log = open(sys.argv[1], "rb").read()
for at in range(0, len(log), 4093):
    os.write(1, log[at : at + 4093])
' "$built/commands" | calc-handle -r rejections >events
    as_expected events rejections
}

@test "a line without its newline is no record of a file, but counts on a pipe" {
    head -c -1 "$built/commands" >commands
    calc-handle -i commands -o events.file -r rejections.file
    "$oracle/oracle.py" check commands events.file rejections.file
    # shellcheck disable=SC2002 # a pipe is wanted
    cat commands | calc-handle -r rejections.pipe >events.pipe
    "$oracle/oracle.py" check --pipe commands events.pipe rejections.pipe
    [ "$(wc -l <events.pipe)" -eq $(($(wc -l <events.file) + 1)) ]
}

@test "half a bad line at the end is malformed on a pipe, and torn in a file" {
    printf '{"action":"Create' >commands
    calc-handle -i commands -o events.file -r rejections.file
    [ ! -s events.file ]
    [ ! -s rejections.file ]
    # shellcheck disable=SC2002 # a pipe is wanted
    cat commands | calc-handle -r rejections.pipe >events.pipe
    [ "$(malformed_positions rejections.pipe)" = 0 ]
    "$oracle/oracle.py" check --pipe commands events.pipe rejections.pipe
}

@test "the oracle derives the examples" {
    "$oracle/oracle.py" fold "$examples/commands.jsonl" --events events --rejections rejections --values values
    cmp events "$examples/events.jsonl"
    cmp rejections "$examples/rejections.jsonl"
    cmp values "$examples/values.jsonl"
}

@test "the oracle sees a difference of one byte, and a missing line" {
    sed '7s/"version":\([0-9]*\)/"version":9\1/' "$examples/events.jsonl" >events
    run -1 --separate-stderr "$oracle/oracle.py" check "$examples/commands.jsonl" events "$examples/rejections.jsonl"
    [[ $stderr == *"(line 7,"* ]]
    head -n -1 "$examples/rejections.jsonl" >rejections
    run -1 --separate-stderr "$oracle/oracle.py" check "$examples/commands.jsonl" "$examples/events.jsonl" rejections
    [[ $stderr == *"found    its end"* ]]
}

@test "random logs, a third of them nasty, come to what the oracle derives" {
    for seed in 1 2 3 4 5; do
        "$oracle/generate.py" --seed $seed --commands 3000 --values 15 --nasty 0.33 >commands
        calc-handle -i commands -o events.$seed -r rejections.$seed
        calc-project <events.$seed >values
        "$oracle/oracle.py" check commands events.$seed rejections.$seed --values values
    done
}

@test "a random log of nasty lines only comes to what the oracle derives" {
    "$oracle/generate.py" --seed 6 --commands 5000 --values 5 --nasty 1 >commands
    calc-handle -i commands -o events -r rejections
    "$oracle/oracle.py" check commands events rejections
}
