#!/usr/bin/env bats
# calc-verify: logs, state and view against what the commands derive.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper
load inputs

examples=$BATS_TEST_DIRNAME/examples

setup_file() {
    command -v gcc >/dev/null || return 0
    gcc -Wall -Werror -o "$BATS_FILE_TMPDIR/edit" "$BATS_TEST_DIRNAME/verify/edit.c" -llmdb
}

# A system of files with every kind of outcome, caught up.
some_system() {
    cp "$examples/commands.jsonl" commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
}

verify() {
    calc-verify -i commands -o events -r rejections "$@"
}

# finds TEXT COMMAND...: it exits 65, prints nothing on stdout, and says that.
finds() {
    local text=$1
    shift
    run -65 --separate-stderr "$@"
    [ -z "$output" ] || {
        echo "it printed: $output"
        return 1
    }
    [[ $stderr == *"$text"* ]] || {
        echo "it said: $stderr"
        echo "and not: $text"
        return 1
    }
}

# start_of FILE NUMBER: the offset at which a line begins.
start_of() {
    head -n $(($2 - 1)) "$1" | wc -c
}

# flip FILE OFFSET: one bit of the byte there.
flip() {
    perl -e 'open my $f, "+<", $ARGV[0] or die; seek $f, $ARGV[1], 0; read $f, my $c, 1;
        seek $f, $ARGV[1], 0; print $f chr(ord($c) ^ 1)' "$1" "$2"
}

# edit FOLDER TABLE [put|delete KEY VALUE]
edit() {
    needs gcc
    "$BATS_FILE_TMPDIR/edit" "$@"
}

# --- logs ---

@test "a system that is right is verified, and what was compared is told" {
    some_system
    run -0 --separate-stderr verify --view view
    [ -z "$stderr" ]
    [ "${#lines[@]}" -eq 4 ]
    [ "${lines[0]}" = '{"verified":"commands","end":"'"$(wc -c <commands)"'","records":397}' ]
    [ "${lines[1]}" = '{"verified":"events","end":"'"$(wc -c <events)"'","records":213,"missing":0}' ]
    [[ ${lines[2]} == '{"verified":"rejections","end":"'*'","records":165,"missing":0}' ]]
    [[ ${lines[3]} == '{"verified":"view","values":57,"events":213,"rejections":165,"behind":0}' ]]
    # each alone, and with the default of --view
    calc-verify -i commands -o events
    calc-verify -i commands -r rejections
    calc-verify -i commands --view view
    CALC_VIEW=view run -0 calc-verify -o events <commands
    [ "${#lines[@]}" -eq 3 ]
    CALC_VIEW=view run -0 verify --view ''
    [ "${#lines[@]}" -eq 3 ]
}

@test "an empty system is verified" {
    : >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    verify --view view
}

@test "pipes can be verified, too" {
    some_system
    gzip commands events
    calc-verify -i <(zcat commands.gz) -o <(zcat events.gz) -r rejections --view view
    finds ' at 0 is not what' calc-verify -i <(zcat commands.gz) \
        -o <(
            echo broken
            zcat events.gz
        ) -r rejections
}

@test "nothing is changed, not even the time of a file" {
    some_system
    rm view/1/lock.mdb events.state/0/lock.mdb
    times() { find . -type f -printf '%p %s %T@\n' | LC_ALL=C sort; }
    before=$(times)
    verify --view view --state events.state
    diff <(echo "$before") <(times)
}

@test "a flipped byte of an outcome is found, in its line" {
    some_system
    for log in events rejections; do
        cp $log right
        size=$(wc -c <$log)
        for place in 0 1 $((size / 3)) $((size / 2)) $((size * 3 / 4)) $((size - 2)) \
            $(($(start_of $log 40) - 1)) $(start_of $log 40) $(($(start_of $log 41) - 3)); do
            flip $log "$place"
            # the line in which it is begins behind the newline before
            start=$(head -c "$place" right | perl -0pe 's/[^\n]*\z//' | wc -c)
            finds "$log at $start is not what the commands derive" verify
            [[ $stderr == *'  command: at '*'  derived: {'*'  found: '* ]]
            cp right $log
        done
    done
    verify
}

