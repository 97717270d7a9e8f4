# What every test file loads: the tools on PATH, a folder of its own as the working folder, and
# waiting for a condition with a deadline.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CALC_BIN=${CALC_BIN:-$root/build/bin}
PATH=$CALC_BIN:/usr/sbin:$PATH
unset CALC_VIEW CALC_COMMANDS CALC_BASE CALC_POLICY LOG_LEVEL

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# until_true SECONDS COMMAND...: runs it until it succeeds; fails with its name at the deadline.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS > deadline)); then
            echo "not true in time: $*" >&2
            return 1
        fi
        sleep 0.02
    done
}

# background COMMAND...: starts it; its process id is appended to $started (ended by teardown).
background() {
    "$@" 3>&- &
    started+=($!)
}

# ends the processes that the test started, and waits for them.
end_started() {
    local id
    for id in "${started[@]}"; do
        kill "$id" 2>/dev/null || true
    done
    for id in "${started[@]}"; do
        wait "$id" 2>/dev/null || true
    done
    started=()
}

started=()

teardown() {
    end_started
}

# status_of EXPECTED COMMAND...: its exit status is the one expected; what it prints goes through.
status_of() {
    local expected=$1 got=0
    shift
    "$@" || got=$?
    if ((got != expected)); then
        echo "exit status $got, not $expected: $*" >&2
        return 1
    fi
}

# needs PROGRAM...: skips the test if one isn't installed.
needs() {
    local program
    for program; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}
