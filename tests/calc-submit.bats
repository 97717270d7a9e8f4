#!/usr/bin/env bats
# calc-submit: inputs to commands, and commands to their log.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
load helper

cases=$BATS_TEST_DIRNAME/cases/calc-submit
value=11111111-1111-4111-8111-111111111111
other=11111111-1111-4111-8111-222222222222
command=22222222-2222-4222-8222-222222222222
time='2[0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z'
uuid7='[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

# matches TEXT REGEX: the whole of it.
matches() {
    [[ $1 =~ ^($2)$ ]] || {
        echo "'$1' is not like '$2'" >&2
        return 1
    }
}

# equals TEXT EXPECTED
equals() {
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$1")
}

# has_lines FILE COUNT
has_lines() {
    [ -e "$1" ] && [ "$(wc -l <"$1")" -eq "$2" ]
}

# Each command of a log as "position id value_id", the position being where its line begins.
places_in_log() {
    LC_ALL=C awk -F'"' '{ print at + 0, $8, $14; at += length($0) + 1 }' "$1" | sort
}

places_in_acknowledgements() {
    LC_ALL=C awk -F'"' '{ print $12, $4, $8 }' "$@" | sort
}

# Handler and projector, following log to view.
start_services() {
    background calc-handle -f -i log -o events -r rejections
    background calc-project -f -i events -r rejections --view view
}

# talk COMMAND...: starts it between two pipes: descriptor 8 is its stdin, 9 its stdout.
talk() {
    mkfifo in out
    "$@" <in >out 3>&- &
    started+=($!)
    exec 8>in 9<out
}

traced() {
    ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace "$@"
}

# limited COMMAND...: with little memory to take (sanitizers need terabytes of addresses).
limited() {
    if grep -q __asan_init "$CALC_BIN/calc-submit"; then
        "$@"
    else
        (ulimit -v 50000 && exec "$@")
    fi
}

# --- forms ---

@test "short forms become canonical commands" {
    calc-submit <"$cases/short-forms.in" >out
    cmp out "$cases/short-forms.out"
}

@test "whole commands get their one spelling" {
    calc-submit <"$cases/whole-commands.in" >out
    cmp out "$cases/whole-commands.out"
}