@test "a flipped byte of a command is found exactly where an independent fold finds it, too" {
    needs python3
    some_system
    cp commands right
    size=$(wc -c <commands)
    found=0
    for ((place = 11; place < size; place += size / 40)); do
        flip commands "$place"
        start=$(head -c "$place" right | perl -0pe 's/[^\n]*\z//' | wc -c)
        if python3 "$BATS_TEST_DIRNAME/oracle/oracle.py" check commands events rejections >said; then
            verify
        else
            run -65 --separate-stderr verify
            [[ $stderr == *"at $start"* ]]
            found=$((found + 1))
        fi
        cp right commands
    done
    [ "$found" -ge 15 ]
}

@test "an outcome that is removed, doubled, swapped or moved is found where it stood" {
    some_system
    for log in events rejections; do
        cp $log right
        at=$(start_of $log 20)
        sed -i 20d $log
        finds "$log at $at is not what" verify
        sed '20{p}' right >$log
        finds "$log at $(start_of right 21) is not what" verify
        sed '20{h;d};21{G}' right >$log
        finds "$log at $at is not what" verify
        { sed '1d;$d' right && tail -n 1 right && head -n 1 right; } >$log
        finds "$log at 0 is not what" verify
        cp right $log
    done
}

@test "an event that went to another value is found" {
    some_system
    other=$(sed -n '1s/.*"value_id":"\([^"]*\)".*/\1/p' events)
    line=$(grep -nv "$other" events | tail -n 1 | cut -d: -f1)
    at=$(start_of events "$line")
    sed -i "${line}s/\"value_id\":\"[^\"]*\"/\"value_id\":\"$other\"/" events
    finds "events at $at is not what" verify
}

@test "a log that goes on behind what the commands derive is found" {
    some_system
    for log in events rejections; do
        cp $log right
        tail -n 1 right >>$log
        finds "$log at $(wc -c <right) goes on behind everything" verify
        cp right $log
    done
    sed -i '$d' commands
    finds 'goes on behind everything that the commands derive' verify
}

@test "blank lines in a log of outcomes are found" {
    some_system
    cp events right
    sed -i '30{x;p;x}' events
    finds "events at $(start_of right 30) is blank" verify
    { cat right && echo; } >events
    finds "events at $(wc -c <right) is blank" verify
}

@test "a torn tail is no record, and is told" {
    some_system
    end=$(wc -c <events)
    printf '{"action":"Val' >>events
    printf '{"act' >>commands
    run -0 --separate-stderr verify --view view
    [[ $stderr == *"events: 14 bytes behind its last newline, at $end, are no record"* ]]
    [[ $stderr == *"commands: 5 bytes behind its last newline, at "*", are no record"* ]]
}

# --- behind ---

@test "outcomes that are not written yet are no difference, and are told" {
    some_system
    head -n 300 commands >some
    calc-handle -i some -o events.1 -r rejections.1
    run -0 --separate-stderr calc-verify -i commands -o events.1 -r rejections.1 --view ''
    events=$((213 - $(wc -l <events.1)))
    rejections=$((165 - $(wc -l <rejections.1)))
    [ $events -gt 0 ]
    [[ $output == *"\"missing\":$events}"*"\"missing\":$rejections}" ]]
    [[ $stderr == *"events.1 ends at $(wc -c <events.1), before the event of the command at "*"; still to come: $events"* ]]
    [[ $stderr == *"rejections.1 ends at $(wc -c <rejections.1), before the rejection of the command at "* ]]
}

@test "events come first: rejections may be missing at the end, events behind which rejections go on may not" {
    some_system
    cp rejections right
    head -n 100 right >rejections
    run -0 --separate-stderr verify
    [[ $stderr == *'rejections ends at '*', before the rejection of the command at '*'; still to come: 65'* ]]
    cp right rejections
    head -n 100 events >some
    mv some events
    finds "events ends at $(wc -c <events), before the event of the command at " verify
    [[ $stderr == *"and rejections has the rejection of the later one at "*': its tail is lost'* ]]
}

