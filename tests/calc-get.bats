#!/usr/bin/env bats
# calc-get: queries on the view.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

oracle=$BATS_TEST_DIRNAME/oracle

one=00000000-0000-4000-8000-000000000001
two=00000000-0000-4000-8000-0000000000ab
three=00000000-0000-4000-8000-0000000000cd
none=ffffffff-ffff-4fff-bfff-ffffffffffff
applied=11111111-0000-4000-8000-000000000001
rejected=11111111-0000-4000-8000-000000000002
unsent=11111111-0000-4000-8000-000000000003
time=2026-11-23T11:00:00.000000Z

line_one='{"value_id":"'$one'","value":10.0,"version":2,"timestamp":"'$time'"}'
line_two='{"value_id":"'$two'","value":-0.5,"version":1}'
line_three='{"value_id":"'$three'","value":5e-324,"version":1}'

# A view with three values; $applied and $rejected are commands on the first.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    {
        echo '{"action":"CreateValue","id":"'$unsent'","data":{"value_id":"'$three'","value":5e-324}}'
        echo '{"action":"CreateValue","id":"'$unsent'","data":{"value_id":"'$two'","value":-0.5}}'
        echo '{"action":"CreateValue","id":"'$two'","data":{"value_id":"'$one'","value":7}}'
        echo '{"action":"UpdateValue","id":"'$applied'","data":{"value_id":"'$one'","operation":"ADD","value":3},"timestamp":"'$time'"}'
        echo '{"action":"UpdateValue","id":"'$rejected'","data":{"value_id":"'$one'","operation":"ADD","value":3},"expected_version":7}'
    } >commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    cp -r "$BATS_FILE_TMPDIR"/{commands,events,rejections,view} .
    export CALC_VIEW=view
}

# equals TEXT EXPECTED
equals() {
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$1")
}

# talk COMMAND...: starts it between two pipes: descriptor 8 is its stdin, 9 its stdout.
talk() {
    mkfifo in out
    "$@" <in >out 3>&- &
    started+=($!)
    exec 8>in 9<out
}

follow() {
    calc-handle -f -i commands -o events -r rejections 3>&- &
    started+=($!)
    calc-project -f -i events -r rejections --view view 3>&- &
    started+=($!)
}

# --- values ---

@test "ids as arguments are answered in their order" {
    run -0 --separate-stderr calc-get $two $one $two
    equals "$output" "$line_two"$'\n'"$line_one"$'\n'"$line_two"
    [ -z "$stderr" ]
}

@test "ids as lines are answered in their order, plain and quoted" {
    run -0 --separate-stderr calc-get < <(printf '%s\n"%s"\n\n  %s\t\r\n' $two $one $three)
    equals "$output" "$line_two"$'\n'"$line_one"$'\n'"$line_three"
    [ -z "$stderr" ]
}

@test "either case of an id is read, and lower case is written" {
    run -0 calc-get ${two^^} ${three^^}
    equals "$output" "$line_two"$'\n'"$line_three"
}

@test "a last id without newline counts on a pipe" {
    run -0 calc-get < <(printf %s $two)
    equals "$output" "$line_two"
}

@test "unknown ids are said on stderr, the others still answered, and it exits 1" {
    run -1 --separate-stderr calc-get $none $two
    equals "$output" "$line_two"
    [[ $stderr == calc-get:*$none* ]]
    run -1 --separate-stderr calc-get < <(printf '%s\n%s\n' $none $two)
    equals "$output" "$line_two"
    [[ $stderr == calc-get:*$none* ]]
}

@test "a line that is no id is 65 with its number, and the others are answered" {
    run -65 --separate-stderr calc-get < <(printf '%s\n\nx\n%s\n"%s\n%s\n' $two $none $one $one)
    equals "$output" "$line_two"$'\n'"$line_one"
    [[ $stderr == *"line 3:"* ]]
    [[ $stderr == *"line 5:"* ]]
    [[ $stderr == *$none* ]]
    # whatever order they come in
    run -65 calc-get < <(printf 'x\n%s\n' $none)
}

@test "a line of a gigabyte is 65 and the others are answered" {
    { echo $two && head -c 1G /dev/zero && echo && echo $one; } |
        { calc-get >got 2>err || echo $? >status; }
    equals "$(cat got)" "$line_two"$'\n'"$line_one"
    [ "$(cat status)" -eq 65 ]
}

@test "an answer is written when the input would block" {
    talk calc-get
    echo $two >&8
    read -r -t 10 -u 9 line
    equals "$line" "$line_two"
    echo $one >&8
    read -r -t 10 -u 9 line
    equals "$line" "$line_one"
    exec 8>&- 9<&-
}

