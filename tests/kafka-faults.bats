#!/usr/bin/env bats
# Handlers and brokers that are killed, stopped, fenced or robbed of what they know, under load. The long form
# is `make soak`.

bats_require_minimum_version 1.5.0
load helper

kafka_needs=(java mvn kcat python3)

setup() {
    needs "${kafka_needs[@]}"
    cd "$BATS_TEST_TMPDIR" || return 1
}

# one FAULT...: a round of each. Their brokers are this program's own.
one() {
    TMPDIR=$BATS_TEST_TMPDIR "$BATS_TEST_DIRNAME/faults/kafka.py" --rounds 1 --seed "$BATS_TEST_NUMBER" "$@"
}

@test "handlers that are killed, join, leave, are stopped or fenced emit every outcome once" {
    one kill-handler join-leave stop-cont abort
}

@test "a handler that lost its state, its offsets or both goes on where it was" {
    one lose-state lose-offsets lose-both
}

@test "a broker that is killed and started again loses nothing that was acknowledged" {
    one kill-broker
}

@test "one broker of three can be killed" {
    one kill-one-of-three
}
