# A short look by the fuzzers; tests/fuzz/run takes longer ones.

load helper

# fuzz TARGET
fuzz() {
    needs clang
    "$root/tests/fuzz/run" 5 "$1"
}

@test "the scanner and the JSON parser agree on whatever a fuzzer makes of messages" {
    fuzz scan
}

@test "any bits are written as a number and read back, any text is read as strtod reads it" {
    fuzz number
}

@test "any bytes in any pieces give the lines of a simple split" {
    fuzz lines
}

@test "any header, path and query is read to its end and no further" {
    fuzz headers
}
