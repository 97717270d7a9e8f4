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
    for id in "${started[@]}" "${holders[@]}"; do
        kill "$id" 2>/dev/null || true
    done
    for id in "${started[@]}" "${holders[@]}"; do
        wait "$id" 2>/dev/null || true
    done
    started=()
    holders=()
}

started=()
holders=()

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

# hold_lock FD [-s]: takes the flock of an open file, exclusive or shared, by a process that stays:
# /proc/locks doesn't show who waits for a lock whose owner has ended, unless its pid namespace is
# the first one. `flock -u FD` gives it back.
hold_lock() {
    local held=$BATS_TEST_TMPDIR/.held
    rm -f "$held"
    # shellcheck disable=SC2016 # Perl's own variables
    perl -MFcntl=:flock -e 'my ($fd, $kind, $held) = @ARGV;
        open my $file, "<&=", $fd or die; flock $file, $kind eq "-s" ? LOCK_SH : LOCK_EX or die;
        open my $said, ">", $held or die; close $said; sleep 600' "$1" "${2:--x}" "$held" 3>&- &
    holders+=($!)
    until_true 10 test -e "$held"
}

# storm PROCESS: sends it SIGUSR1 as fast as can be, from when it has a handler for it (signal 10) to its end.
storm() {
    local caught=0
    until [[ $(cat "/proc/$1/comm" 2>/dev/null) == calc-* ]]; do # and no shell any more, which has its own
        kill -0 "$1" || return 0
    done
    until ((0x$caught & 1 << 9)); do
        caught=$(awk '/^SigCgt/ { print $2 }' "/proc/$1/status" 2>/dev/null) || return 0
        caught=${caught:-0}
    done
    while kill -USR1 "$1" 2>/dev/null; do :; done
}
