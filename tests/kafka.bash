# What a test file loads, after helper, to have Kafka: a broker of its own for all of its tests, or
# a cluster of KAFKA_NODES; topics of its own for each test; reading and writing with kcat.

kafka=$root/scripts/kafka

kafka_needs=(java mvn kcat python3)

# The skip is for the tests: here, bats 1.8 would take it for a failure.
setup_file() {
    local program
    for program in "${kafka_needs[@]}"; do
        command -v "$program" >/dev/null || return 0
    done
    start_broker
}

setup() {
    needs "${kafka_needs[@]}"
    cd "$BATS_TEST_TMPDIR" || return 1
}

teardown_file() {
    end_broker
}

broker_by=() # what starts the broker, in another network for one

# start_broker: on free ports, with its data in $KAFKA_DIR; sets KAFKA_BROKER. Tests are short: Java's
# second compiler would take more time than it wins back.
start_broker() {
    export KAFKA_DIR=$BATS_FILE_TMPDIR/kafka KAFKA_BROKER
    export KAFKA_OPTS=${KAFKA_OPTS:--XX:TieredStopAtLevel=1}
    KAFKA_BROKER=$("${broker_by[@]}" "$kafka" start "$KAFKA_DIR" --port 0 --nodes "${KAFKA_NODES:-1}") || return 1
    # Who is killed runs no teardown: this one looks on, and ends the broker then. Where a test starts it for
    # those that follow, BROKER_OWNER is the file's process.
    # shellcheck disable=SC2016 # for that shell
    setsid bash -c 'tail -f /dev/null --pid="$1"; exec "$2" kill "$3"' - "${BROKER_OWNER:-$$}" "$kafka" "$KAFKA_DIR" \
        </dev/null >/dev/null 2>&1 3>&- 4>&- &
    echo $! >"$KAFKA_DIR/watcher"
}

end_broker() {
    local watcher=$BATS_FILE_TMPDIR/kafka/watcher
    [ ! -e "$watcher" ] || kill -- "-$(<"$watcher")" 2>/dev/null || true
    "$kafka" kill "$BATS_FILE_TMPDIR/kafka"
}

# create_topic PARTITIONS[,SETTING=VALUE...] NAME...
create_topic() {
    "$root/tests/kafka/create-topics" "$KAFKA_BROKER" "$@"
}

# make_topics PARTITIONS: a set of the three topics, right as they should be, and two groups, which no
# other test has; a second call makes another set.
make_topics() {
    local set=$BATS_TEST_NUMBER-$((++topic_sets))
    export KAFKA_COMMANDS_TOPICS=commands-$set KAFKA_EVENTS_TOPICS=events-$set
    export KAFKA_REJECTIONS_TOPICS=rejections-$set
    export KAFKA_COMMANDS_GROUP_ID=commands-processors-$set
    export KAFKA_EVENTS_GROUP_ID=events-processors-$set
    calc-topics create --partitions "$1" >/dev/null
}

topic_sets=0

# read_topic TOPIC [OPTION...]: what is committed in it now, a record a line. The order is only that
# of each partition. Options are kcat's: -p 0.
read_topic() {
    consume '%s\n' "$@"
}

# read_topic_full TOPIC [OPTION...]: partition, offset, key, headers (name=value,...) and payload,
# with tabs between.
read_topic_full() {
    consume '%p\t%o\t%k\t%h\t%s\n' "$@"
}

consume() {
    local format=$1 topic=$2
    shift 2
    # An end is told when a fetch has come back empty.
    kcat -C -e -q -b "$KAFKA_BROKER" -t "$topic" -f "$format" -X isolation.level=read_committed \
        -X fetch.wait.max.ms=10 -X topic.metadata.refresh.interval.ms=200 "$@"
}

# has_records TOPIC COUNT: at least so many are committed. For until_true.
has_records() {
    (($(read_topic "$1" | grep -c '') >= $2))
}

# write_topic TOPIC [OPTION...]: a record a line, where Java's clients would put it; returns when all
# are there. With -K '\t' the key stands before a tab.
write_topic() {
    local topic=$1
    shift
    kcat -P -b "$KAFKA_BROKER" -t "$topic" -X partitioner=murmur2_random -X acks=all \
        -X linger.ms=0 "$@"
}

# write_commands [OPTION...]: lines of commands to their topic, with the value's id as the key.
write_commands() {
    sed -E 's/.*"value_id": *"([^"]*)".*/\1\t&/' | write_topic "$KAFKA_COMMANDS_TOPICS" -K '\t' "$@"
}