@test "what it writes it takes back unchanged" {
    cat "$cases"/*.out >all
    calc-submit -i all >out
    cmp out all
}

@test "missing ids and the timestamp are filled in" {
    run -0 calc-submit < <(echo '{"value":7}')
    matches "$output" '\{"action":"CreateValue","id":"'"$uuid7"'","data":\{"value_id":"'"$uuid7"'","value":7\.0\},"timestamp":"'"$time"'"\}'
}

@test "a null id, value id or timestamp is filled in as a missing one is" {
    run -0 calc-submit < <(echo '{"value":7,"id":null,"value_id":null,"timestamp":null}')
    matches "$output" '\{"action":"CreateValue","id":"'"$uuid7"'","data":\{"value_id":"'"$uuid7"'","value":7\.0\},"timestamp":"'"$time"'"\}'
    run -0 calc-submit < <(echo '{"action":"UpdateValue","id":null,"timestamp":null,"data":{"value_id":"'$value'","operation":"ADD","value":1}}')
    matches "$output" '\{"action":"UpdateValue","id":"'"$uuid7"'","data":\{"value_id":"'$value'","operation":"ADD","value":1\.0\},"timestamp":"'"$time"'"\}'
}

@test "a whole command without id and timestamp gets them" {
    run -0 calc-submit < <(echo '{"action":"CreateValue","data":{"value_id":"'$value'","value":1}}')
    matches "$output" '\{"action":"CreateValue","id":"'"$uuid7"'","data":\{"value_id":"'$value'","value":1\.0\},"timestamp":"'"$time"'"\}'
}

@test "new ids are different and ordered by time" {
    yes '{"value":1}' | head -n 2000 | calc-submit | cut -d'"' -f8 >first
    sort -u first >sorted
    has_lines sorted 2000
    calc-submit create 1 | cut -d'"' -f8 >later
    cat later >>sorted
    sort -c sorted
}

@test "the timestamp is now, in UTC" {
    before=$(date -u +%Y-%m-%dT%H:%M:%S)
    run -0 env TZ=Asia/Tokyo calc-submit create 1
    after=$(date -u +%Y-%m-%dT%H:%M:%S)
    [[ $output =~ \"timestamp\":\"([^.]*) ]]
    [[ ! ${BASH_REMATCH[1]} < $before ]]
    [[ ! ${BASH_REMATCH[1]} > $after ]]
}

@test "blank lines are skipped, and counted in line numbers" {
    run -65 --separate-stderr calc-submit < <(printf '\n  \t\r\n{"value":7}\n\nbad\n')
    [ "${#lines[@]}" -eq 1 ]
    matches "$stderr" 'calc-submit: line 5: .+'
}

# --- one shot ---

@test "create, add and multiply make one command" {
    run -0 calc-submit create 7
    matches "$output" '\{"action":"CreateValue","id":"'"$uuid7"'","data":\{"value_id":"'"$uuid7"'","value":7\.0\},"timestamp":"'"$time"'"\}'
    run -0 calc-submit add $value 3
    matches "$output" '\{"action":"UpdateValue","id":"'"$uuid7"'","data":\{"value_id":"'$value'","operation":"ADD","value":3\.0\},"timestamp":"'"$time"'"\}'
    run -0 calc-submit multiply $value 3
    matches "$output" '\{"action":"UpdateValue","id":"'"$uuid7"'","data":\{"value_id":"'$value'","operation":"MULTIPLY","value":3\.0\},"timestamp":"'"$time"'"\}'
}

@test "a negative number is an operand, not an option" {
    for pair in -3:-3.0 -.5:-0.5 -0:-0.0 -1e3:-1000.0; do
        [[ $(calc-submit create "${pair%:*}") == *'"value":'"${pair#*:}"'}'* ]]
        [[ $(calc-submit add $value "${pair%:*}") == *'"value":'"${pair#*:}"'}'* ]]
        [[ $(calc-submit multiply $value --actor ann -- "${pair%:*}") == *'"value":'"${pair#*:}"'}'* ]]
    done
}

@test "options may stand behind the operands" {
    run -0 calc-submit add $value -3 --id $command -o log
    equals "$output" '{"id":"'$command'","value_id":"'$value'","position":"0"}'
}

@test "id, expected version and actor go into the command" {
    run -0 calc-submit --id $command --expected-version 4 --actor 'a "b"' add ${value^^} 3
    matches "$output" '\{"action":"UpdateValue","id":"'$command'","data":\{"value_id":"'$value'","operation":"ADD","value":3\.0\},"expected_version":4,"timestamp":"'"$time"'","actor":"a \\"b\\""\}'
}

@test "expected version 0 is written, not taken for absent" {
    run -0 calc-submit --expected-version 0 create 3
    [[ $output == *'},"expected_version":0,"timestamp"'* ]]
}

@test "one shot reads no input" {
    run -0 calc-submit create 3 < <(echo nonsense)
    [ "${#lines[@]}" -eq 1 ]
}

@test "a bad command line is 64, and says where help is" {
    bad=(
        "-x" "--nonsense" "--wait" "destroy 7" "create" "create 7 8" "create x" "create 0x10"
        "create nan" "create inf" "create 1e999" "create -" "add 7" "add x 7" "add $value"
        "add $value x" "multiply $value" "--id x create 7" "--expected-version -1 create 7"
        "--expected-version x create 7" "--expected-version 1.5 create 7" "--id $command"
        "--actor ann" "--expected-version 1" "-i in create 7" "-o http:x create 7" "-i nfs:in"
        "-o log -i log" "--wait x -o log --view v create 7" "--wait -1 -o log --view v create 7"
    )
    for line in "${bad[@]}"; do
        echo "calc-submit $line" >&2
        # shellcheck disable=SC2086 # words are wanted
        run -64 --separate-stderr calc-submit $line </dev/null
        [ -z "$output" ]
        [[ $stderr == calc-submit:*--help* ]]
    done
    [ ! -e log ]
    run -64 calc-submit --actor '' create 7
    run -64 calc-submit --actor "$(printf 'x%.0s' {1..257})" create 7
    run -64 calc-submit create ''
    run -64 calc-submit -o '' create 7
}

@test "an actor that is no UTF-8 makes no command" {
    status=0
    calc-submit --actor $'\xff' create 7 >out || status=$?
    [ "$status" -eq 64 ] || [ "$status" -eq 65 ]
    [ ! -s out ]
}

@test "--wait without a log or without a view is 64" {
    run -64 calc-submit --wait 1 --view view create 7
    run -64 calc-submit --wait 1 -o log create 7
    [ ! -e log ]
}

@test "--help goes to stdout and exits 0, --version too" {
    run -0 --separate-stderr calc-submit --help
    [[ $output == usage:* ]]
    [ -z "$stderr" ]
    run -0 --separate-stderr calc-submit --version
    matches "$output" 'calc-submit [0-9]+\.[0-9]+\.[0-9]+'
    status_of 74 calc-submit --help >/dev/full
}

# --- bad lines ---

@test "bad lines are reported by number and reason, and make no command" {
    status_of 65 calc-submit <"$cases/bad-lines.in" >out 2>err
    [ ! -s out ]
    count=$(wc -l <"$cases/bad-lines.in")
    seq 1 "$count" | sed 's/.*/calc-submit: line &:/' | diff - <(grep -ao '^calc-submit: line [0-9]*:' err)
    run -1 grep -aE '^calc-submit: line [0-9]+: *$' err
}

