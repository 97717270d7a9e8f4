#!/usr/bin/env bats
# Commands that others write to Kafka in ways of their own, and events that others fold.

bats_require_minimum_version 1.5.0
load helper
load kafka

oracle=$BATS_TEST_DIRNAME/oracle/kafka.py
count=200

# A life each for many values: created, changed twice, and a retry; as JSON of another program, its
# members in any order, spaces after colons and commas, no timestamp. KEY is what it takes for a key:
# value, command or none.
commands_of_others() {
    python3 - "$count" "${1:-value}" <<'END'
import json
import random
import sys
import uuid

chance = random.Random(7)


def shuffled(members):
    items = list(members.items())
    chance.shuffle(items)
    return dict(items)


def new_id():
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


for number in range(int(sys.argv[1])):
    value_id = new_id()
    steps = [("CreateValue", {"value": number}), ("UpdateValue", {"operation": "ADD", "value": 0.5}),
             ("UpdateValue", {"operation": "MULTIPLY", "value": -3})]
    for action, data in steps:
        command = {"action": action, "id": new_id(), "data": shuffled(data | {"value_id": value_id})}
        line = json.dumps(shuffled(command))
        key = {"value": value_id, "command": command["id"], "none": ""}[sys.argv[2]]
        print(key, line, sep="\t" if key else "")
    print(key, json.dumps(shuffled(command)), sep="\t" if key else "")
END
}

# handle_all: until every partition is at its end; then every outcome is judged.
handle_all() {
    calc-handle -i kafka: -o kafka: -r kafka: --state state -e
    "$oracle" check "$KAFKA_COMMANDS_TOPICS" "$KAFKA_EVENTS_TOPICS" "$KAFKA_REJECTIONS_TOPICS"
}

# all_applied: every value has its three events, nothing was rejected, and each key is the value's id.
all_applied() {
    read_topic_full "$KAFKA_EVENTS_TOPICS" >events
    [ "$(wc -l <events)" -eq $((3 * count)) ]
    [ "$(read_topic "$KAFKA_REJECTIONS_TOPICS" | wc -l)" -eq 0 ]
    awk -F '\t' 'index($5, "\"value_id\":\"" $3 "\"") == 0 || $4 !~ "^position=" $1 ":[0-9]+$" { exit 1 }' events
    cut -f 5 events | jq -s -e --argjson count "$count" '
        [group_by(.data.value_id)[] | sort_by(.version) | last | .result] | sort
            == ([range($count)] | map((. + 0.5) * -3) | sort)' >/dev/null
}

@test "commands of a Java producer with the value's id as key are handled, whatever their members' order" {
    needs javac
    local classpath
    classpath=$("$kafka" classpath)
    javac -proc:none -cp "$classpath" -d classes "$BATS_TEST_DIRNAME/kafka/Producer.java"
    make_topics 4
    commands_of_others value | java -XX:TieredStopAtLevel=1 -Dlog4j2.level=OFF -cp "classes:$classpath" \
        Producer "$KAFKA_BROKER" "$KAFKA_COMMANDS_TOPICS" >places
    [ "$(cut -d : -f 1 places | sort -u | wc -l)" -eq 4 ]
    handle_all
    all_applied
}

@test "commands that kcat places by murmur2_random are handled, with -K and with -k" {
    make_topics 4
    commands_of_others value | write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t'
    handle_all
    all_applied
    local id=8d0f7c2e-29a9-4a39-8c1c-4cf0b2e7a001
    printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":7}}\n' "$id" "$id" |
        write_topic "$KAFKA_COMMANDS_TOPICS" -k "$id"
    handle_all
    kcat -C -e -q -b "$KAFKA_BROKER" -t "$KAFKA_EVENTS_TOPICS" -f '%k %s\n' |
        grep -x "$id {\"action\":\"ValueCreated\",.*\"result\":7.0}"
}

@test "a topic of one partition takes commands under any key, or none, without timestamps" {
    local key
    for key in command none; do
        rm -rf state
        make_topics 1
        commands_of_others "$key" | write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t'
        [ "$(kcat -C -e -q -b "$KAFKA_BROKER" -t "$KAFKA_COMMANDS_TOPICS" -f '%K\n' | sort -u)" = \
            "$([ "$key" = none ] && echo -1 || echo 36)" ]
        handle_all
        all_applied
        run ! grep timestamp events
    done
}

@test "a command in the wrong partition is misplaced, and harms nobody" {
    make_topics 4
    commands_of_others value >lines
    # all of them where the first half of the work belongs, then where they do belong
    cut -f 2 lines | write_topic "$KAFKA_COMMANDS_TOPICS" -p 2
    write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t' <lines
    handle_all
    read_topic_full "$KAFKA_REJECTIONS_TOPICS" >rejections
    [ "$(grep -c '"reason":"misplaced","version":0' rejections)" -eq "$(wc -l <rejections)" ]
    # three quarters, more or less
    (($(wc -l <rejections) > 2 * count && $(wc -l <rejections) < 4 * count))
    [ "$(read_topic "$KAFKA_EVENTS_TOPICS" | wc -l)" -eq $((3 * count)) ]
    read_topic "$KAFKA_EVENTS_TOPICS" | jq -s -e --argjson count "$count" '
        [group_by(.data.value_id)[] | sort_by(.version) | last | .result] | sort
            == ([range($count)] | map((. + 0.5) * -3) | sort)' >/dev/null
}

@test "who knows only id, parent and data folds our events to the values that we have" {
    make_topics 4
    commands_of_others value | write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t'
    handle_all
    read_topic "$KAFKA_EVENTS_TOPICS" | jq -c '{id, parent, data}' |
        "$BATS_TEST_DIRNAME/kafka/foreign-fold.py" >theirs
    read_topic "$KAFKA_EVENTS_TOPICS" | calc-project | jq -r '"\(.value_id) \(.value)"' >ours
    [ "$(wc -l <ours)" -eq "$count" ]
    # jq writes 7.0 as 7
    cmp <(sed 's/\.0$//' theirs) <(sed 's/\.0$//' ours)
}