@test "a view that is behind its logs is no difference, and is told" {
    cp "$examples/commands.jsonl" commands
    calc-handle -i commands -o events -r rejections
    head -n 100 events >events.1
    head -n 50 rejections >rejections.1
    calc-project -i events.1 -r rejections.1 --view view
    run -0 --separate-stderr verify --view view
    [[ $output == *'"events":100,"rejections":50,"behind":228}' ]]
    [[ $stderr == *'the view in view is behind; outcomes still to come: 228'* ]]
    # of events only, or from nothing
    calc-project -i events --view other
    run -0 --separate-stderr verify --view other
    [[ $output == *'"events":213,"rejections":0,"behind":165}' ]]
    calc-project -i /dev/null --view empty
    run -0 --separate-stderr verify --view empty
    [[ $output == *'"values":0,"events":0,"rejections":0,"behind":378}' ]]
}

@test "a view that is ahead of its logs is found" {
    some_system
    cp events right
    head -n 212 right >events
    finds "the view in view: it is at $(wc -c <right) of events, which ends at $(wc -c <events)" \
        verify --view view
}

@test "a running system is verified again and again while it works" {
    : >commands
    background calc-handle -f -i commands -o events -r rejections
    background calc-project -f -i events -r rejections --view view
    until_true 20 test -e view/current
    until_true 20 test -e rejections
    some_inputs 40000 >inputs
    calc-submit -o commands <inputs >acks 3>&- &
    submitter=$!
    rounds=0
    while kill -0 $submitter 2>/dev/null || [ $rounds -lt 5 ]; do
        run -0 verify --view view
        rounds=$((rounds + 1))
    done
    wait $submitter
    end_started
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    run -0 --separate-stderr verify --view view
    [ -z "$stderr" ]
    [[ $output == *'"records":40000}'*'"behind":0}' ]]
}

# --- the view ---