@test "good lines around each bad one go through" {
    sed 'a {"value":7}' "$cases/bad-lines.in" >mixed
    count=$(wc -l <"$cases/bad-lines.in")
    status_of 65 calc-submit -o log <mixed >out 2>err
    has_lines log "$count"
    has_lines out "$count"
    [ "$(grep -ac '^calc-submit: line ' err)" -eq "$count" ]
    diff <(places_in_log log) <(places_in_acknowledgements out)
}

@test "the handler takes everything that it appends" {
    sed 'a {"value":7}' "$cases/bad-lines.in" | calc-submit 2>/dev/null >log || true
    calc-handle -i log >events 2>err
    cmp err /dev/null
    has_lines events "$(wc -l <log)"
}

@test "a line of 65,536 bytes is read, one more is too long" {
    printf '%-65536s\n' '{"value":7}' >fits
    printf '%-65537s\n' '{"value":7}' >long
    printf '%-65536s\r\n' '{"value":7}' >returned
    run -0 calc-submit <fits
    [ "${#lines[@]}" -eq 1 ]
    run -65 --separate-stderr calc-submit <long
    [ -z "$output" ]
    matches "$stderr" 'calc-submit: line 1: .*65536.*'
    run -65 calc-submit <returned
    run -0 calc-submit < <(cat fits)
    run -65 calc-submit < <(cat long)
}

@test "a line of a gigabyte costs little memory" {
    mkfifo fifo
    { echo '{"value":1}' && head -c 1G /dev/zero && printf '\n{"value":2}\n'; } >fifo &
    status_of 65 limited calc-submit <fifo >out 2>err
    has_lines out 2
    matches "$(cat err)" 'calc-submit: line 2: .+'
}

@test "a last line without newline counts on a pipe" {
    run -0 calc-submit < <(printf '{"value":1}\n{"value":2}')
    [ "${#lines[@]}" -eq 2 ]
}

@test "a last line without newline is no record of a file, and it is said" {
    printf '{"value":1}\n{"value":2}' >in
    for input in "-i in" "-i file:in" "-i -"; do
        # shellcheck disable=SC2086 # words are wanted
        run -65 --separate-stderr calc-submit $input <in
        [ "${#lines[@]}" -eq 1 ]
        [[ $stderr == *newline* ]]
    done
}

# --- logs ---

@test "an acknowledgement tells ids and position, and the command stands there" {
    run -0 calc-submit -o log create 7
    matches "$output" '\{"id":"'"$uuid7"'","value_id":"'"$uuid7"'","position":"0"\}'
    size=$(stat -c %s log)
    calc-submit -o log add $value -3 --id $command >out
    equals "$(cat out)" '{"id":"'$command'","value_id":"'$value'","position":"'"$size"'"}'
    matches "$(tail -c +$((size + 1)) log)" '\{"action":"UpdateValue","id":"'$command'","data":\{"value_id":"'$value'","operation":"ADD","value":-3\.0\},"timestamp":"'"$time"'"\}'
}

@test "every line's position holds its command, over many batches" {
    calc-submit -o log create 1 >out
    yes '{"value":1,"actor":"somebody"}' | head -n 20000 | calc-submit -o file:log >>out
    has_lines log 20001
    diff <(places_in_log log) <(places_in_acknowledgements out)
}

@test "acknowledgements come in the order of the input" {
    for i in {1..9}; do echo '{"value":1,"id":"00000000-0000-4000-8000-00000000000'"$i"'"}'; done >in
    calc-submit -i in -o log | cut -d'"' -f4 | sort -c
    cut -d'"' -f8 log | sort -c
}

