#!/usr/bin/env bats
# A broker that takes nobody without TLS, a name and a password, and rights for each part: who can do
# what, what becomes of who can't, and where no password ever appears.

# shellcheck disable=SC2030,SC2031,SC2034 # each test is a process of its own; secured.bash reads by
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
    kcat -C -e -q -F "$(as broker)" -b "$KAFKA_BROKER" -t "$1" -f '%p\n' -X fetch.wait.max.ms=10 >partitions &&
        wc -l <partitions
}

all_counts() {
    local topic
    for topic in commands events rejections; do
        counts $topic || return 1
    done
}

# as_cgi METHOD URI [NAME=VALUE...]: plain CGI, its answer to ./answer, what it says to ./said.
as_cgi() {
    env -i PATH="$PATH" LD_LIBRARY_PATH="${LD_LIBRARY_PATH-}" KAFKA_BROKER="$KAFKA_BROKER" \
        LOG_LEVEL="${LOG_LEVEL-}" GATEWAY_INTERFACE=CGI/1.1 SERVER_PROTOCOL=HTTP/1.1 REQUEST_METHOD="$1" \
        SCRIPT_NAME= REQUEST_URI="$2" CALC_COMMANDS=kafka: CALC_VIEW=view "${@:3}" calc-cgi >answer 2>>said
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

# handler [OPTION...]: always under one name, so that no test has to wait until the group misses another's.
handler() {
    calc-handle -F "$(as calc-handle)" -i kafka: -o kafka: -r kafka: --state state --instance one "$@"
}

# Everything once, each part by its own name; what they print goes into files.
pipeline() {
    calc-topics -F "$(as calc-topics)" "$@" create >topics 2>topics.said
    calc-submit -F "$(as calc-submit)" "$@" -o kafka: create 7 >submitted 2>submitted.said
    calc-submit -F "$(as calc-submit)" "$@" -o kafka: --stats added.stats add "$(jq -r .value_id submitted)" 3 \
        >added 2>added.said
    calc-submit -F "$(as calc-submit)" "$@" -o kafka: add "$(cat /proc/sys/kernel/random/uuid)" 3 >stray 2>stray.said
    printf '{"value":2}' | as_cgi POST /values CONTENT_LENGTH=11 CALC_KAFKA_CONFIG="$(as calc-cgi)"
    mv answer posted
    handler "$@" -e --stats handled.stats 2>handled.said
    calc-project -F "$(as calc-project)" "$@" -e -i kafka: -r kafka: --view view --stats projected.stats 2>projected.said
    calc-get --view view --all >values
    calc-watch --view view --from beginning -e --stats watched.stats >watched
    calc-verify -F "$(as calc-verify)" "$@" -i kafka: -o kafka: -r kafka: --state state --view view \
        >verified 2>verified.said
    until_true 20 is_measured
    as_cgi GET /healthz CALC_KAFKA_CONFIG="$(as calc-cgi)"
    mv answer health
}

is_measured() {
    as_cgi GET /metrics CALC_KAFKA_CONFIG="$(as calc-cgi)"
    mv answer metrics
    grep -q calc_commands_total metrics
}

# What a pipeline has done is all there, and who has all rights that it asks for has nothing to say.
pipeline_is_through() {
    grep -q '^Status: 202' posted
    [ "$(jq -s '.[] | select(.value_id == "'"$(jq -r .value_id submitted)"'").value' values)" = 10 ]
    [ "$(jq -s ".[] | select(.value_id == $(tail -n 1 posted)).value" values)" = 2 ]
    grep '"reason":"unknown_value"' watched | grep -q "$(jq -r .id stray)"
    grep -q '^Status: 200' health
    [ "$(sed -n 's/^calc_handler_lag_records{.*} //p' metrics | paste -sd ' ')" = '0 0' ]
    [ "$(jq .records_in.events projected.stats)" -ge 3 ]
    [ "$(jq .records_out.commands added.stats)" -eq 1 ]
    cat ./*.said
    [ "$(cat said ./*.said | grep -c '')" -eq 0 ]
}

@test "the whole pipeline runs, each part by its own name and rights" {
    pipeline
    pipeline_is_through
    [ "$(jq -c 'select(.created)' "$BATS_FILE_TMPDIR/made" | wc -l)" -eq 3 ]
    [ "$(jq -c 'select(.created | not)' topics | wc -l)" -eq 3 ]
    [ "$(jq -r .value values | sort -n | paste -sd ' ')" = "2 10" ]
    [ "$(jq .records_in.commands handled.stats)" -eq 4 ]
    [ "$(grep -c '' watched)" -eq 4 ]
}

# What calc-security(7) says is the oldest that does, and the newest one.
@test "by SCRAM over TLS, and nothing else, the whole pipeline runs, too" {
    for version in 2.6.1 2.16.0; do
        by_scram $version
        mkdir $version
        cd $version
        kcat -V | grep -q "librdkafka $version"
        pipeline
        pipeline_is_through
        cd "$BATS_TEST_TMPDIR"
    done
    by=''
    refused 78 'unsupported SASL mechanism' calc-submit -F "$(as calc-submit)" -o kafka: create 1
}

@test "by SCRAM over TLS the rights are each part's, and a wrong password is refused at once" {
    by_scram 2.6.1
    before=$(all_counts)
    may_not calc-handle commands
    may_not calc-cgi events
    may_not calc-submit rejections
    refused 78 'commands.*authorization failed' calc-submit -F "$(as calc-handle)" -o kafka: create 1
    refused 78 'events.*(authorization failed|permission)' \
        calc-submit -F "$(as calc-cgi)" -o kafka:events create 1
    [ "$before" = "$(all_counts)" ]
    (umask 077 && sed 's/^sasl.password=.*/sasl.password=wrong/' "$(as calc-handle)" >wrong)
    SECONDS=0
    refused 78 'authentication (error|fail)' calc-submit -F wrong -o kafka: create 1
    refused 78 'authentication (error|fail)' calc-handle -F wrong -i kafka: -o kafka: -r kafka: --state state
    [ "$SECONDS" -lt 20 ]
}

@test "SCRAM by a librdkafka that is too old for Kafka 4 is refused, and it is said at once" {
    KAFKA_BROKER=$(scram_door)
    by=.scram
    has=$(kcat -V | sed -n 's/.*librdkafka \([0-9.]*\).*/\1/p')
    if [ "$(printf '%s\n' 2.6.1 "$has" | sort -V | head -n 1)" = 2.6.1 ]; then
        calc-submit -F "$(as calc-submit)" -o kafka: create 1
    else
        refused 78 'invalid credentials with SASL mechanism SCRAM' \
            calc-submit -F "$(as calc-submit)" -o kafka: create 1
    fi
}

# ask METHOD URI BODY: of the process that stays.
ask() {
    printf %s "$3" | env -i PATH="$PATH" REQUEST_METHOD="$1" REQUEST_URI="$2" SCRIPT_NAME= CONTENT_LENGTH=${#3} \
        cgi-fcgi -bind -connect socket
}

# staying OPTION...: what stays speaks about itself, too, when it is asked for it.
staying() {
    background calc-handle -F "$(as calc-handle)" "$@" -i kafka: -o kafka: -r kafka: --state state --instance one \
        2>handler.asked
    background calc-project -F "$(as calc-project)" "$@" -i kafka: -r kafka: --view view 2>projector.asked
    mkfifo inputs
    background calc-submit -F "$(as calc-submit)" "$@" -i inputs -o kafka: 2>submitter.asked
    exec 8>inputs
    CALC_COMMANDS=kafka: CALC_VIEW=view background calc-cgi --listen socket -F "$(as calc-cgi)" "$@" 2>cgi.asked
    until_true 20 test -S socket
    for tool in handler projector submitter; do
        until_true 20 test -s $tool.asked
    done
    kill -USR1 "${started[@]:0:3}"
    for tool in handler projector submitter; do
        until_true 20 grep -q '^{"tool":' $tool.asked
    done
    ask POST /values '{"value":2}' >posted-there
    ask GET /metrics >metrics-there
    ask GET /healthz >health-there
    grep -q '^Status: 202' posted-there
    grep -q 'calc_appends_total{result="done"} 1' metrics-there
    grep -q '^Status: 200' health-there
    exec 8>&-
    end_started
}

# with_secrets SECRET...: what a command line or a line of a file that is refused has in it isn't repeated.
with_secrets() {
    local secret tool
    for secret; do
        for tool in calc-submit calc-handle calc-project calc-verify calc-topics calc-cgi; do
            status_of 64 "$tool" -X "sasl.password=$secret" </dev/null
            status_of 64 "$tool" -X "acks=$secret" </dev/null
            status_of 64 "$tool" -X "$secret" </dev/null
        done
        # what only librdkafka can say
        status_of 78 calc-topics -X "no.such=$secret"
        status_of 78 calc-topics -X "linger.ms=$secret"
        (umask 077 && echo "linger.ms=$secret" >"$secured/refused.properties")
        status_of 78 calc-topics -F "$secured/refused.properties"
    done >refused.said 2>&1
    [ "$(grep -c '^calc-' refused.said)" -ge 21 ]
}

@test "no secret is in anything that was written, nor in a command line" {
    needs cgi-fcgi
    patterns >"$secured/patterns"
    background "$root/tests/kafka/watch-cmdlines" "$secured/patterns" >cmdlines
    watcher=${started[-1]}
    until_true 10 grep -q ready cmdlines
    # it would be seen
    background perl -e 'sleep 600' "$(password calc-handle)"
    until_true 10 grep -q seen cmdlines
    kill "${started[-1]}"
    started=()

    export LOG_LEVEL=debug
    pipeline -X debug=all -X statistics.interval.ms=20
    # who may not
    printf '{"value":2}' | as_cgi POST /values CONTENT_LENGTH=11 CALC_KAFKA_CONFIG="$(as calc-handle)"
    as_cgi GET /metrics CALC_KAFKA_CONFIG="$(as calc-submit)"
    staying -X debug=all
    mkdir by-scram
    (cd by-scram && by_scram 2.16.0 && pipeline -X debug=all)

    kill "$watcher"
    until_true 10 grep -q looks cmdlines
    cat cmdlines
    [ "$(sed -n 's/^looks //p' cmdlines)" -ge 20 ]
    [ "$(grep -c seen cmdlines)" -eq 1 ]
    rm cmdlines
    with_secrets "$(password calc-handle)"

    # librdkafka did speak about its settings, and about itself
    grep -q 'sasl\.password' handled.said
    grep -q '"txmsgs"' handled.said
    grep -q 'SCRAM' by-scram/handled.said
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
        calc-handle -F "$(as no-group)" -e -i kafka: -o kafka: -r kafka: --state one --instance one
    refused 78 'transactional id authorization failed' \
        calc-handle -F "$(as no-transactions)" -e -i kafka: -o kafka: -r kafka: --state two --instance one
    refused 78 'topic authorization failed' \
        calc-handle -F "$(as no-events)" -e -i kafka: -o kafka: -r kafka: --state three --instance one
    [ "$(counts events)" -eq "$before" ]
    # nothing of theirs is in the way
    handler -e
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

# imposter: has a port, a certificate of its own authority, and writes what it is told into heard.
imposter() {
    (cd "$secured" && authority rogue && certify imposter rogue IP:127.0.0.1)
    mkfifo mouth
    # it ends at the end of its input
    openssl s_server -accept 127.0.0.1:0 -cert "$secured/imposter.pem" <>mouth >heard 2>&1 3>&- &
    started+=($!)
    until_true 10 grep -q '^ACCEPT 127' heard
    sed -n 's/^ACCEPT //p' heard
}

@test "a broker whose certificate isn't trusted, or is another host's, gets no password" {
    imposter >place
    (umask 077 && sed "s,ca.crt,rogue.crt," "$(as calc-submit)" >untrusting)
    every_tool untrusting 78 'certificate verify failed'
    KAFKA_BROKER=localhost:${KAFKA_BROKER##*:} refused 78 'certificate verify failed|hostname mismatch' \
        calc-submit -F "$(as calc-submit)" -o kafka: create 1
    # nor is it told anything else, as one that is trusted would be
    KAFKA_BROKER=$(cat place) refused 78 'certificate verify failed' \
        calc-submit -F "$(as calc-submit)" -o kafka: create 1
    run ! grep -a librdkafka heard
    status_of 124 env KAFKA_BROKER="$(cat place)" timeout 2 calc-submit -F untrusting -o kafka: create 1
    grep -aq librdkafka heard
}

@test "nothing goes without TLS" {
    (umask 077 && sed 's/SASL_SSL/SASL_PLAINTEXT/' "$(as calc-submit)" >unsafe)
    refused 75 'Kafka at' calc-submit -F unsafe -X message.timeout.ms=1000 -o kafka: create 1
}
