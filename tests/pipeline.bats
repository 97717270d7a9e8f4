#!/usr/bin/env bats
# The filters together.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper
load inputs

examples=$BATS_TEST_DIRNAME/examples
value=11111111-1111-4111-8111-111111111111

# equals TEXT EXPECTED
equals() {
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$1")
}

# Handler and projector, following commands to view.
follow() {
    background calc-handle -f -i commands -o events -r rejections
    background calc-project -f -i events -r rejections --view view
}

# view_equals_fold: the view holds what its events fold to.
view_equals_fold() {
    calc-get --view view --all >in.view
    CALC_VIEW='' calc-project <events >folded
    cmp in.view folded
}

@test "inputs become values through one pipe" {
    run -0 --separate-stderr bash -c 'printf "{\"value\":7}\n" | calc-submit | calc-handle | calc-project'
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == '{"value_id":"'*'","value":7.0,"version":1,"timestamp":"'*'"}' ]]
    [ -z "$stderr" ]
}

@test "create 2, add 2, multiply by 3 is 12, through one pipe" {
    {
        echo '{"value_id":"'$value'","value":2}'
        echo '{"value_id":"'$value'","operation":"ADD","value":2}'
        echo '{"value_id":"'$value'","operation":"MULTIPLY","value":3}'
    } | calc-submit | calc-handle | calc-project >out
    [[ $(cat out) == '{"value_id":"'$value'","value":12.0,"version":3,'* ]]
}

@test "create 2, add 2, multiply by 3 is 12, through logs and a view" {
    follow
    export CALC_VIEW=view
    created=$(calc-submit -o commands --wait 30 create 2 | head -n 1 | cut -d'"' -f8)
    calc-submit -o commands --wait 30 add "$created" 2 >/dev/null
    calc-submit -o commands --wait 30 multiply "$created" 3 | tail -n 1 >last
    [[ $(cat last) == *'"status":"applied","version":3,"result":12.0}' ]]
    run -0 calc-get "$created"
    [[ $output == '{"value_id":"'"$created"'","value":12.0,"version":3,'* ]]
    end_started
    view_equals_fold
}

@test "a pipe and logs come to the same values and the same bytes" {
    some_inputs 3000 | calc-submit >commands
    calc-handle -i commands -o events -r rejections
    # shellcheck disable=SC2002 # a pipe is wanted
    cat commands | calc-handle -r rejections.pipe >events.pipe
    cmp events events.pipe
    cmp rejections rejections.pipe
    [ -s rejections ]
    calc-project -i events -r rejections --view view
    view_equals_fold
}

@test "each of many waiting submitters gets its own outcome" {
    follow
    calc-submit -o commands --wait 30 --view view create 0 >created
    id=$(head -n 1 created | cut -d'"' -f8)
    for i in {1..6}; do
        for _ in {1..5}; do echo '{"operation":"ADD","value":1,"value_id":"'"$id"'"}'; done |
            calc-submit -o commands --wait 60 --view view >"out.$i" 3>&- &
        submitters[i]=$!
    done
    for i in {1..6}; do wait "${submitters[i]}"; done
    # thirty additions of one: every version once, and the result tells the version
    cat out.* | grep -c '"status":"applied"' | grep -qx 30
    sed -n 's/.*"version":\([0-9]*\),"result":\([0-9]*\)\.0}/\1 \2/p' out.* | sort -n >got
    for i in {2..31}; do echo "$i $((i - 1))"; done | cmp - got
    end_started
    view_equals_fold
}

@test "the examples go through logs and a view to their values" {
    cp "$examples/commands.jsonl" commands
    : >events
    follow
    calc-submit -o commands --wait 60 --view view create 1 >created 2>said
    id=$(head -n 1 created | cut -d'"' -f8)
    calc-get --view view --all | grep -v "$id" >values
    cmp values "$examples/values.jsonl"
    cmp rejections "$examples/rejections.jsonl"
    head -n -1 events | cmp - "$examples/events.jsonl"
}

@test "handler and projector ended and started anew in between lose and double nothing" {
    some_inputs 600 >inputs
    for part in {0..5}; do
        follow
        head -n $((part * 100 + 100)) inputs | tail -n 100 |
            calc-submit -o commands --wait 60 --view view >/dev/null || [ $? -eq 1 ]
        end_started
    done
    view_equals_fold
    calc-handle -i commands >whole.events 2>whole.rejections
    cmp events whole.events
    cmp rejections whole.rejections
}

@test "stopped and continued, everything goes on" {
    follow
    calc-submit -o commands --wait 30 --view view create 1 >/dev/null
    kill -STOP "${started[@]}"
    calc-submit -o commands create 2 --id $value >/dev/null
    id=$(tail -n 1 commands | cut -d'"' -f14)
    run -69 calc-get --view view --command $value "$id"
    kill -CONT "${started[@]}"
    run -0 calc-get --view view --command $value --wait 30 "$id"
    end_started
    view_equals_fold
}

@test "a pipe that is open flows from end to end" {
    mkfifo in out
    { calc-submit | calc-handle | tee events; } <in >out 3>&- &
    started+=($!)
    exec 8>in 9<out
    for number in 1 2 3; do
        echo '{"value":'$number'}' >&8
        read -r -t 10 -u 9 line
        [[ $line == *'"result":'$number'.0,'* ]]
    done
    exec 8>&- 9<&-
}

@test "an independent reading of the rules comes to the same bytes" {
    needs python3
    oracle=$BATS_TEST_DIRNAME/oracle/oracle.py
    some_inputs 5000 | calc-submit >commands
    { cat "$examples/commands.jsonl" && cat commands; } >all
    calc-handle -i all -o events -r rejections
    calc-project -i events -r rejections --view view
    calc-get --view view --all >values
    python3 "$oracle" fold all --events oracle.events --rejections oracle.rejections \
        --values oracle.values
    cmp events oracle.events
    cmp rejections oracle.rejections
    cmp values oracle.values
}
