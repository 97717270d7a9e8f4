#!/usr/bin/env bats
# A broker that takes nobody without TLS, a name and a password, and rights for each part: who can do
# what, what becomes of who can't, and where no password ever appears.

bats_require_minimum_version 1.5.0
load helper
load kafka
load secured

setup_file() {
    local program
    for program in "${kafka_needs[@]}"; do
        command -v "$program" >/dev/null || return 0
    done
    start_secured && calc-topics -F "$(as calc-topics)" create --partitions 2 >"$BATS_FILE_TMPDIR/made"
}

# patterns: every secret, also as it would go over a wire or into a dump.
patterns() {
    local secret
    cut -d ' ' -f 2 "$secured/passwords" | while read -r secret; do
        echo "$secret"
        printf %s "$secret" | base64 -w 0 | sed 's/=*$/\n/'
        printf %s "$secret" | od -An -v -tx1 | tr -d ' \n' && echo
    done
    sed -n '/PRIVATE/,/PRIVATE/{/PRIVATE/!p}' "$secured"/*.key
}

# counts TOPIC: the records that stand there, as the broker's own user sees them.
counts() {
    kcat -C -e -q -F "$(as broker)" -b "$KAFKA_BROKER" -t "$1" -f '%p\n' -X fetch.wait.max.ms=10 2>/dev/null |
        grep -c '' || true
}

all_counts() {
    local topic
    for topic in commands events rejections; do
        counts $topic
    done
}

# as_cgi METHOD URI [NAME=VALUE...]: plain CGI, its answer to ./answer, what it says to ./said.
as_cgi() {
    env -i PATH="$PATH" KAFKA_BROKER="$KAFKA_BROKER" LOG_LEVEL="${LOG_LEVEL-}" GATEWAY_INTERFACE=CGI/1.1 \
        SERVER_PROTOCOL=HTTP/1.1 REQUEST_METHOD="$1" SCRIPT_NAME= REQUEST_URI="$2" CALC_COMMANDS=kafka: \
        CALC_VIEW=view "${@:3}" calc-cgi >answer 2>>said
}

# refused STATUS PATTERN COMMAND...: it ends by itself, in time, with that status, and says why.
refused() {
    local expected=$1 pattern=$2
    shift 2
    status_of "$expected" timeout 30 "$@" >>printed 2>refusal </dev/null || {
        cat refusal
        return 1
    }
    grep -qiE "$pattern" refusal || {
        cat refusal
        return 1
    }
}

# scram TOOL...: as calc-submit, by SCRAM-SHA-512.
scram() {
    sed 's/^sasl.mechanisms=.*/sasl.mechanisms=SCRAM-SHA-512/' "$(as calc-submit)" >"$secured/scram.properties"
    chmod 600 "$secured/scram.properties"
    "$1" -F "$(as scram)" "${@:2}"
}

# Everything once, each part by its own name; what they print goes into files.
pipeline() {
    calc-topics -F "$(as calc-topics)" "$@" create >topics 2>topics.said
    calc-submit -F "$(as calc-submit)" "$@" -o kafka: create 7 >submitted 2>submitted.said
    calc-submit -F "$(as calc-submit)" "$@" -o kafka: add "$(jq -r .value_id submitted)" 3 \
        >added 2>added.said
    calc-submit -F "$(as calc-submit)" "$@" -o kafka: add "$(cat /proc/sys/kernel/random/uuid)" 3 >stray 2>stray.said
    printf '{"value":2}' | as_cgi POST /values CONTENT_LENGTH=11 CALC_KAFKA_CONFIG="$(as calc-cgi)"
    calc-handle -F "$(as calc-handle)" "$@" -e -i kafka: -o kafka: -r kafka: --state state 2>handled.said
    calc-project -F "$(as calc-project)" "$@" -e -i kafka: -r kafka: --view view 2>projected.said
    calc-get --view view --all >values
    calc-watch --view view --from beginning -e >watched
    calc-verify -F "$(as calc-verify)" "$@" -i kafka: -o kafka: -r kafka: --state state --view view \
        >verified 2>verified.said
}

