#!/usr/bin/env bats
# Views and states that were copied while they were in use, and what becomes of them when they are
# restored: calc-overview(7), whose commands these are.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

# make_logs FIRST COUNT: commands, the same ones of one number, and their outcomes.
make_logs() {
    "$root/tests/bench/make.py" "$2" | tail -n +"$1" | calc-submit -o commands >/dev/null
    calc-handle -i commands -o events -r rejections
}

project() {
    calc-project -i events -r rejections --view view "$@"
}

# back_up FOLDER: the view.
back_up() {
    mkdir -p "$1/1" && mdb_copy "view/$(readlink view/current)" "$1/1" && ln -s 1 "$1/current"
}

shows_all() {
    calc-project -i events | cmp -s - <(calc-get --view view --all)
}

@test "a view is copied while it is written, and each copy goes on from where it is" {
    needs mdb_copy
    make_logs 1 4000
    : >events.less
    calc-project -f -i events.less --view view 3>&- &
    projector=$!
    started+=("$projector")
    until_true 20 test -e view/current
    back_up backup.0
    split -n l/4 -d -a 1 events part.
    for part in 0 1 2 3; do
        # shellcheck disable=SC2094 # the lock is on what is appended to
        flock events.less cat part.$part >>events.less
        back_up backup.$((part + 1))
    done
    kill "$projector"
    wait "$projector"
    make_logs 4001 5000
    for part in 0 1 2 3 4; do
        rm -r view
        cp -a backup.$part view
        project
        shows_all
        project --rebuild
        shows_all
    done
}

@test "a copy that is made while the view is rebuilt and switched is whole" {
    needs mdb_copy
    make_logs 1 2000
    calc-project -f -i events -r rejections --view view 2>errors 3>&- &
    started+=($!)
    until_true 20 test -e view/current
    until_true 20 shows_all
    while [ ! -e enough ]; do
        project --rebuild
    done 3>&- &
    rebuilds=$!
    started+=("$rebuilds")
    copies=0
    for ((i = 0; copies < 20; i++)); do
        ((i < 1000))
        rm -rf backup
        back_up backup 2>/dev/null || continue # switched at this moment
        calc-get --view backup --all >all
        calc-project -i events | cmp - all
        copies=$((copies + 1))
    done
    : >enough
    wait "$rebuilds"
}

@test "a view and a state that are ahead of restored logs are refused, and can be removed" {
    make_logs 1 1000
    project
    truncate -s "$(head -n 100 events | wc -c)" events
    run -65 --separate-stderr project
    [[ $stderr == *"events ends"* ]]
    run -65 --separate-stderr calc-handle -i commands -o events -r rejections
    [[ $stderr == *"events ends"*"outcomes are lost"* ]]
    rm -r view events.state
    calc-handle -i commands -o events -r rejections
    project
    shows_all
}

@test "a state of files that was copied while it was in use goes on from there when it is restored" {
    needs mdb_copy
    make_logs 1 2000
    calc-handle -f -i commands -o events -r rejections 3>&- &
    handler=$!
    started+=("$handler")
    for n in $(cd events.state && echo [0-9]*); do
        mkdir -p "backup/$n"
        mdb_copy "events.state/$n" "backup/$n"
    done
    "$root/tests/bench/make.py" 4000 | tail -n +2001 | calc-submit -o commands >acks
    calc-submit -o commands create 1 >acks
    last=$(sed 's/.*"id":"\([^"]*\)".*/\1/; q' acks)
    until_true 30 grep -q "$last" events
    kill "$handler"
    wait "$handler"
    rm -r events.state
    cp -a backup events.state
    calc-handle -i commands -o events -r rejections
    calc-handle -i commands 2>derived.rejections | cmp - events
    grep '^{' derived.rejections | cmp - rejections
}
