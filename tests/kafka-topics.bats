#!/usr/bin/env bats
# calc-topics makes topics that lose nothing, and says of others what is wrong with them; so does
# every other tool when it starts, by the same code.

# shellcheck disable=SC2154 # helper.bash sets root
load helper
load kafka

right=retention.ms=-1,retention.bytes=-1

# make_all PARTITIONS[,SETTING=VALUE...]: the three topics of this test, as wrong as is wanted.
make_all() {
    name_topics
    create_topic "$1" "$KAFKA_COMMANDS_TOPICS" "$KAFKA_EVENTS_TOPICS" "$KAFKA_REJECTIONS_TOPICS"
}

# name_topics: names that no other test has, for topics that aren't there.
name_topics() {
    export KAFKA_COMMANDS_TOPICS=c-$BATS_TEST_NUMBER KAFKA_EVENTS_TOPICS=e-$BATS_TEST_NUMBER
    export KAFKA_REJECTIONS_TOPICS=r-$BATS_TEST_NUMBER
}

# refused SENTENCE COUNT: check says so of each of COUNT topics, a line each, and nothing else.
refused() {
    status_of 78 calc-topics >lines 2>said
    [ "$(grep -c '' said)" -eq "$2" ]
    [ "$(grep -cE "^calc-topics: $1" said)" -eq "$2" ]
}

# ids COUNT [SEED]: that many UUIDs, the same ones every time.
ids() {
    python3 -c 'import random, sys, uuid
random.seed(sys.argv[2])
for _ in range(int(sys.argv[1])):
    print(uuid.UUID(int=random.getrandbits(128), version=4))' "$1" "${2:-1}"
}

# write_events: lines of stdin as keys of records in the events topic.
write_events() {
    sed 's/.*/&\t{"value":"&"}/' | write_topic "$KAFKA_EVENTS_TOPICS" -K '\t'
}

add_partitions() {
    "$kafka" topics "$KAFKA_DIR" --alter --partitions "$1" \
        --topic "$KAFKA_COMMANDS_TOPICS|$KAFKA_EVENTS_TOPICS|$KAFKA_REJECTIONS_TOPICS"
}

# own_broker [OPTION...]: one for this test alone, its folder in $own; teardown ends it.
own_broker() {
    own=$BATS_TEST_TMPDIR/own
    KAFKA_BROKER=$("$kafka" start "$own" --port 0 "$@")
}

teardown() {
    end_started
    [ ! -e "$BATS_TEST_TMPDIR/own/nodes" ] || "$kafka" kill "$BATS_TEST_TMPDIR/own"
}

# acl OPTION...: Kafka's own tool for permissions.
acl() {
    "$kafka" tool org.apache.kafka.tools.AclCommand \
        --bootstrap-server "$KAFKA_BROKER" "$@" >acls 2>&1
}

# --- making them ---

@test "create makes the three topics with the right settings, and check finds nothing" {
    name_topics
    calc-topics create >made 2>said
    [ ! -s said ]
    for topic in "$KAFKA_COMMANDS_TOPICS" "$KAFKA_EVENTS_TOPICS" "$KAFKA_REJECTIONS_TOPICS"; do
        echo '{"topic":"'"$topic"'","partitions":8,"replication":1,"min_insync_replicas":1,"created":true}'
    done >expected
    diff expected made
    sed 's/true/false/' expected >there
    calc-topics >checked 2>said
    diff there checked
    [ ! -s said ]
    calc-topics check | diff there -

    "$kafka" topics "$KAFKA_DIR" "$KAFKA_EVENTS_TOPICS" >described
    for setting in retention.ms=-1 retention.bytes=-1 cleanup.policy=delete \
        unclean.leader.election.enable=false min.insync.replicas=1; do
        grep -E "[ ,	]$setting(,|\$)" described
    done
}

@test "create leaves what is there as it is, and makes the rest with as many partitions" {
    name_topics
    create_topic "3,$right,max.message.bytes=2000000" "$KAFKA_EVENTS_TOPICS"
    calc-topics create >made
    grep -F '"topic":"'"$KAFKA_EVENTS_TOPICS"'","partitions":3,"replication":1,"min_insync_replicas":1,"created":false}' made
    [ "$(grep -c '"partitions":3,.*"created":true}' made)" -eq 2 ]
    "$kafka" topics "$KAFKA_DIR" "$KAFKA_EVENTS_TOPICS" | grep max.message.bytes=2000000
    calc-topics create >again
    [ "$(grep -c '"created":false}' again)" -eq 3 ]
}