@test "the whole pipeline runs, each part by its own name and rights" {
    pipeline
    [ "$(jq -c 'select(.created)' "$BATS_FILE_TMPDIR/made" | wc -l)" -eq 3 ]
    [ "$(jq -c 'select(.created | not)' topics | wc -l)" -eq 3 ]
    grep -q '^Status: 202' answer
    [ "$(jq -r .value values | sort -n | paste -sd ' ')" = "2 10" ]
    [ "$(grep -c '' watched)" -eq 4 ]
    grep -q unknown_value watched
    # who has all rights that it asks for has nothing to say
    cat topics.said said handled.said projected.said verified.said
    [ ! -s topics.said ] && [ ! -s said ] && [ ! -s handled.said ]
    [ ! -s projected.said ] && [ ! -s verified.said ]
    [ ! -s submitted.said ]
}

@test "no secret is in anything that was written, nor in a command line" {
    patterns >"$secured/patterns"
    background "$root/tests/kafka/watch-cmdlines" "$secured/patterns" >cmdlines
    watcher=${started[-1]}
    until_true 10 grep -q ready cmdlines
    # it would be seen
    background perl -e 'sleep 600' "$(password calc-handle)"
    until_true 10 grep -q seen cmdlines
    kill "${started[-1]}"

    export LOG_LEVEL=debug
    pipeline -X debug=all -X statistics.interval.ms=20
    printf '{"value":2}' | as_cgi POST /values CONTENT_LENGTH=11 \
        CALC_KAFKA_CONFIG="$(as calc-handle)" # which may not
    scram calc-submit -X debug=all -o kafka: create 1 >by-scram 2>&1 || true

    kill "$watcher"
    until_true 10 grep -q looks cmdlines
    cat cmdlines
    [ "$(sed -n 's/^looks //p' cmdlines)" -ge 20 ]
    [ "$(grep -c seen cmdlines)" -eq 1 ]
    rm cmdlines

    # librdkafka did speak about its settings, and about itself
    grep -q 'sasl\.password' handled.said
    grep -q '"txmsgs"' handled.said
    grep -rlaF -f "$secured/patterns" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" | sort -u >places
    # the secrets' own folder, and the broker's own settings, which are private
    grep -vE "^$BATS_FILE_TMPDIR/(secured/|kafka/own\.properties$|kafka/node-1/server\.properties$)" places || true
    [ "$(grep -cvE "^$BATS_FILE_TMPDIR/(secured/|kafka/own\.properties$|kafka/node-1/server\.properties$)" places)" -eq 0 ]
    grep -q "^$secured/calc-handle\.properties$" places
}

# may_not USER TOPIC: a record of his is refused.
may_not() {
    echo '{}' | timeout 20 kcat -P -F "$(as "$1")" -b "$KAFKA_BROKER" -t "$2" \
        -X topic.metadata.refresh.interval.ms=100 >kcat.said 2>&1 || true
    grep -qi 'authorization failed' kcat.said || {
        echo "$1 may write $2?"
        cat kcat.said
        return 1
    }
}

@test "each part may write what it has to, and nothing else" {
    before=$(all_counts)
    for user in calc-handle calc-project calc-verify calc-topics; do
        may_not $user commands
    done
    for user in calc-cgi calc-submit calc-project calc-verify calc-topics; do
        may_not $user events
        may_not $user rejections
    done
    [ "$before" = "$(all_counts)" ]
}

