# A short look by the fuzzers; tests/fuzz/run takes longer ones.

load helper

# fuzz TARGET
fuzz() {
    needs clang
    "$root/tests/fuzz/run" 3 "$1"
}

@test "the scanner and the JSON parser agree on whatever a fuzzer makes of messages" {
    fuzz scan
}

@test "a command is what jansson makes of its line, and what is written of any message reads back" {
    fuzz messages
}

@test "any line of calc-watch, any text and any double reads back from its SQL" {
    fuzz sql
}

@test "any bits are written as a number and read back, any text is read as strtod reads it" {
    fuzz number
}

@test "any bytes in any pieces give the lines of a simple split" {
    fuzz lines
}

@test "a log that ends in any bytes shows its whole lines, and an append cuts off the rest" {
    fuzz tail
}

@test "any CGI variables and any body get a well-formed answer, and a 202 only with a command" {
    fuzz cgi
}

@test "records of a state and a view that are anything are used or refused" {
    fuzz store
}

@test "any header, path and query is read to its end and no further" {
    fuzz headers
}

@test "any text is a policy if jansson finds nothing else in it, and allows what that says" {
    fuzz policy
}