@test "several at once append to one log and lose nothing" {
    chunk=$(printf '{"value":1,"actor":"somebody"}\n%.0s' {1..25})
    for process in {1..8}; do
        for _ in {1..20}; do printf '%s\n' "$chunk"; done |
            calc-submit -o log >"out.$process" 3>&- &
        started+=($!)
    done
    for id in "${started[@]}"; do wait "$id"; done
    started=()
    has_lines log 4000
    run -1 grep -vE '^\{"action":"CreateValue","id":"'"$uuid7"'","data":\{"value_id":"'"$uuid7"'","value":1\.0\},"timestamp":"'"$time"'","actor":"somebody"\}$' log
    places_in_acknowledgements out.* >places
    has_lines places 4000
    diff <(places_in_log log) places
}

@test "nothing is acknowledged before it is durable" {
    needs strace
    yes '{"value":1}' | head -n 3000 >in
    traced -e trace=write,pwrite64,fdatasync,fsync calc-submit -i in -o log >out
    has_lines out 3000
    # an acknowledgement's write finds no append that wasn't synced
    awk '/pwrite64\([0-9]+<[^>]*\/log>/ { dirty = 1; appends++ }
        /fdatasync\([0-9]+<[^>]*\/log>\) *= 0/ { dirty = 0 }
        / write\(1</ { acknowledged++; if (dirty) early = 1 }
        END { exit early || !appends || !acknowledged }' trace
}

@test "a line is acknowledged while the input stays open" {
    talk calc-submit -o log
    echo '{"value":1}' >&8
    read -r -t 10 -u 9 line
    matches "$line" '\{"id":.*"position":"0"\}'
    has_lines log 1
    echo '{"value":2}' >&8
    read -r -t 10 -u 9 line
    exec 8>&- 9<&-
}

@test "a command is written while the input stays open" {
    talk calc-submit
    echo '{"value":1}' >&8
    read -r -t 10 -u 9 line
    [[ $line == *'"value":1.0}'* ]]
    exec 8>&- 9<&-
}

@test "a file of inputs is followed with -f, until a signal ends it" {
    background calc-submit -f -i inputs -o commands >acks 2>errors
    echo '{"value":1}' >>inputs
    until_true 10 grep -q position acks
    printf '%s\n%s' '{"value":2}' '{"val' >>inputs
    until_true 10 grep -q '"position":"1[0-9][0-9]"' acks
    kill "${started[0]}"
    status_of 0 wait "${started[0]}"
    [ ! -s errors ]
    status_of 64 calc-submit -e -f -i inputs
    status_of 64 calc-submit --from 3 -i inputs
}

@test "a torn tail is cut off, and it is said" {
    calc-submit -o log create 1 >out
    cp log before
    printf '{"action":"CreateValue","id":"22' >>log
    calc-submit -o log create 2 >>out 2>err
    matches "$(cat err)" 'calc-submit: .*torn.* 32 bytes.*'
    has_lines log 2
    cmp -n "$(stat -c %s before)" before log
    diff <(places_in_log log) <(places_in_acknowledgements out)
}

@test "a torn tail that is longer than the new command is cut off whole" {
    calc-submit -o log create 1 >out
    head -c 5000 /dev/zero | tr '\0' x >>log
    calc-submit -o log create 2 >>out 2>err
    [[ $(cat err) == *" 5000 bytes"* ]]
    has_lines log 2
    diff <(places_in_log log) <(places_in_acknowledgements out)
    [ -z "$(tail -c 1 log)" ]
}

@test "a log that holds nothing but a torn tail is begun anew" {
    printf 'torn' >log
    run -0 --separate-stderr calc-submit -o log create 2
    [[ $output == *'"position":"0"}' ]]
    has_lines log 1
    [[ $stderr == *torn* ]]
}

@test "a log that another process has locked is waited for" {
    : >log
    exec 8<log
    hold_lock 8
    background calc-submit -o log create 7 >out 8<&-
    inode=$(stat -c %i log)
    until_true 10 grep -qE -- "-> FLOCK .*:$inode " /proc/locks
    [ ! -s log ]
    [ ! -s out ]
    flock -u 8
    until_true 10 has_lines out 1
    has_lines log 1
}

@test "after a failed sync the log is as it was and nothing is acknowledged" {
    needs strace
    calc-submit -o log create 1 >/dev/null
    cp log before
    status_of 74 traced -e trace=pwrite64,fdatasync,ftruncate -e inject=fdatasync:error=EIO:when=1 \
        calc-submit -o log create 2 >out
    [ ! -s out ]
    cmp log before
    # what was written is cut off and that is synced, not the failed sync tried again
    run -0 grep -oE 'pwrite64|fdatasync|ftruncate' trace
    equals "$output" $'pwrite64\nfdatasync\nftruncate\nfdatasync'
}

@test "after a write that found no room the log is as it was and nothing is acknowledged" {
    calc-submit -o log create 1 >/dev/null
    cp log before
    yes '{"value":1}' | head -n 100 >in
    status_of 74 bash -c 'trap "" XFSZ; ulimit -f 8; exec calc-submit -i in -o log' >out 2>err
    [ ! -s out ]
    cmp log before
    matches "$(cat err)" 'calc-submit: .*log.*'
}

@test "after a failed sync the next append is acknowledged where it stands" {
    needs strace
    status_of 74 traced -e trace=fdatasync -e inject=fdatasync:error=EIO:when=1 calc-submit -o log create 2
    run -0 calc-submit -o log create 3
    [[ $output == *'"position":"0"}' ]]
    has_lines log 1
}

@test "a log that can't be opened or is none is 74" {
    run -74 --separate-stderr calc-submit -o nowhere/log create 7
    [[ $stderr == calc-submit:*nowhere/log* ]]
    mkdir folder
    for log in folder /dev/full /dev/null; do
        run -74 --separate-stderr calc-submit -o "$log" create 7
        [ -z "$output" ]
        [[ $stderr == calc-submit:*$log* ]]
    done
}

@test "an input that can't be read is 74" {
    run -74 calc-submit -i nowhere
    mkdir folder
    run -74 calc-submit -i folder
    status_of 74 calc-submit <&-
}

@test "a log that is its own input is refused, whatever its name" {
    calc-submit create 7 >log
    cp log before
    ln -s log link
    for names in "log ./log" "./log log" "link log" "log file:link" "file:log log"; do
        # shellcheck disable=SC2086 # words are wanted
        set -- $names
        run -64 calc-submit -i "$1" -o "$2"
        run -64 calc-submit -o "$2" <"${1#file:}"
    done
    cmp log before
}

# --- output that fails ---

@test "a full disk on stdout is 74" {
    status_of 74 calc-submit create 7 >/dev/full
    status_of 74 calc-submit >/dev/full < <(echo '{"value":7}')
    status_of 74 calc-submit -o log create 7 >/dev/full
    has_lines log 1
}

@test "a closed pipe kills it with SIGPIPE" {
    yes '{"value":7}' | env --default-signal=PIPE calc-submit | head -n 1 >first
    [ "${PIPESTATUS[1]}" -eq 141 ]
    has_lines first 1
}

@test "a stdout that is closed is 74, and never lands in the log" {
    status_of 74 calc-submit create 7 >&-
    for number in 7 8; do calc-submit -o log create $number >&- || echo $? >>statuses; done
    equals "$(cat statuses)" $'74\n74'
    has_lines log 2
    run -1 grep -v '^{"action":"CreateValue".*Z"}$' log
}

@test "a stderr that is closed never lands in the log" {
    printf '{"value":7}\nbad\n' >in
    status_of 65 bash -c 'exec calc-submit -i in -o log 2>&-'
    has_lines log 1
    grep -q '^{"action":"CreateValue".*Z"}$' log
}

@test "it is killed by SIGTERM" {
    talk calc-submit -o log
    echo '{"value":7}' >&8
    read -r -t 10 -u 9 line
    kill -TERM "${started[0]}"
    status_of 143 wait "${started[0]}"
    exec 8>&- 9<&-
    has_lines log 1
}

# --- LOG_LEVEL ---

@test "LOG_LEVEL says how much is said" {
    printf torn >log
    LOG_LEVEL=error run -0 --separate-stderr calc-submit -o log create 7
    [ -z "$stderr" ]
    for level in warn info debug ''; do
        printf torn >>log
        LOG_LEVEL=$level run -0 --separate-stderr calc-submit -o log create 7
        [[ $stderr == *torn* ]]
    done
    LOG_LEVEL=error run -65 --separate-stderr calc-submit < <(echo bad)
    [[ $stderr == *'line 1:'* ]]
    LOG_LEVEL=loud run -0 --separate-stderr calc-submit create 7
    [[ $stderr == *LOG_LEVEL*loud* ]]
}

# --- --wait ---

@test "--wait prints an applied outcome behind the acknowledgement" {
    start_services
    run -0 calc-submit -o log --wait 20 --view view --id $command create 7
    [[ ${lines[0]} == '{"id":"'$command'","value_id":"'*'","position":"0"}' ]]
    created=$(cut -d'"' -f8 <<<"${lines[0]}")
    equals "${lines[1]}" '{"id":"'$command'","value_id":"'"$created"'","status":"applied","version":1,"result":7.0}'
    run -0 calc-submit -o log --wait 20 --view view --id $other add "$created" -3
    equals "${lines[1]}" '{"id":"'$other'","value_id":"'"$created"'","status":"applied","version":2,"result":4.0}'
}

@test "--wait on a rejected command prints why and exits 1" {
    start_services
    run -1 calc-submit -o log --wait 20 --view view --id $command add $value 3
    equals "${lines[1]}" '{"id":"'$command'","value_id":"'$value'","status":"rejected","reason":"unknown_value","version":0}'
    [ "${#lines[@]}" -eq 2 ]
}

@test "--wait on a command that isn't decided in time is acknowledged, and 69" {
    run -69 --separate-stderr calc-submit -o log --wait 0.1 --view view --id $command add $value 3
    equals "$output" '{"id":"'$command'","value_id":"'$value'","position":"0"}'
    [[ $stderr == calc-submit:*$command* ]]
    has_lines log 1
    run -69 calc-submit -o log --wait 0 --view view create 3
}

@test "--wait waits for a view that isn't there yet" {
    background calc-submit -o log --wait 30 --view view create 7 >out
    until_true 10 has_lines out 1
    start_services
    until_true 20 has_lines out 2
    [[ $(tail -n 1 out) == *'"status":"applied","version":1,"result":7.0}' ]]
    wait "${started[0]}"
}

@test "a retry under the same id changes nothing and gets the first outcome" {
    start_services
    echo '{"value":7,"value_id":"'$value'"}' | calc-submit -o log --wait 20 --view view >/dev/null
    calc-submit -o log --wait 20 --view view --id $command add $value 3 | tail -n 1 >first
    calc-submit -o log --wait 20 --view view add $value 1 >/dev/null
    calc-submit -o log --wait 20 --view view --id $command add $value 3 | tail -n 1 >again
    cmp first again
    [[ $(cat first) == *'"status":"applied","version":2,"result":10.0}' ]]
    has_lines log 4
    has_lines events 3
}

@test "an id that was used before by another body is id_reused and 1" {
    start_services
    echo '{"value":7,"value_id":"'$value'"}' | calc-submit -o log --wait 20 --view view >/dev/null
    calc-submit -o log --wait 20 --view view --id $command add $value 3 >/dev/null
    for change in "multiply $value 3" "add $value 4" "add $value 3 --actor ann"; do
        # shellcheck disable=SC2086 # words are wanted
        run -1 calc-submit -o log --wait 20 --view view --id $command $change
        [[ ${lines[1]} == '{"id":"'$command'","value_id":"'$value'","status":"rejected","reason":"id_reused",'* ]]
    done
    has_lines events 2
}

@test "--wait tells every line's outcome, and the gravest status wins" {
    start_services
    echo '{"value":7,"value_id":"'$value'"}' >in
    echo '{"operation":"ADD","value":1,"value_id":"'$other'"}' >>in
    echo '{"operation":"ADD","value":1,"value_id":"'$value'"}' >>in
    run -1 calc-submit -i in -o log --wait 20 --view view
    [ "${#lines[@]}" -eq 6 ]
    [[ ${lines[3]} == *'"status":"applied","version":1,"result":7.0}' ]]
    [[ ${lines[4]} == *'"status":"rejected","reason":"unknown_value","version":0}' ]]
    [[ ${lines[5]} == *'"status":"applied","version":2,"result":8.0}' ]]
    echo bad >>in
    run -65 calc-submit -i in -o log --wait 20 --view view
}

@test "CALC_VIEW is the default of --view" {
    start_services
    CALC_VIEW=view run -0 calc-submit -o log --wait 20 create 7
    [[ ${lines[1]} == *'"status":"applied"'* ]]
}

@test "a create under the same id makes the same value, so a retry is applied once" {
    id=0193a000-0000-7000-8000-000000000001
    for _ in 1 2; do
        calc-submit --id $id create 7
        echo '{"id":"'$id'","value":7}' | calc-submit
    done >commands
    calc-handle <commands >events 2>rejections
    [ "$(wc -l <commands)" -eq 4 ]
    [ "$(wc -l <events)" -eq 1 ]
    [ ! -s rejections ]
}
