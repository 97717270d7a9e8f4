#!/usr/bin/env bats
# The short form of `make fuzz`.

load helper

@test "a few seconds of each fuzzer find no difference between scanner and JSON parser, and no crash" {
    needs clang
    # shellcheck disable=SC2154 # helper.bash sets it
    "$root/tests/fuzz/run" 4
}