@test "create makes nothing beside topics with another number of partitions" {
    name_topics
    create_topic "3,$right" "$KAFKA_EVENTS_TOPICS"
    status_of 78 calc-topics create --partitions 4 >made 2>said
    [ ! -s made ]
    grep "topic $KAFKA_EVENTS_TOPICS has 3 partitions, and all topics need the same number, not 4" said
    [ "$("$kafka" topics "$KAFKA_DIR" | grep -c -- "-$BATS_TEST_NUMBER\$")" -eq 1 ]
}

@test "of several creates at once one makes each topic, and none fails" {
    name_topics
    for i in 1 2 3 4 5; do
        calc-topics create --partitions 2 >"made.$i" 2>"said.$i" &
        creators[i]=$!
    done
    for i in 1 2 3 4 5; do
        wait "${creators[i]}"
    done
    [ "$(cat made.? | grep -c '"partitions":2,')" -eq 15 ]
    [ "$(cat made.? | grep -c '"created":true')" -eq 3 ]
    [ "$(cat said.?)" = '' ]
}

@test "create can't have more replicas than there are brokers, and says so" {
    name_topics
    status_of 78 calc-topics create --replication 2 2>said
    grep -i 'replication factor' said
    status_of 78 calc-topics create --min-insync 2 2>said
    grep 'with 2 in-sync replicas of 1 no write would ever succeed' said
    [ "$("$kafka" topics "$KAFKA_DIR" | grep -c -- "-$BATS_TEST_NUMBER\$")" -eq 0 ]
}