# other HEX [DIGIT]: the same with one digit changed, counted from 1; the last one by default.
other() {
    local at=$((${2:-${#1}} - 1))
    printf '%s%x%s' "${1:0:at}" $((16#${1:at:1} ^ 1)) "${1:at+1}"
}

# uuid HEX [FROM]: the 32 digits from there on as an id.
uuid() {
    local hex=${1:${2:-0}:32}
    echo "${hex:0:8}-${hex:8:4}-${hex:12:4}-${hex:16:4}-${hex:20}"
}

# with TABLE KEY VALUE TEXT: such an entry is found, and all is well without it.
with() {
    local before
    before=$(edit view/1 "$1" | sed -n "s/^$2 //p")
    edit view/1 "$1" put "$2" "$3"
    finds "the view in view: $4" verify --view view
    if [ -n "$before" ]; then edit view/1 "$1" put "$2" "$before"; else edit view/1 "$1" delete "$2"; fi
    verify --view view
}

# without TABLE KEY TEXT: that it is missing is found, and all is well with it.
without() {
    local before
    before=$(edit view/1 "$1" | sed -n "s/^$2 //p")
    [ -n "$before" ]
    edit view/1 "$1" delete "$2"
    finds "the view in view: $3" verify --view view
    edit view/1 "$1" put "$2" "$before"
    verify --view view
}

@test "a view with a wrong, missing or stray value is found" {
    some_system
    # one that has several events, and a time
    read -r key value < <(edit view/1 values | grep -v ' 000000000000000[01]' |
        grep -v ' ................................8000000000000000' | sed -n 5p)
    id=$(uuid "$key")
    with values "$key" "$(other "$value" 16)" "value $id in table values: its version is not that"
    with values "$key" "$(other "$value" 32)" "value $id in table values: it is not what its last"
    with values "$key" "$(other "$value" 48)" "value $id in table values: it is not what its last"
    with values "$key" "${value:0:48}01${value:50}" "value $id in table values: an event of it was left out"
    with values "$key" "${value:0:49}$((2 - ${value:49:1}))${value:50}" \
        "value $id in table values: whether commands on it were rejected is wrong"
    with values "$key" "$(other "$value")" "value $id in table values: "
    with values "$key" "${value}00" 'the view is damaged: a record in values'
    without values "$key" "value $id in table values: it is missing"
    with values "$(other "$key")" "$value" "value $(uuid "$(other "$key")") in table values: "
    # of a value that doesn't exist
    read -r key value < <(edit view/1 values | grep -m 1 ' 0000000000000000')
    with values "$key" "$(other "$value" 34)" 'the view is damaged: a record in values' # no time
    for digit in 32 66; do
        with values "$key" "$(other "$value" $digit)" "value $(uuid "$key") in table values: it doesn't exist"
    done
    without values "$key" "value $(uuid "$key") in table values: it is missing"
}

@test "a view with a wrong, missing or stray record in its order is found" {
    some_system
    line=$(edit view/1 order | grep -n ' 10' | sed -n 33p | cut -d: -f1)
    read -r key value < <(edit view/1 order | sed -n "${line}p")
    with order "$key" "$(other "$value" 30)" "after the command at "
    [[ $stderr == *"record $line in table order is not what the commands derive"*'  derived: {'*'  found:   {'* ]]
    with order "$key" "$(other "$value" 3)" "after the command at "
    with order "$key" "$(other "$value" $((${#value} - 3)))" "after the command at "
    without order "$key" "after the command at "
    count=$(edit view/1 order | grep -c '')
    with order "$(printf %016x $((count + 1)))" "$value" "record $((count + 1)) in table order: there was no such outcome"
    with order "$(printf %016x $((count + 9)))" "$value" "record $((count + 1)) in table order: it is missing"
}

@test "a view with a wrong, missing or stray outcome is found" {
    some_system
    for number in 7 200; do
        read -r key value < <(edit view/1 outcomes | sed -n ${number}p)
        with outcomes "$key" "$(other "$value")" 'after the command at '
        [[ $stderr == *"record $((16#$(other "$value"))) in table order is not what"* ]]
        without outcomes "$key" 'after the command at '
        [[ $stderr == *' is missing in table outcomes'* ]]
        with outcomes "$(other "$key")" "$value" \
            "record $((16#$value)) in table order: an entry of table outcomes points to it"
    done
}

@test "a view with wrong, missing or stray places of history and marks is found" {
    some_inputs 9000 | calc-submit >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    verify --view view
    read -r key value < <(edit view/1 history | sed -n 3p)
    [ -n "$value" ]
    with history "$key" "$(other "$value")" 'after the command at '
    [[ $stderr == *' is not where table history says'* ]]
    without history "$key" 'after the command at '
    with history "$(other "$key")" "$value" "record $((16#$value)) in table order: an entry of table history"
    read -r key value < <(edit view/1 marks | sed -n 2p)
    with marks "$key" "$(other "$value")" 'after the command at '
    [[ $stderr == *' is not where table marks says'* ]]
    without marks "$key" 'after the command at '
    with marks "$(other "$key")" "$value" 'record '
}

@test "a view with a wrong position is found" {
    some_system
    key=$(printf position/events/0 | xxd -p)
    value=$(edit view/1 meta | sed -n "s/^$key //p")
    [ -n "$value" ]
    # behind an earlier record: what comes after it is there
    last=$(start_of events 100) next=$(start_of events 101)
    digest=${value:64}
    edit view/1 meta put "$key" "$(printf %016x%016x "$last" "$next")${value:32}"
    finds 'position in events: the last record is another' verify --view view
    edit view/1 meta put "$key" "$(printf %016x%016x $((last + 1)) "$next")${value:32:32}$digest"
    finds "is there, and the view's position is before it" verify --view view
    edit view/1 meta put "$key" "${value:0:32}$(other "${value:32:32}")$digest"
    finds 'position in events: the first record is another, at 0' verify --view view
    edit view/1 meta delete "$key"
    finds "is there, and the view's position is before it" verify --view view
}

@test "a view that was told to leave a record out is found" {
    some_system
    # the last event of a value, so that nothing comes behind the gap
    last=$(start_of events 213)
    id=$(tail -n 1 events | sed 's/.*"value_id":"\([^"]*\)".*/\1/')
    calc-project -i events -r rejections --view skipped --skip "events:$last"
    at=$(start_of commands "$(grep -n "$(tail -n 1 events | sed 's/.*"parent":"\([^"]*\)".*/\1/')" commands | tail -n 1 | cut -d: -f1)")
    finds "the view in skipped: after the command at $at: event " verify --view skipped
    [[ $stderr == *' is missing in table outcomes'* ]]
    [ -n "$id" ]
    sed '213s/.*/nonsense/' events >damaged
    calc-project -i damaged -r rejections --view other --skip "events:$last"
    finds 'the view in other: records that could not be read were left out of it, as --skip said' \
        verify --view other
}

@test "a view of other logs, a file that is no view and a damaged one are found" {
    some_system
    echo '{"value":1}' | calc-submit >commands.2
    calc-handle -i commands.2 -o events.2 -r rejections.2
    calc-project -i events.2 -r rejections.2 --view other
    finds 'the view in other: after the command at 0: ' verify --view other
    mkdir garbage
    head -c 100000 /dev/urandom >garbage/data.mdb
    finds 'the view in garbage: ' verify --view garbage
    cp -r view cut
    truncate -s 12288 cut/1/data.mdb
    finds 'the view in cut' verify --view cut
    mkdir none
    run -74 verify --view none
}

@test "a view that nobody may write is verified, a copy and a bare data.mdb too" {
    some_system
    cp -r view copy
    rm copy/1/lock.mdb copy/wake copy/projector.lock
    mkdir bare
    cp view/1/data.mdb bare
    chmod -R a-w copy bare commands events rejections
    verify --view copy
    verify --view bare
    [ ! -e copy/1/lock.mdb ] && [ ! -e bare/lock.mdb ]
    chmod -R u+w copy bare
}

# --- the state ---

# Of files, as the handler leaves it.
verify_state() {
    verify --state events.state
}

# kept TABLE KEY VALUE TEXT, lost TABLE KEY TEXT: as with and without, of the state.
kept() {
    local before
    before=$(edit events.state/0 "$1" | sed -n "s/^$2 //p")
    edit events.state/0 "$1" put "$2" "$3"
    finds "the state in events.state/0: $4" verify_state
    if [ -n "$before" ]; then
        edit events.state/0 "$1" put "$2" "$before"
    else
        edit events.state/0 "$1" delete "$2"
    fi
    verify_state
}

lost() {
    local before
    before=$(edit events.state/0 "$1" | sed -n "s/^$2 //p")
    [ -n "$before" ]
    edit events.state/0 "$1" delete "$2"
    finds "the state in events.state/0: $3" verify_state
    edit events.state/0 "$1" put "$2" "$before"
    verify_state
}

@test "a state that is right is verified, alone and with the logs" {
    some_system
    run -0 --separate-stderr verify_state
    [ -z "$stderr" ]
    [ "${lines[3]}" = '{"verified":"state","end":"'"$(wc -c <commands)"'","values":74,"commands":303,"behind":0}' ]
    calc-verify -i commands --state events.state
}

@test "a state with a wrong, missing or stray value is found" {
    some_system
    last=$(start_of commands 402)
    read -r key value < <(edit events.state/0 values | grep ' 0.*616e6e$' | sed -n 2p)
    [ -n "$value" ]
    id=$(uuid "$key")
    for digit in 16 32 38; do
        kept values "$key" "$(other "$value" $digit)" \
            "after the command at $last: value $id in table values is not what the commands derive"
    done
    kept values "$key" "${value:0:32}" "after the command at $last: value $id in table values is not what"
    kept values "$key" "${value:0:30}" 'after the command at '
    lost values "$key" "after the command at $last: value $id in table values: it is missing"
    kept values "$(other "$key")" "$value" \
        "after the command at $last: value $(uuid "$(other "$key")") in table values: no command was decided on it"
}

@test "a state with a wrong, missing or stray command is found" {
    some_system
    last=$(start_of commands 402)
    read -r key value < <(edit events.state/0 commands | sed -n 44p)
    name="command $(uuid "$key" 32) on value $(uuid "$key") in table commands"
    kept commands "$key" "$(other "$value")" "after the command at $last: $name: its body is not that of the command"
    kept commands "$key" "$(other "$value" 2)" "after the command at $last: $name: its body is not"
    lost commands "$key" "after the command at $last: $name: it is missing"
    kept commands "$(other "$key")" "$value" "after the command at $last: command $(uuid "$(other "$key")" 32)"
}

@test "a state with any digit of its position wrong is found" {
    some_system
    key=$(printf position | xxd -p)
    value=$(edit events.state/0 meta | sed -n "s/^$key //p")
    [ ${#value} -ge 200 ]
    for ((digit = 2; digit <= ${#value}; digit += 2)); do
        ((digit < 3 || digit > 10)) || continue # the count of partitions has 4 bytes in use
        edit events.state/0 meta put "$key" "$(other "$value" $digit)"
        finds 'the state in events.state/0' verify_state || {
            echo "digit $digit of $value"
            false
        }
    done
}

@test "a state that is behind is no difference, and is told; one that is of other logs is found" {
    some_system
    cp commands longer
    some_inputs 50 | calc-submit >>longer
    cp events events.2
    cp rejections rejections.2
    cp -r events.state events.2.state
    calc-handle -i longer -o events.2 -r rejections.2 --state events.2.state
    run -0 --separate-stderr calc-verify -i longer -o events.2 -r rejections.2 --state events.state
    [[ $output == *'"commands":303,"behind":50}' ]]
    [[ $stderr == *"the state in events.state/0 is at $(wc -c <commands); commands still to come: 50"* ]]
    finds 'the state in events.2.state/0: it is ahead of the commands' verify --state events.2.state
    finds 'the state in events.2.state/0: ' \
        calc-verify -i longer -o events -r rejections --state events.2.state
    [[ $stderr == *"ends at $(wc -c <rejections), and was durable to $(wc -c <rejections.2): its tail is lost"* ||
    $stderr == *"ends at $(wc -c <events), and was durable to $(wc -c <events.2): its tail is lost"* ]]
    cp commands other
    flip other 5
    finds 'the state in events.state/0: its first command is not the first one' \
        calc-verify -i other --state events.state
    echo '{"value":1}' | calc-submit >one
    finds 'the state in events.state/0: it is ahead of the commands' calc-verify -i one --state events.state
    head -n 200 commands >some
    tail -n +202 commands >>some
    finds 'the state in events.state/0: ' calc-verify -i some --state events.state
}

# The state has all that is in the commands.
state_is_current() {
    verify_state 2>/dev/null | grep -q '"behind":0}'
}

@test "a state in use is verified while its handler works" {
    some_inputs 3000 | calc-submit -o commands >acks
    background calc-handle -f -i commands -o events -r rejections
    until_true 20 test -e events.state/0/data.mdb
    some_inputs 30000 >inputs
    calc-submit -o commands <inputs >acks 3>&- &
    submitter=$!
    rounds=0
    while kill -0 $submitter 2>/dev/null || [ $rounds -lt 5 ]; do
        run -0 verify_state
        rounds=$((rounds + 1))
    done
    wait $submitter
    until_true 60 state_is_current
    end_started
    run -0 --separate-stderr verify_state
    [[ $output == *'"behind":0}' ]]
}

# --- copies and stores in use ---

@test "where it may write nothing, it verifies too, and says so if a store was written to meanwhile" {
    needs setpriv
    [ "$(id -u)" -eq 0 ] || skip "only root can become somebody else"
    cd "$(mktemp -d)"
    chmod 755 .
    some_system
    chmod -R go-w .
    nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v calc-verify)")
    "${nobody[@]}" -i commands -o events -r rejections --state events.state --view view
    # a lock.mdb that nobody else may write: the writer doesn't know of the reader
    read -r key value < <(edit view/1 values | sed -n 5p)
    edit view/1 values put "$key" "$(other "$value" 32)"
    run -65 "${nobody[@]}" -i commands -o events -r rejections --view view
    mkfifo slow
    chmod 644 slow
    "${nobody[@]}" -i slow -o events -r rejections --view view 2>said 3>&- &
    verifier=$!
    exec 8>slow # the commands are opened last
    head -n 200 commands >&8
    edit view/1 values put "$key" "$value"
    tail -n +201 commands >&8
    exec 8>&-
    status_of 75 wait $verifier
    grep -q "the view in view was written to while it was read" said
    status_of 0 "${nobody[@]}" -i commands -o events -r rejections --view view
    rm -r "$PWD"
}

@test "a store that is shorter than its pages is damaged, which is no crash" {
    some_inputs 3000 | calc-submit >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    for store in events.state/0 view/1; do
        cp -r $store right
        for part in 2 3 4; do
            truncate -s $(($(stat -c %s $store/data.mdb) * part / 5 / 4096 * 4096)) $store/data.mdb
            run -65 --separate-stderr verify --view view --state events.state
            [[ $stderr == *'calc-verify: the '*" in ${store%/1}: "* ]]
            cp right/data.mdb $store
        done
        rm -r right
    done
    verify --view view --state events.state
}

# dump FOLDER TABLE...: all that a store holds.
dump() {
    local table
    for table in "${@:2}"; do
        edit "$1" "$table" 2>&1 || echo "damaged"
    done
}

@test "a flipped bit anywhere in a store is found if it changes anything that is stored" {
    some_system
    found=0
    for store in events.state/0 view/1; do
        tables=(meta values commands)
        [ $store = events.state/0 ] || tables=(meta values order outcomes history marks)
        whole=$(dump $store "${tables[@]}")
        cp $store/data.mdb right
        size=$(stat -c %s right)
        for ((place = 77; place < size; place += size / 60)); do
            flip $store/data.mdb $place
            status=0
            verify --view view --state events.state >said 2>&1 || status=$?
            [ $status -eq 0 ] || [ $status -eq 65 ] || {
                echo "exit status $status at $place of $store"
                cat said
                false
            }
            if [ $status -eq 0 ]; then
                [ "$(dump $store "${tables[@]}")" = "$whole" ]
            else
                found=$((found + 1))
            fi
            cp right $store/data.mdb
        done
    done
    [ $found -ge 20 ]
}

# --- how it is called ---

@test "without anything to compare it is a wrong use, as is a log twice" {
    some_system
    run -64 calc-verify -i commands
    [[ $output == *'nothing to compare with: -o, -r, --state or --view'* ]]
    run -64 calc-verify -i commands -o events -r events
    ln events same
    run -64 calc-verify -i commands -o events -r same
    run -64 calc-verify -i commands -o commands
    run -64 calc-verify -i commands -o kafka:events
    [[ $output == *'all topics, or none is'* ]]
    run -64 calc-verify -i commands -o events more
    run -64 calc-verify --follow
}

@test "a log that isn't there or can't be read is an error of its own" {
    some_system
    run -74 calc-verify -i commands -o nowhere
    [[ $output == *nowhere* ]]
    run -74 calc-verify -i nowhere -o events
    run -74 calc-verify -i commands -o events --state nowhere
    run -74 calc-verify -i commands -o .
    status_of 74 verify >/dev/full
    status_of 74 verify >&-
}

@test "on a terminal it tells how far it is, and wipes that out" {
    needs python3
    some_inputs 20000 | calc-submit >commands
    calc-handle -i commands -o events -r rejections
    cat >terminal.py <<'PY'
import os, pty, sys
read = []
def keep(fd):
    data = os.read(fd, 65536)
    read.append(data)
    return data
status = pty.spawn(sys.argv[1:], keep)
open("terminal", "wb").write(b"".join(read))
sys.exit(os.waitstatus_to_exitcode(status))
PY
    # slow enough to be seen, however fast the machine is
    mkfifo slow
    {
        head -n 10000 commands
        sleep 1.5
        tail -n +10001 commands
    } >slow 3>&- &
    python3 terminal.py calc-verify -i slow -o events -r rejections >printed
    grep -aq 'calc-verify: [0-9]* commands, [0-9]*/s' terminal
    run -0 --separate-stderr calc-verify -i commands -o events -r rejections
    [[ $stderr != *commands/s* ]]
}