@test "--all is every value, ordered by id" {
    run -0 calc-get --all
    equals "$output" "$line_one"$'\n'"$line_two"$'\n'"$line_three"
}

@test "--all of many values is each once, in order" {
    yes '{"value":1}' | head -n 5000 | calc-submit >added
    cat added >>commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    calc-get --all | cut -d'"' -f4 >ids
    sort -c -u ids
    [ "$(wc -l <ids)" -eq 5003 ]
}

@test "an empty view has no values" {
    calc-project --view empty </dev/null
    run -0 calc-get --view empty --all
    [ -z "$output" ]
    run -1 calc-get --view empty $one
}

@test "--view beats CALC_VIEW" {
    calc-project --view empty </dev/null
    run -1 calc-get --view empty $one
    CALC_VIEW=empty run -0 calc-get --view view $one
}

@test "--all comes in pages of --limit, each --after the last value of the page before" {
    yes '{"value":1}' | head -n 50 | calc-submit >added
    cat added >>commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    calc-get --all >all
    calc-get --all --limit 7 >got
    for turn in {1..20}; do
        after=$(tail -n 1 got | cut -d'"' -f4)
        calc-get --all --limit 7 --after "$after" >page
        [ "$(wc -l <page)" -le 7 ]
        [ -s page ] || break
        cat page >>got
    done
    [ "$turn" -eq 8 ]
    cmp got all
    run -0 calc-get --all --after $two
    [[ $output == "$line_three"* ]]
    run -0 calc-get --all --limit 0
    [ -z "$output" ]
    # an id that no value has is a place, too
    run -0 calc-get --all --limit 1 --after 00000000-0000-4000-8000-000000000002
    equals "$output" "$line_two"
    run -0 calc-get --all --after $none
    [ -z "$output" ]
}

# unread BYTES: so many wait in the pipe that is open as descriptor 9.
unread() {
    python3 -c 'import fcntl, struct, sys, termios
waiting = fcntl.ioctl(9, termios.FIONREAD, bytes(4))
sys.exit(struct.unpack("i", waiting)[0] < int(sys.argv[1]))' "$1"
}

no_snapshots() {
    mdb_stat -r view/current | grep -q 'no active readers'
}

@test "a long listing holds no snapshot while nobody reads it, and tells what came meanwhile" {
    needs mdb_stat python3
    yes '{"value":1}' | head -n 20000 | calc-submit >added
    cat added >>commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    mkfifo out
    calc-get --all >out 3>&- &
    started+=($!)
    exec 9<out
    until_true 15 unread 65536
    until_true 15 no_snapshots
    # an id behind all others comes in a later page
    echo '{"action":"CreateValue","id":"'$none'","data":{"value_id":"'$none'","value":5}}' >>commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    cat <&9 >got
    exec 9<&-
    status_of 0 wait "${started[0]}"
    started=()
    equals "$(tail -n 1 got)" '{"value_id":"'$none'","value":5.0,"version":1}'
    cut -d'"' -f4 got >ids
    sort -c -u ids
    [ "$(wc -l <ids)" -ge 20004 ]
}

# --- the past ---

@test "--history is the value's events as they stand in the log, in order" {
    run -0 --separate-stderr calc-get --history $one $two
    equals "$output" "$(grep "value_id\":\"$one" events && grep "value_id\":\"$two" events)"
    [ -z "$stderr" ]
    run -0 calc-get --history < <(printf '%s\n' $three $one)
    equals "$output" "$(grep "value_id\":\"$three" events && grep "value_id\":\"$one" events)"
}

@test "--history spells an event in the one way, however it was read" {
    sed 's/,"version"/ , "other": [1e0] ,"version"/; s/11:00:00.000000Z/12:00:00+01:00/' events >spelled
    run -1 cmp -s spelled events
    calc-project -i spelled --view other
    run -0 calc-get --view other --history $one
    equals "$output" "$(grep $one events)"
}

@test "--at-version is the value as its event left it" {
    run -0 calc-get --at-version 1 $one $two
    equals "$output" '{"value_id":"'$one'","value":7.0,"version":1}'$'\n'"$line_two"
    run -0 calc-get --at-version 2 $one
    equals "$output" "$line_one"
}

@test "a version that isn't there is said, 1, and the others are answered" {
    for version in 0 2 18446744073709551615; do
        run -1 --separate-stderr calc-get --at-version $version < <(printf '%s\n' $two $one)
        [[ $stderr == *"no version $version of value $two"* ]]
    done
    run -1 --separate-stderr calc-get --at-version 2 $two $one
    equals "$output" "$line_one"
    run -1 --separate-stderr calc-get --at-version 1 $none
    [ -z "$output" ]
}

