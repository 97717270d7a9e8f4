#!/usr/bin/env bats
# calc-submit's inputs, good and bad, and what it makes of each.

bats_require_minimum_version 1.5.0
load helper

oracle=$BATS_TEST_DIRNAME/oracle
cases=$BATS_TEST_DIRNAME/cases/inputs
export PYTHONDONTWRITEBYTECODE=1

# accepted COMMANDS: calc-handle takes every line for a command.
accepted() {
    calc-handle -i "$1" -o events -r rejections
    "$oracle/oracle.py" check "$1" events rejections
    run ! grep malformed rejections
}

@test "there are at least sixty bad inputs and thirty good ones" {
    [ "$(grep -c '^# ' "$cases/bad.txt")" -ge 60 ]
    [ "$(grep -c '^# ' "$cases/good.txt")" -ge 30 ]
}

@test "every good input becomes the command that it means" {
    "$cases/build.py" make . --good
    calc-submit <inputs >commands 2>errors
    [ ! -s errors ]
    "$cases/build.py" compare . commands errors --good
    accepted commands
}

@test "ids that are filled in are new ones" {
    "$cases/build.py" make . --good
    calc-submit <inputs >commands
    [ -z "$(grep -o '"id":"[^"]*"' commands | sort | uniq -d)" ]
}

@test "every bad input is named by its line, and the good ones around it go through" {
    "$cases/build.py" make .
    # shellcheck disable=SC2002 # a pipe is wanted
    cat inputs | status_of 65 calc-submit >commands 2>errors
    "$cases/build.py" compare . commands errors
    accepted commands
}

@test "inputs from a file give the same" {
    "$cases/build.py" make .
    status_of 65 calc-submit -i inputs >commands 2>errors
    "$cases/build.py" compare . commands errors
}

@test "good inputs go to a log around bad ones, and each is acknowledged" {
    "$cases/build.py" make .
    status_of 65 calc-submit -o commands <inputs >acknowledged 2>errors
    "$cases/build.py" compare . commands errors
    [ "$(wc -l <acknowledged)" -eq "$(wc -l <commands)" ]
    calc-handle -i commands -o events -r rejections
    "$oracle/oracle.py" check commands events rejections --acks acknowledged
}

@test "commands that are submitted again stay what they are" {
    "$cases/build.py" make . --good
    calc-submit <inputs >commands
    calc-submit <commands >again
    cmp commands again
}

@test "blank lines are skipped, and count as lines" {
    printf '\n \t\r\n{"value":7}\n\nnonsense\n' >inputs
    status_of 65 calc-submit <inputs >commands 2>errors
    [ "$(wc -l <commands)" -eq 1 ]
    [[ $(cat errors) == "calc-submit: line 5: "* ]]
}

@test "random inputs give commands, each of which is acknowledged and decided once" {
    for seed in 1 2 3; do
        "$oracle/generate.py" --seed $seed --commands 2000 --nasty 0.2 --inputs >inputs
        status_of 65 calc-submit -o commands.$seed <inputs >acknowledged 2>errors
        # the lines that aren't blank are either acknowledged or named
        count=$(tr -d ' \t\r' <inputs | grep -ac .)
        [ $(($(wc -l <acknowledged) + $(grep -c '^calc-submit: line ' errors))) -eq "$count" ]
        calc-handle -i commands.$seed -o events.$seed -r rejections.$seed
        run ! grep malformed rejections.$seed
        "$oracle/oracle.py" check commands.$seed events.$seed rejections.$seed --acks acknowledged
    done
}
