#!/usr/bin/env bats
# calc-verify on Kafka: outcomes in their command's partition, in its order, with its position.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper
load kafka
load inputs

# some_topics PARTITIONS: caught up, with every kind of outcome.
some_topics() {
    make_topics "$1"
    # what has no value id goes anywhere; a carriage return and a blank line are records too
    perl -pe 'print /"value_id" *: *"([0-9A-Fa-f-]{36})"/ ? lc $1 : "", "\t"' \
        "$root/tests/examples/commands.jsonl" | write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t'
    catch_up
}

catch_up() {
    timeout 60 calc-handle -e -i kafka: -o kafka: -r kafka: --state state
    until_true 30 project
}

# The marker of the last transaction may come a moment after its commit: then there is more.
project() {
    timeout 60 calc-project -e -i kafka: -r kafka: --view view
    verify --view view >compared 2>said
    [ ! -s said ]
}

verify() {
    timeout 60 calc-verify -i kafka: -o kafka: -r kafka: "$@"
}

# finds TEXT COMMAND...: it exits 65, prints nothing on stdout, and says that.
finds() {
    local text=$1
    shift
    run -65 --separate-stderr "$@"
    [ -z "$output" ]
    [[ $stderr == *"$text"* ]] || {
        echo "it said: $stderr"
        echo "and not: $text"
        return 1
    }
}

# sum NAME MEMBER: what the lines about it add up to.
sum() {
    jq -s "map(select(.verified == \"$1\") | .$2) | add" printed
}

# copy_start FROM TO FILTER...: the first records of partition 0, by a filter of lines as read_topic_full
# prints them.
copy_start() {
    read_topic_full "$1" -p 0 | head -n 12 | "${@:3}" | while IFS=$'\t' read -r partition _ key headers payload; do
        write_topic "$2" -p "$partition" -K '\t' -H "$headers" <<<"$key"$'\t'"$payload"
    done
}

@test "topics, state and view that are right are verified, with each partition's ends" {
    needs jq
    for partitions in 1 4; do
        some_topics $partitions
        verify --state state --view view >printed 2>said
        cat said
        [ ! -s said ]
        [ "$(grep -c '"verified":"commands"' printed)" -eq $partitions ]
        [ "$(sum commands records)" -eq 397 ]
        [ "$(sum events records)" -eq 213 ]
        [ "$(sum state values)" -eq 74 ]
        [ "$(sum view events)" -eq 213 ]
        [ "$(sum view behind)" -eq 0 ]
        grep -q '"verified":"events","end":"0:' printed
        rm -r state view
    done
}

@test "after a restart, aborts and a lost state all is verified" {
    make_topics 3
    some_inputs 2000 | calc-submit -o kafka: >acks
    background calc-handle -i kafka: -o kafka: -r kafka: --state state
    until_true 30 has_records "$KAFKA_EVENTS_TOPICS" 300
    kill -9 "${started[0]}"
    some_inputs 3000 | calc-submit -o kafka: >acks
    rm -r state/1
    catch_up
    verify --state state --view view >printed
    some_inputs 10 | calc-submit -o kafka: >acks
    run -0 --separate-stderr verify --state state --view view
    [[ $stderr == *'; still to come: '* ]]
    [[ $stderr == *'; commands still to come: '* ]]
    [[ $stderr == *'the view in view is behind; outcomes still to come: 10'* ]]
}

@test "topics are verified while the handler works" {
    make_topics 3
    background calc-handle -i kafka: -o kafka: -r kafka: --state state
    background calc-project -i kafka: -r kafka: --view view
    some_inputs 3000 | calc-submit -o kafka: >acks
    until_true 30 test -e view/current
    until_true 30 test -e state/2/data.mdb
    some_inputs 40000 >inputs
    calc-submit -o kafka: <inputs >acks 3>&- &
    submitter=$!
    rounds=0
    while kill -0 $submitter 2>/dev/null || [ $rounds -lt 4 ]; do
        run -0 verify --state state --view view
        rounds=$((rounds + 1))
    done
    wait $submitter
    end_started
    catch_up
    run -0 --separate-stderr verify --state state --view view
    [ -z "$stderr" ]
}

@test "a forged outcome behind the others is found" {
    some_topics 2
    line=$(read_topic "$KAFKA_EVENTS_TOPICS" -p 1 | tail -n 1)
    end=$(kcat -Q -b "$KAFKA_BROKER" -t "$KAFKA_EVENTS_TOPICS:1:-1" | sed 's/.*offset //')
    write_topic "$KAFKA_EVENTS_TOPICS" -p 1 -k forged -H position=1:7 <<<"$line"
    finds "kafka:$KAFKA_EVENTS_TOPICS at 1:$end goes on behind everything that the commands derive" verify
}

@test "an outcome that is changed, missing, doubled, elsewhere, or has another header or key is found" {
    some_topics 2
    events=$KAFKA_EVENTS_TOPICS
    read_topic_full "$events" -p 0 >right
    [ "$(wc -l <right)" -gt 12 ]
    # each: what becomes of the tenth record of partition 0, and what is said
    number=0
    while read -r text && read -r filter; do
        export KAFKA_EVENTS_TOPICS=$events-$((++number))
        calc-topics create --partitions 2 >made
        copy_start "$events" "$KAFKA_EVENTS_TOPICS" perl -ne "$filter" 3>&-
        finds "kafka:$KAFKA_EVENTS_TOPICS at 0:9 $text" verify
    done <<'CASES'
is not what the commands derive
s/"result":/"result":1/ if $. == 10; print
is not what the commands derive
print unless $. == 10
is not what the commands derive
print; print if $. == 9
has the right line and a wrong header position
s/position=0:/position=0:1/ if $. == 10; print
has the right line and a wrong header position
s/position=0:/position=1:/ if $. == 10; print
has the right line and a wrong header position
s/position=/place=/ if $. == 10; print
has the right line and a wrong key
s/^(0\t\d+\t)[^\t]*/$1key/ if $. == 10; print
CASES
    [ $number -eq 7 ]
}

@test "a missing partition of the state is passed over, a wrong one is found" {
    needs gcc
    some_topics 3
    gcc -Wall -Werror -o edit "$root/tests/verify/edit.c" -llmdb
    read -r key value < <(./edit state/2 commands | sed -n 5p)
    ./edit state/2 commands delete "$key"
    finds 'the state in state/2: after the command at 2:' verify --state state --view view
    [[ $stderr == *' in table commands: it is missing'* ]]
    ./edit state/2 commands put "$key" "$value"
    rm -r state/1
    verify --state state --view view >printed
    [ "$(grep -c '"verified":"state"' printed)" -eq 2 ]
    mv state/2 state/1
    finds 'the state in state/1: ' verify --state state
}

@test "a view of other topics or partitions is found" {
    some_topics 2
    mv view other
    rm -r state
    some_topics 3
    finds 'the view in other: it was folded from events with 2 partitions, not 3' verify --view other
    make_topics 2
    some_inputs 30 | calc-submit -o kafka: >acks
    rm -r state view
    catch_up
    finds 'the view in other: ' verify --view other
}

@test "topics that aren't there, or no broker, are refused" {
    make_topics 2
    run -78 calc-verify -i kafka:nothing -o kafka: -r kafka:
    run -64 calc-verify -i kafka: --view view
    KAFKA_BROKER=127.0.0.1:1 run -75 timeout 60 calc-verify -i kafka: -o kafka:
}
