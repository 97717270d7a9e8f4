#!/usr/bin/env bats
# The judge of topics, on topics made by hand: it takes what is right, and says where anything else is.

bats_require_minimum_version 1.5.0
load helper
load kafka

oracle=$BATS_TEST_DIRNAME/oracle/kafka.py
ids=(10000000-0000-4000-8000-00000000000{1..9})
partitions=3

# command ID VALUE_ID NUMBER: one that creates
command() {
    printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":%s}}\n' "$@"
}

# Commands of every kind: creations, a retry, a reused id; and in partition 1 blank ones, bad ones with a
# key, without one and with a newline, and good ones of other partitions.
make_commands() {
    make_topics "$partitions"
    local id
    {
        for id in "${ids[@]}"; do
            command "$id" "$id" 7
        done
        command "${ids[0]}" "${ids[0]}" 7
        command "${ids[1]}" "${ids[1]}" 8
        command "${ids[2]^^}" "${ids[2]^^}" 7 | sed 's/"value_id"/"x": 1, &/'
    } >commands
    write_commands <commands
    local put=(write_topic "$KAFKA_COMMANDS_TOPICS" -p 1)
    printf ' \t\r\1' | "${put[@]}" -D '\x01'
    printf 'empty\t\n' | "${put[@]}" -K '\t'
    printf 'null\t\n' | "${put[@]}" -K '\t' -Z
    echo nonsense | "${put[@]}" -k 'a key'
    echo nonsense | "${put[@]}"
    printf '{\n}\1\n\1' | "${put[@]}" -D '\x01'
    for id in "${ids[@]}"; do
        command "$id" "$id" 7
    done | "${put[@]}"
}

# write_outcomes: what the oracle derives, each by a kcat of its own, with its header
write_outcomes() {
    local topic partition key position value
    while IFS= read -r line; do
        # a tab is white space, which read would fold where the key is empty
        IFS=$'\x1f' read -r topic partition key position value <<<"${line//$'\t'/$'\x1f'}"
        [ "$topic" = events ] && topic=$KAFKA_EVENTS_TOPICS || topic=$KAFKA_REJECTIONS_TOPICS
        printf '%s' "$value" | write_topic "$topic" -p "$partition" -H "position=$position" -D '\x01' \
            ${key:+-k "$key"}
    done
}

# judge [OPTION...]
# shellcheck disable=SC2120 # it doesn't see through status_of
judge() {
    "$oracle" check "$KAFKA_COMMANDS_TOPICS" "$KAFKA_EVENTS_TOPICS" "$KAFKA_REJECTIONS_TOPICS" "$@"
}

# refuses PATTERN...: the judge finds fault, with these words
refuses() {
    local pattern
    status_of 1 judge 2>said
    for pattern; do
        grep -F -- "$pattern" said
    done
}

@test "the right outcomes are taken, each kind of record is known" {
    make_commands
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" >outcomes
    write_outcomes <outcomes
    run -0 judge
    [ "$output" = "28 commands, 9 events, 10 rejections" ]
    [ "$(grep -c '"reason":"malformed"' outcomes)" -eq 4 ]
    [ "$(grep -c '"reason":"id_reused"' outcomes)" -eq 1 ]
    [ "$(grep -c $'a key\t1:.*malformed' outcomes)" -eq 1 ]
    # of the nine that were written again, four belong to partition 1: retries
    [ "$(grep -c '"reason":"misplaced","version":0' outcomes)" -eq 5 ]
}

@test "kcat's murmur2_random and the judge agree on 2,000 values" {
    make_topics 7
    seq -f 'a0000000-0000-4000-8000-%012.0f' 2000 | while read -r id; do
        command "$id" "$id" 1
    done | write_commands
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" >outcomes
    [ "$(grep -c ValueCreated outcomes)" -eq 2000 ]
    [ "$(wc -l <outcomes)" -eq 2000 ]
}