@test "--as-of is the value as it was at a time" {
    # the first event has no time: it is before all time
    run -0 calc-get --as-of 0001-01-01T00:00:00Z $one $two
    equals "$output" '{"value_id":"'$one'","value":7.0,"version":1}'$'\n'"$line_two"
    run -0 calc-get --as-of 2026-11-23T10:59:59.999999Z $one
    equals "$output" '{"value_id":"'$one'","value":7.0,"version":1}'
    for at in $time 2026-11-23t12:00:00+01:00 9999-12-31T23:59:59Z; do
        run -0 calc-get --as-of "$at" $one
        equals "$output" "$line_one"
    done
    run -0 calc-get --as-of $time < <(printf '%s\n' $two $one)
    equals "$output" "$line_two"$'\n'"$line_one"
}

@test "a value that didn't exist at the time is said, 1" {
    sed -i "1s/}\$/,\"timestamp\":\"$time\"}/" commands
    calc-handle -i commands -o later -r later.rejections
    calc-project -i later --view later-view
    run -1 --separate-stderr calc-get --view later-view --as-of 2026-11-23T10:00:00Z $three $two
    equals "$output" "$line_two"
    [[ $stderr == *"no value $three at 2026-11-23T10:00:00Z"* ]]
    run -1 calc-get --as-of $time $none
}

@test "the past is what an independent fold says, also where times are missing or jump" {
    needs python3
    for seed in 1 2 3; do
        "$oracle/history.py" commands --seed $seed --commands 2500 >past
        calc-handle -i past -o past.events -r past.rejections
        # in batches of all sizes
        for size in 1 300 40000 $(stat -c %s past.events); do
            head -c "$size" past.events >part
            calc-project -i part -r past.rejections --view past.view 2>/dev/null
        done
        "$oracle/history.py" check past past.view --seed $seed
        rm -rf past.*
    done
}

@test "--seen comes before the past, too" {
    run -0 calc-get --seen $applied --history $one
    equals "$output" "$(grep $one events)"
    run -69 calc-get --seen $none --at-version 1 $one
    [[ $output != *'"version"'* ]]
}

# --- commands ---

@test "--command tells an applied command's outcome, 0" {
    run -0 calc-get --command $applied $one
    equals "$output" '{"id":"'$applied'","value_id":"'$one'","status":"applied","version":2,"result":10.0}'
}

@test "--command tells a rejected command's reason, 1" {
    run -1 calc-get --command $rejected $one
    equals "$output" '{"id":"'$rejected'","value_id":"'$one'","status":"rejected","reason":"version_conflict","version":2}'
}

@test "--command tells that nothing is known yet, 69" {
    run -69 calc-get --command $none $one
    equals "$output" '{"id":"'$none'","value_id":"'$one'","status":"pending"}'
}

@test "a command is known by its value and its id" {
    run -69 calc-get --command $applied $two
    run -0 calc-get --command $unsent $two
    [[ $output == *'"version":1,"result":-0.5}' ]]
    run -0 calc-get --command $unsent $three
    [[ $output == *'"version":1,"result":5e-324}' ]]
    run -69 calc-get --command $unsent $one
}

@test "--command waits for the outcome" {
    follow
    calc-get --command $none --wait 30 $one >got 3>&- &
    waiting=$!
    echo '{"action":"UpdateValue","id":"'$none'","data":{"value_id":"'$one'","operation":"ADD","value":1}}' >>commands
    wait $waiting
    equals "$(cat got)" '{"id":"'$none'","value_id":"'$one'","status":"applied","version":3,"result":11.0}'
}

@test "--command waits no longer than it is told" {
    begun=$(date +%s%3N)
    run -69 calc-get --command $none --wait 0.3 $one
    took=$(($(date +%s%3N) - begun))
    [[ $output == *pending* ]]
    [ $took -ge 300 ]
    [ $took -lt 5000 ]
    run -69 calc-get --command $none --wait 0 $one
}

# --- reading one's own writes ---

@test "--seen answers when the command's outcome is visible" {
    run -0 calc-get --seen $applied $one
    equals "$output" "$line_one"
    # a rejected one is an outcome too
    run -0 calc-get --seen $rejected $one
    equals "$output" "$line_one"
}

@test "--seen of a command that isn't visible is 69, and no value is printed" {
    run -69 --separate-stderr calc-get --seen $none $one
    [ -z "$output" ]
    [[ $stderr == calc-get:*$none* ]]
    run -69 calc-get --seen $none --wait 0.1 $one
}

@test "--seen with --wait reads what was written" {
    follow
    for turn in {1..5}; do
        id=22222222-0000-4000-8000-00000000000$turn
        calc-submit -o commands --id "$id" add $one 1 >/dev/null
        run -0 calc-get --seen "$id" --wait 30 $one
        [[ $output == *'"value":'$((10 + turn))'.0,"version":'$((2 + turn))','* ]]
    done
}

