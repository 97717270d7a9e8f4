#!/usr/bin/env bats
# The document at /openapi.json says what the calculator does.

# shellcheck disable=SC2154,SC2034 # http/servers.bash sets and reads them
load helper
load http/servers

@test "the document has every status that the table of requests has, and no other" {
    needs python3
    "$here/openapi.py" "$conf/openapi.json" "$here/requests.jsonl"
}

@test "the document that is served is the one in the sources" {
    needs jq
    env -i REQUEST_METHOD=GET SCRIPT_NAME= PATH_INFO=/openapi.json CALC_COMMANDS=commands \
        CALC_VIEW=view PATH="$PATH" calc-cgi | sed '1,/^\r$/d' >served
    cmp served "$conf/openapi.json"
}

# Streams have no end, and are left out.
@test "schemathesis finds nothing" {
    needs python3 curl
    "$here/schemathesis" --version >version 2>errors || {
        [ $? -eq 69 ] && skip "schemathesis can't be installed"
        cat errors
        false
    }
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    : >commands
    mkdir run
    start_calculator
    start_listener run/calc-cgi.sock
    port=$(free_port)
    in_group python3 "$here/bare.py" run/calc-cgi.sock "$port" 2>>log
    until_true 10 status_is 200 "http://127.0.0.1:$port/healthz"
    "$here/schemathesis" run "http://127.0.0.1:$port/openapi.json" --checks all \
        --exclude-operation-id getEvents --exclude-operation-id getValueEvents \
        --max-examples "${EXAMPLES:-15}" --seed "${SEED:-1}" --workers 2 --continue-on-failure --no-color >found || {
        sed -n '/FAILURES/,$p' found
        false
    }
    grep -q 'No issues found' found
}