@test "of three brokers each has a copy and two are needed, and each knows the topics at once" {
    name_topics
    own_broker --nodes 3
    calc-topics create >made 2>said
    [ ! -s said ]
    [ "$(grep -c '"partitions":8,"replication":3,"min_insync_replicas":2,"created":true' made)" -eq 3 ]
    for broker in ${KAFKA_BROKER//,/ }; do
        KAFKA_BROKER=$broker calc-topics 2>said
        [ ! -s said ]
    done

    # one copy is enough for a write: that is said, and allowed
    calc-topics -i one -o two -r three create --min-insync 1 >made 2>said
    [ "$(grep -c '"replication":3,"min_insync_replicas":1,"created":true' made)" -eq 3 ]
    [ "$(grep -cE 'topic (one|two|three): min.insync.replicas is 1, .*: set it to 2$' said)" -eq 3 ]

    # with one broker away nothing is wrong
    ids 100 | write_events
    "$kafka" kill "$own" 2
    until_true 20 calc-topics 2>said
    status_of 78 calc-topics create --replication 4 -i more 2>said
    grep -i 'topic more can.t be made: .*replication factor' said
}

# --- what is wrong with them ---

@test "a topic that isn't there is refused, and create is named" {
    name_topics
    refused 'there is no topic [cer]-[0-9]+: make it with calc-topics create$' 3
    [ ! -s lines ]
}

@test "a topic that forgets after a time is refused" {
    make_all 2,retention.bytes=-1,retention.ms=604800000
    refused 'topic [cer]-[0-9]+: retention.ms is 604800000, so that old records are deleted: set it to -1$' 3
    [ "$(grep -c '"created":false}' lines)" -eq 3 ]
}

@test "a topic that forgets from a size on is refused" {
    make_all 2,retention.ms=-1,retention.bytes=1000000000
    refused 'topic [cer]-[0-9]+: retention.bytes is 1000000000, so that old records are deleted: set it to -1$' 3
}

@test "a topic that is compacted is refused, also if it is deleted from as well" {
    make_all "1,$right,cleanup.policy=compact"
    refused 'topic [cer]-[0-9]+: cleanup.policy is compact, which removes all but the last record of a value: set it to delete$' 3
    "$kafka" tool kafka.admin.ConfigCommand --bootstrap-server "$KAFKA_BROKER" \
        --alter --entity-type topics --entity-name "$KAFKA_EVENTS_TOPICS" \
        --add-config 'cleanup.policy=[compact,delete]' >altered 2>&1
    status_of 78 calc-topics 2>said
    grep "topic $KAFKA_EVENTS_TOPICS: cleanup.policy is compact,delete, which removes" said
}

@test "a topic whose leader may be a broker that missed records is refused" {
    make_all "1,$right,unclean.leader.election.enable=true"
    refused 'topic [cer]-[0-9]+: unclean.leader.election.enable is true, which can lose acknowledged records: set it to false$' 3
}

@test "a topic that needs more in-sync replicas than it has is refused" {
    make_all "1,$right,min.insync.replicas=2"
    refused 'topic [cer]-[0-9]+: min.insync.replicas is 2, more than its replicas \(1\), so that no write ever succeeds: set it to 1 at most, or add replicas$' 3
    grep '"min_insync_replicas":2' lines
}

@test "a topic that takes only smaller batches than are sent is refused, and -X can send smaller ones" {
    make_all "1,$right,max.message.bytes=100000"
    refused 'topic [cer]-[0-9]+: max.message.bytes is 100000, too small for what is written at once: set it to 1000000 or more$' 3
    calc-topics -X batch.size=100000 2>said
    [ ! -s said ]
    status_of 78 calc-topics -X batch.size=100001
    # a record is never split, whatever the batch
    create_topic 1,$right,max.message.bytes=66000 small
    status_of 78 calc-topics -X batch.size=1000 -i small 2>said
    grep 'topic small: max.message.bytes is 66000, too small .* set it to 66560 or more' said
}

@test "topics with different numbers of partitions are refused" {
    name_topics
    create_topic "2,$right" "$KAFKA_COMMANDS_TOPICS" "$KAFKA_REJECTIONS_TOPICS"
    create_topic "3,$right" "$KAFKA_EVENTS_TOPICS"
    refused 'the topics have different numbers of partitions \(c-[0-9]+ 2, e-[0-9]+ 3, r-[0-9]+ 2\), .*: make them anew, with the same number$' 1
}

@test "partitions that were added after the first events are found, and new topics advised" {
    make_all "4,$right"
    ids 40 | write_events
    calc-topics 2>said
    [ ! -s said ]
    add_partitions 6
    refused "topic e-[0-9]+: value [0-9a-f-]{36} is in partition [0-3], where 6 partitions don't put it: partitions were added after the first commands, and the history of a value is split. Make new topics .* \(calc-topics\(1\) shows how\)\$" 1
}

@test "added partitions are found behind many events of one value, and of other keys" {
    make_all "1,$right"
    # of two partitions half of the values stay in the first one
    create_topic 2 elsewhere
    ids 20 | sed 's/.*/&\t/' | write_topic elsewhere -K '\t'
    read_topic_full elsewhere >placed
    value=$(awk '$1 == 0 { print $3; exit }' placed)
    other=$(awk '$1 == 1 { print $3; exit }' placed)
    {
        for ((i = 0; i < 500; i++)); do
            echo "$value"
        done
        echo no-uuid
        echo "$other"
    } | write_events
    add_partitions 2
    refused "topic e-[0-9]+: value $other is in partition 0, where 2 partitions don't put it" 1
}

# recipe TITLE: the commands that calc-topics(1) has in this section, for this test's topics.
recipe() {
    awk -v title=".Ss $1" '/^\.S[sh]/ { here = $0 == title } /^\.Ed/ { inside = 0 }
        here && inside { sub(/^\$ /, ""); print } /^\.Bd/ { inside = 1 }' "$root/man/calc-topics.1" |
        sed "s/\\\\(aq/'/g; s/\\\\e/\\\\/g; s/localhost:9092/$KAFKA_BROKER/" |
        sed "s/-t commands/-t $KAFKA_COMMANDS_TOPICS/"
}

@test "after partitions were added, the manual's commands make new topics with each value's order" {
    # so that many values move to a partition that is read before their old one
    make_all "5,$right"
    ids 10 seed >values
    for n in {1..4}; do
        while read -r value; do
            printf '{"action":"UpdateValue","id":"%s","data":{"value_id":"%s","operation":"ADD",' \
                "0000000$n${value:8}" "$value"
            printf '"value":%d.0},"timestamp":"2026-11-23T11:00:00.000000Z"}\n' "$n"
        done <values
    done >written
    head -n 20 written | write_commands
    add_partitions 6
    tail -n 20 written | write_commands

    recipe 'Partitions that were added' >commands
    [ "$(grep -c . commands)" -eq 5 ]
    bash -e -o pipefail commands >printed
    [ "$(grep -c '"partitions":16,.*"created":true' printed)" -eq 3 ]
    read_topic commands2 >copied
    sort written | diff - <(sort copied)
    while read -r value; do
        diff <(grep "$value" written) <(grep "$value" copied)
    done <values
}

@test "partitions that were added before the first event do no harm" {
    make_all "2,$right"
    add_partitions 5
    ids 60 | write_events
    calc-topics 2>said
    [ ! -s said ]
}

@test "all that is wrong is told, a line each" {
    make_all 2,retention.bytes=5000000,unclean.leader.election.enable=true
    status_of 78 calc-topics 2>said
    [ "$(grep -c 'retention.bytes is' said)" -eq 3 ]
    [ "$(grep -c 'unclean.leader.election.enable is' said)" -eq 3 ]
}

@test "what may not be looked at is refused, and the permission named" {
    name_topics
    mkdir "$BATS_TEST_TMPDIR/own"
    printf '%s\n' authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
        allow.everyone.if.no.acl.found=true >"$BATS_TEST_TMPDIR/own/own.properties"
    own_broker
    calc-topics create
    acl --add --allow-principal 'User:*' --operation Describe --topic "$KAFKA_COMMANDS_TOPICS"
    acl --add --allow-principal 'User:*' --operation Describe --operation DescribeConfigs \
        --topic "$KAFKA_EVENTS_TOPICS"
    acl --add --allow-principal User:somebody --operation All --topic "$KAFKA_REJECTIONS_TOPICS"
    status_of 78 calc-topics 2>said
    [ "$(grep -c '' said)" -eq 3 ]
    form="can't be checked: there is no permission to"
    grep "topic $KAFKA_COMMANDS_TOPICS $form describe the settings of it; grant that" said
    grep "topic $KAFKA_EVENTS_TOPICS $form read it; grant that" said
    grep "topic $KAFKA_REJECTIONS_TOPICS $form describe it; grant that" said
}

# --- the rest ---

@test "every example in the pages that need a broker prints what the page says" {
    mapfile -t pages < <(grep -l '^\$ calc-topics create' "$root"/man/*.[17])
    [ ${#pages[@]} -ge 1 ]
    for page in "${pages[@]}"; do
        python3 "$root/tests/manual/examples.py" "$page"
    done
}

@test "a broker that is away, or doesn't answer, is 75 within the time" {
    name_topics
    SECONDS=0
    KAFKA_BROKER=127.0.0.1:1 calc-topics 2>away &
    first=$!
    "$kafka" pause "$KAFKA_DIR"
    calc-topics 2>silent &
    second=$!
    status_of 75 wait "$first"
    status_of 75 wait "$second"
    "$kafka" resume "$KAFKA_DIR"
    ((SECONDS >= 9 && SECONDS <= 15))
    grep 'calc-topics: Kafka at 127.0.0.1:1: no answer' away
    grep "calc-topics: Kafka at $KAFKA_BROKER: no answer" silent
}

@test "topics are named by -i, -o and -r, with kafka: or without, else by the environment" {
    name_topics
    calc-topics -i "kafka:$KAFKA_COMMANDS_TOPICS.x" -o "$KAFKA_EVENTS_TOPICS.x" create --partitions 1 >made
    grep '^{"topic":"'"$KAFKA_COMMANDS_TOPICS.x"'",' made
    grep '^{"topic":"'"$KAFKA_EVENTS_TOPICS.x"'",' made
    grep '^{"topic":"'"$KAFKA_REJECTIONS_TOPICS"'",' made
    calc-topics -i "kafka:$KAFKA_COMMANDS_TOPICS.x" -o "kafka:$KAFKA_EVENTS_TOPICS.x" -r kafka: >checked
    [ "$(grep -c . checked)" -eq 3 ]
}

@test "properties of the client are taken from -X and -F, and those of the guarantees refused" {
    name_topics
    broker=$KAFKA_BROKER
    printf '# where it is\nbootstrap.servers = %s\n' "$broker" >properties
    KAFKA_BROKER=127.0.0.1:1 calc-topics -F properties create --partitions 1
    KAFKA_BROKER=127.0.0.1:1 calc-topics -X "bootstrap.servers=$broker"
    status_of 64 calc-topics -X isolation.level=read_uncommitted 2>said
    grep "isolation.level can't be set" said
    status_of 64 calc-topics -X nonsense
    status_of 78 calc-topics -X no.such.property=1 2>said
    grep 'no.such.property' said
    echo partitioner=random >properties
    status_of 78 calc-topics -F properties
    status_of 74 calc-topics -F not-there
}

@test "a command line that makes no sense is 64" {
    for arguments in 'frobnicate' 'check create' '-i a,b' '-i file:x' '-i -' '-i kafka:..' \
        '--partitions 3' 'check --replication 1' 'create --partitions 0' 'create --partitions x' \
        'create --partitions -1' 'create --partitions 3000000000' 'create --replication 40000' \
        'create --replication 2 --min-insync 3' '-i same -o kafka:same' '--nonsense'; do
        # shellcheck disable=SC2086 # several arguments
        status_of 64 calc-topics $arguments 2>said
        [ "$(grep -c '^calc-topics: ' said)" -eq 1 ]
    done
}

@test "output that can't be written is 74" {
    name_topics
    status_of 74 calc-topics create --partitions 1 >/dev/full
}