@test "what a part may not do, it says, and ends with 78" {
    # the handler's name doesn't write commands, the API's decides none
    refused 78 'commands.*authorization failed' calc-submit -F "$(as calc-handle)" -o kafka: create 1
    refused 78 'events.*(authorization failed|permission)' \
        calc-submit -F "$(as calc-cgi)" -o kafka:events create 1
    refused 78 'no permission to|authorization failed' \
        calc-handle -F "$(as calc-cgi)" -e -i kafka: -o kafka: -r kafka: --state state
    refused 78 'authorization failed' calc-project -F "$(as calc-submit)" -e -i kafka: -r kafka: --view view
    refused 78 'permission|authorization failed' \
        calc-verify -F "$(as calc-project)" -i kafka: -o kafka: -r kafka:
    refused 78 'authorization failed|permission' calc-topics -F "$(as calc-submit)" -i new create
    [ ! -e view/current ] || [ -z "$(calc-get --view view --all)" ]

    printf '{"value":2}' | as_cgi POST /values CONTENT_LENGTH=11 CALC_KAFKA_CONFIG="$(as calc-handle)"
    grep -q '^Status: 503' answer
    cat said
    grep -qi 'authorization failed' said
}

@test "a handler that lacks one right says which, and ends" {
    before=$(counts events)
    calc-submit -F "$(as calc-submit)" -o kafka: create 5 2>/dev/null
    refused 78 'group authorization failed' \
        calc-handle -F "$(as no-group)" -e -i kafka: -o kafka: -r kafka: --state one
    refused 78 'transactional id authorization failed' \
        calc-handle -F "$(as no-transactions)" -e -i kafka: -o kafka: -r kafka: --state two
    refused 78 'topic authorization failed' \
        calc-handle -F "$(as no-events)" -e -i kafka: -o kafka: -r kafka: --state three
    [ "$(counts events)" -eq "$before" ]
    # nothing of theirs is in the way
    calc-handle -F "$(as calc-handle)" -e -i kafka: -o kafka: -r kafka: --state four
    [ "$(counts events)" -gt "$before" ]
}

# every_tool FILE STATUS PATTERN: is refused the same way, by whatever it asks first.
every_tool() {
    refused "$2" "$3" calc-topics -F "$1"
    refused "$2" "$3" calc-submit -F "$1" -o kafka: create 1
    refused "$2" "$3" calc-submit -F "$1" -f -i kafka:inputs -o log
    refused "$2" "$3" calc-handle -F "$1" -f -i kafka: -o kafka: -r kafka: --state state
    refused "$2" "$3" calc-project -F "$1" -f -i kafka: -r kafka: --view view
    refused "$2" "$3" calc-verify -F "$1" -i kafka: -o kafka: -r kafka:
    : >said
    printf '{"value":2}' | as_cgi POST /values CONTENT_LENGTH=11 CALC_KAFKA_CONFIG="$1"
    grep -q '^Status: 503' answer
    grep -qiE "$3" said
}

@test "an unknown user and a wrong password are refused, and it is said at once" {
    (umask 077 && sed 's/^sasl.username=.*/sasl.username=nobody/' "$(as calc-submit)" >nobody)
    (umask 077 && sed 's/^sasl.password=.*/sasl.password=wrong/' "$(as calc-submit)" >wrong)
    every_tool nobody 78 'authentication (error|fail)'
    refused 78 'authentication (error|fail)' calc-submit -F wrong -o kafka: create 1
    run ! grep 'wrong' printed refusal said
}

@test "a broker whose certificate isn't trusted, or is another host's, gets no password" {
    (cd "$secured" && [ -e rogue.crt ] || authority rogue)
    (umask 077 && sed "s,ca.crt,rogue.crt," "$(as calc-submit)" >untrusting)
    every_tool untrusting 78 'certificate verify failed'
    KAFKA_BROKER=localhost:${KAFKA_BROKER##*:} refused 78 'certificate verify failed|hostname mismatch' \
        calc-submit -F "$(as calc-submit)" -o kafka: create 1
}

@test "nothing goes without TLS" {
    (umask 077 && sed 's/SASL_SSL/SASL_PLAINTEXT/' "$(as calc-submit)" >unsafe)
    refused 75 'Kafka at' calc-submit -F unsafe -X message.timeout.ms=1000 -o kafka: create 1
}
