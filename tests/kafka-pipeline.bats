#!/usr/bin/env bats
# The filters together, their logs on topics.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper
load kafka
load inputs

value=11111111-1111-4111-8111-111111111111

# Handler and projector, following the topics to view.
follow() {
    background calc-handle -i kafka: -o kafka: -r kafka: --state state
    background calc-project -i kafka: -r kafka: --view view
}

# The view holds what its events fold to, and the outcomes are what the commands derive.
all_is_right() {
    calc-get --view view --all >in.view
    CALC_VIEW='' calc-project -e -i kafka: >folded
    cmp in.view folded
    python3 "$root/tests/oracle/kafka.py" check "$KAFKA_COMMANDS_TOPICS" "$KAFKA_EVENTS_TOPICS" \
        "$KAFKA_REJECTIONS_TOPICS" --broker "$KAFKA_BROKER"
}

# caught_up: everything that was submitted until now is in the view. Ends in the order of the parts,
# and runs each once more to its end.
catch_up() {
    end_started
    calc-handle -e -i kafka: -o kafka: -r kafka: --state state
    calc-project -e -i kafka: -r kafka: --view view
}

@test "create 2, add 2, multiply by 3 is 12" {
    make_topics 4
    follow
    export CALC_VIEW=view
    created=$(calc-submit -o kafka: --wait 30 create 2 | head -n 1 | cut -d'"' -f8)
    calc-submit -o kafka: --wait 30 add "$created" 2 >acknowledged
    calc-submit -o kafka: --wait 30 multiply "$created" 3 | tail -n 1 >last
    [[ $(<last) == *'"status":"applied","version":3,"result":12.0}' ]]
    run -0 calc-get "$created"
    [[ $output == '{"value_id":"'"$created"'","value":12.0,"version":3,'* ]]
    catch_up
    all_is_right
}

@test "each of many waiting submitters gets its own outcome" {
    make_topics 4
    follow
    calc-submit -o kafka: --wait 30 --view view create 0 >created
    id=$(head -n 1 created | cut -d'"' -f8)
    for i in {1..6}; do
        for _ in {1..5}; do echo '{"operation":"ADD","value":1,"value_id":"'"$id"'"}'; done |
            calc-submit -o kafka: --wait 60 --view view >"out.$i" 3>&- &
        submitters[i]=$!
    done
    for i in {1..6}; do wait "${submitters[i]}"; done
    cat out.* | grep -c '"status":"applied"' | grep -qx 30
    sed -n 's/.*"version":\([0-9]*\),"result":\([0-9]*\)\.0}/\1 \2/p' out.* | sort -n >got
    for i in {2..31}; do echo "$i $((i - 1))"; done | cmp - got
    catch_up
    all_is_right
}

@test "the examples go through a topic and a view to their values" {
    make_topics 1
    write_topic "$KAFKA_COMMANDS_TOPICS" <"$root/tests/examples/commands.jsonl"
    calc-handle -e -i kafka: -o kafka: -r kafka: --state state
    calc-project -e -i kafka: -r kafka: --view view
    calc-get --view view --all | cmp - "$root/tests/examples/values.jsonl"
    read_topic "$KAFKA_EVENTS_TOPICS" | cmp - "$root/tests/examples/events.jsonl"
}

@test "topics of many partitions and files come to the same values" {
    make_topics 8
    some_inputs 3000 | calc-submit >commands
    write_commands <commands
    catch_up
    all_is_right
    calc-handle -i commands -o events -r rejections
    CALC_VIEW='' calc-project -i events | cmp - in.view
    read_topic "$KAFKA_EVENTS_TOPICS" | sort | cmp - <(sort events)
    read_topic "$KAFKA_REJECTIONS_TOPICS" | sort | cmp - <(sort rejections)
}

@test "handlers and projectors ended and started anew in between lose and double nothing" {
    make_topics 4
    some_inputs 400 >inputs
    for part in {0..3}; do
        follow
        head -n $((part * 100 + 100)) inputs | tail -n 100 |
            calc-submit -o kafka: --wait 60 --view view >acknowledged || [ $? -eq 1 ]
        end_started
    done
    catch_up
    all_is_right
}

@test "stopped and continued, everything goes on" {
    make_topics 4
    follow
    id=$(calc-submit -o kafka: --wait 30 --view view create 1 | head -n 1 | cut -d'"' -f8)
    kill -STOP "${started[@]}"
    calc-submit -o kafka: --id $value add "$id" 2 >acknowledged
    run -69 calc-get --view view --command $value "$id"
    kill -CONT "${started[@]}"
    run -0 calc-get --view view --command $value --wait 30 "$id"
    catch_up
    all_is_right
}

# told NAME PATTERN: what the service of that name told its manager has it.
told() {
    grep -qE "$2" "$1.told"
}

# managed NAME COMMAND...: under a manager that writes down what it is told.
managed() {
    background "$root/tests/service/manager.py" --told "$1.told" "${@:2}"
}

@test "started as services, they are ready when their partitions are caught up, and tell where" {
    make_topics 3
    some_inputs 300 | calc-submit -o kafka: >acknowledged || [ $? -eq 1 ]
    managed handle calc-handle -i kafka: -o kafka: -r kafka: --state state
    until_true 30 told handle READY=1
    # ready means that every command has its outcome
    count=$(($(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l) + $(read_topic "$KAFKA_REJECTIONS_TOPICS" | wc -l)))
    [ "$count" -ge "$(cut -d'"' -f4,8 acknowledged | sort -u | wc -l)" ]
    until_true 10 told handle 'STATUS=commands at 0:[0-9]+ 1:[0-9]+ 2:[0-9]+, 0 of them behind, 0 commands/s'
    managed project calc-project -i kafka: -r kafka: --view view
    until_true 30 told project READY=1
    [ "$(calc-get --view view --all | wc -l)" -gt 0 ]
    until_true 10 told project 'STATUS=events at 0:[0-9]+ 1:[0-9]+ 2:[0-9]+, rejections at .*, 0 of them behind, 0 records/s'
}

@test "the README's commands on topics create a value" {
    awk '/^## / { here = $0 == "## The same on Kafka" } here && sub(/^    /, "")' \
        "$root/README.md" >commands
    [ "$(grep -c calc- commands)" -eq 4 ]
    unset KAFKA_BROKER KAFKA_COMMANDS_TOPICS KAFKA_EVENTS_TOPICS KAFKA_REJECTIONS_TOPICS
    sed -i "s,scripts/kafka start ./data/kafka,$root/scripts/kafka start data --port 0,
        s,scripts/kafka stop ./data/kafka,kill %1 %2; wait; $root/scripts/kafka stop data," commands
    bash -e commands >printed 3>&-
    grep '"status":"applied","version":1,"result":7.0}$' printed
}