@test "an outcome that is missing, comes twice, in another order or place is found" {
    make_commands
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" >outcomes
    head -n 8 outcomes | write_outcomes
    tail -n +10 outcomes | write_outcomes
    refuses "${KAFKA_EVENTS_TOPICS}[2]: record 0 of 0, expected 1:" "found    its end"
    head -n 9 outcomes | tail -n 1 | write_outcomes
    # shellcheck disable=SC2119
    judge
    tail -n 1 outcomes | write_outcomes
    refuses "${KAFKA_REJECTIONS_TOPICS}[1]: record 10 of 11" "expected its end"
    run ! grep -F "$KAFKA_EVENTS_TOPICS" said

    make_commands
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" | tac | write_outcomes
    refuses "${KAFKA_EVENTS_TOPICS}[0]: record 0" "${KAFKA_REJECTIONS_TOPICS}[1]: record 0"

    make_commands
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" | sed 's/^events\t0/events\t1/' | write_outcomes
    refuses "${KAFKA_EVENTS_TOPICS}[0]: record 0"
}

@test "another key, header or byte is found" {
    local change
    for change in '/^events/s/\(\t10000\)000/\1001/' '/malformed/s/\ta key\t/\t\t/' \
        '/malformed/s/\t\t/\tkey\t/' '/^events/s/\(\t1:\)/\11/' '/^events/s/"result":7.0/"result":7/'; do
        make_commands
        "$oracle" fold "$KAFKA_COMMANDS_TOPICS" | sed "$change" | write_outcomes
        status_of 1 judge
    done
}

@test "an outcome in a transaction that was aborted doesn't count, one in a committed one does" {
    make_commands
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" >outcomes
    tail -n +2 outcomes | write_outcomes
    local fields
    IFS=$'\t' read -ra fields < <(head -n 1 outcomes)
    put() {
        printf '%s\n' "${fields[4]}" | write_topic "$KAFKA_EVENTS_TOPICS" -p "${fields[1]}" \
            -k "${fields[2]}" -H "position=${fields[3]}" "$@"
    }
    # its end comes while the transaction is open, and the next producer of that name aborts it
    mkfifo lines
    write_topic "$KAFKA_EVENTS_TOPICS" -p "${fields[1]}" -k key -X transactional.id=judge <lines 3>&- &
    local aborted=$!
    started+=("$aborted")
    exec 9>lines
    yes aborted | head -n 20000 >&9 # kcat reads by the block
    until_true 20 is_open
    kill -9 "$aborted"
    exec 9>&-
    put -X transactional.id=judge
    # the order of its partition is another now, unless it is alone there
    status_of 1 judge 2>said
    run ! grep aborted said
    has_record_uncommitted aborted
}

is_open() {
    has_record_uncommitted aborted
}

has_record_uncommitted() {
    kcat -C -e -q -b "$KAFKA_BROKER" -t "$KAFKA_EVENTS_TOPICS" -X isolation.level=read_uncommitted |
        grep -xc "$1"
}

@test "acknowledgements have to stand where they say, and to have an outcome" {
    make_topics "$partitions"
    local id
    for id in "${ids[@]}"; do
        printf '{"value_id":"%s","value":1}\n{"value_id":"%s","operation":"ADD","value":1}\n' "$id" "$id"
    done | calc-submit -o kafka: >acks
    "$oracle" fold "$KAFKA_COMMANDS_TOPICS" >outcomes
    tail -n +2 outcomes | write_outcomes
    status_of 1 judge --acks acks 2>said
    grep "it has 0 outcomes" said
    # what is missing comes last: now only its order is wrong
    head -n 1 outcomes | write_outcomes
    status_of 1 judge --acks acks 2>said
    run ! grep acks: said
    sed '3s/\("position":"[0-9]*\):\([0-9]*\)/\1:9\2/' acks >moved
    status_of 1 judge --acks moved 2>said
    grep "moved: .*no command stands there" said
    cat acks acks >twice
    status_of 1 judge --acks twice 2>said
    grep "twice: .*its position was acknowledged before" said
}