@test "--seen works on ids as lines too" {
    run -0 calc-get --seen $applied < <(echo $one)
    equals "$output" "$line_one"
    run -69 calc-get --seen $applied < <(echo $two)
}

# --- the view ---

@test "a view that isn't there is 75" {
    for query in "$one" "--all" "--history $one" "--as-of $time $one" "--command $applied $one" "--seen $applied $one"; do
        # shellcheck disable=SC2086 # words are wanted
        run -75 --separate-stderr calc-get --view nowhere $query
        [ -z "$output" ]
        [[ $stderr == calc-get:*nowhere* ]]
    done
    run -75 calc-get --view nowhere < <(echo $one)
    run -75 calc-get --view nowhere --command $applied --wait 0.1 $one
}

@test "--wait waits for a view that isn't there yet" {
    calc-get --view later --seen $applied --wait 30 $one >got 3>&- &
    waiting=$!
    calc-project -i events -r rejections --view later
    wait $waiting
    equals "$(cat got)" "$line_one"
}

@test "a reader needs no projector, and doesn't disturb one" {
    follow
    run -0 calc-get $one
    calc-submit -o commands --wait 30 --view view add $one 1 >/dev/null
    run -0 calc-get $one
    [[ $output == *'"version":3,'* ]]
}

@test "many readers read while the projector writes" {
    follow
    for reader in {1..4}; do
        for _ in {1..15}; do calc-get $one $two $three; done >"got.$reader" 2>&1 3>&- &
        readers[reader]=$!
    done
    for _ in {1..40}; do
        calc-submit -o commands add $one 0 >/dev/null
    done
    for reader in {1..4}; do
        wait "${readers[reader]}"
        [ "$(wc -l <"got.$reader")" -eq 45 ]
        # versions never go back
        grep $one "got.$reader" | sed 's/.*"version":\([0-9]*\).*/\1/' | sort -nc
        run -1 grep -v '^{"value_id":"[-0-9a-f]*","value":[-.0-9e]*,"version":[0-9]*.*}$' "got.$reader"
    done
}

# --- the command line, and what fails ---

@test "a bad command line is 64, and says where help is" {
    for line in -x --nonsense x "$one x" --view --wait "--wait 1 $one" "--all $one" \
        "--all --seen $applied" "--all --command $applied" "--command $applied" \
        "--command $applied $one $two" "--command x $one" "--seen x $one" \
        "--command $applied --seen $applied $one" "--seen $applied --wait x $one" \
        "--seen $applied --wait -1 $one" -3 \
        "--at-version $one" "--at-version x $one" "--at-version -1 $one" "--at-version 1.0 $one" \
        "--as-of $one" "--as-of yesterday $one" "--as-of 2026-11-23 $one" \
        "--as-of 2026-11-23T11:00:60Z $one" "--as-of 2026-11-23T11:00:00 $one" \
        "--history --at-version 1 $one" "--as-of $time --at-version 1 $one" "--all --history" \
        "--all --as-of $time" "--command $applied --history $one" "--history --wait 1 $one" \
        "--limit 3 $one" "--after $one" "--all --limit x" "--all --limit" "--all --after x"; do
        # shellcheck disable=SC2086 # words are wanted
        run -64 --separate-stderr calc-get $line </dev/null
        [ -z "$output" ]
        [[ $stderr == calc-get:*--help* ]]
    done
    CALC_VIEW='' run -64 calc-get $one
    unset CALC_VIEW
    run -64 calc-get $one
}

@test "--help goes to stdout and exits 0, --version too" {
    run -0 --separate-stderr calc-get --help
    [[ $output == usage:* ]]
    [ -z "$stderr" ]
    run -0 --separate-stderr calc-get --version
    [[ $output == "calc-get "[0-9]*.[0-9]*.[0-9]* ]]
    status_of 74 calc-get --help >/dev/full
}

@test "a full disk on stdout is 74, a closed stdout too" {
    status_of 74 calc-get $one >/dev/full
    status_of 74 calc-get --all >/dev/full
    status_of 74 calc-get --history $one >/dev/full
    status_of 74 calc-get >/dev/full < <(echo $one)
    status_of 74 calc-get $one >&-
    status_of 74 calc-get <&-
}

@test "a closed pipe kills it with SIGPIPE" {
    yes $one | head -n 20000 | env --default-signal=PIPE calc-get | head -n 1 >first
    [ "${PIPESTATUS[2]}" -eq 141 ]
    equals "$(cat first)" "$line_one"
}

@test "it is killed by SIGTERM while it waits" {
    talk calc-get
    echo $two >&8
    read -r -t 10 -u 9 line
    kill -TERM "${started[0]}"
    status_of 143 wait "${started[0]}"
    exec 8>&- 9<&-
}
