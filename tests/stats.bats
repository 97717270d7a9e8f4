# What the filters tell of themselves: statistics by SIGUSR1 and --stats, progress on a terminal.

load helper

one=0198c0de-0000-7000-8000-000000000001

# A log of 20,000 commands, with rejections and a retry among them.
make_commands() {
    {
        seq 20000 | sed 's/.*/{"value":&}/'
        printf '{"value_id":"%s","operation":"ADD","value":1}\n' "$one" "$one" "$one"
        printf '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":1}}\n' \
            "$one" "$one" "$one" "$one"
    } | calc-submit -o commands >/dev/null
    echo nonsense >>commands
}

# line FILE: it is one whole line of JSON.
line() {
    [ "$(grep -c '' "$1")" = 1 ]
    jq -e . "$1" >/dev/null
}

# told FILE: how many lines of statistics stand in it.
told() {
    grep -c '^{"tool":' "$1"
}

# has_told COUNT FILE
has_told() {
    [ "$(told "$2")" -ge "$1" ]
}

@test "calc-handle's statistics agree with the logs to the record" {
    make_commands
    calc-handle -i commands -o events -r rejections --stats stats
    line stats
    jq -e --argjson events "$(grep -c '' events)" --argjson rejections "$(grep -c '' rejections)" \
        --argjson size "$(stat -c %s commands)" '.tool == "calc-handle" and
            .records_in == {commands: 20006} and .retries == 1 and
            .records_out == {events: $events, rejections: $rejections} and
            .rejections.unknown_value == 3 and .rejections.malformed == 1 and
            ([.rejections[]] | add) == $rejections and
            .positions == {commands: {"0": $size}} and
            .lag.commands["0"] == {bytes: 0, seconds: 0} and
            .commit_duration_seconds.count == .commit_duration_seconds.buckets["+Inf"] and
            .commit_duration_seconds.count > 0' stats
    # of what is there already nothing was done again
    calc-submit -o commands create 7 >/dev/null
    calc-handle -i commands -o events -r rejections --stats stats
    jq -e '.records_in.commands == 1 and .records_out == {events: 1, rejections: 0}' stats
}

@test "calc-project's, calc-submit's and calc-watch's do, too" {
    make_commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view --stats stats
    line stats
    jq -e --argjson events "$(grep -c '' events)" --argjson rejections "$(grep -c '' rejections)" \
        '.records_in == {events: $events, rejections: $rejections} and .duplicates == 0 and
            ([.rejections[]] | add) == $rejections and .lag.events["0"].bytes == 0 and
            .commit_duration_seconds.count > 0' stats
    calc-watch --view view --from beginning -e --stats stats >watched
    line stats
    jq -e --argjson count "$(grep -c '' watched)" \
        '.records_out.events + .records_out.rejections == $count and .passed_over == 0' stats
    [ "$(jq -r .cursor stats)" = "$(tail -n 1 watched | jq -r .cursor)" ]
    status_of 65 calc-submit -o more --stats stats < <(
        seq 500 | sed 's/.*/{"value":&}/'
        echo nonsense
    ) >acknowledged 2>errors
    line stats
    jq -e --argjson count "$(grep -c '' more)" '.records_in.inputs == 501 and .refused == 1 and
        .records_out.commands == $count' stats
    [ "$(grep -c '' acknowledged)" = 500 ]
}

@test "SIGUSR1 is answered while a filter waits, with a line on stderr and the file" {
    calc-submit -o commands create 7 >/dev/null
    background calc-handle -f -i commands -o events -r rejections --stats handle.json 2>handle.err
    background calc-project -f -i events -r rejections --view view --stats project.json 2>project.err
    until_true 10 test -e view/current
    background calc-watch --view view --stats watch.json >watched 2>watch.err
    mkfifo pipe
    exec 7<>pipe
    # its input is a pipe, which a background command of a function would lose
    background env bash -c 'exec calc-submit -o commands --stats submit.json <pipe' \
        >acknowledged 2>submit.err
    until_true 10 test -e submit.json
    for tool in handle project watch submit; do
        until_true 10 test -e $tool.json
        line $tool.json
    done
    kill -USR1 "${started[@]}"
    for tool in handle project watch submit; do
        until_true 10 has_told 1 $tool.err
        line $tool.err
        kill -0 "${started[@]}"
    done
    echo '{"value":8}' >&7
    until_true 10 test -s acknowledged
    until_true 10 grep -q '"result":8.0' watched
    until_true 10 eval "jq -e '.records_in.commands == 2' handle.json >/dev/null"
}

@test "a storm of SIGUSR1 changes nothing of what is done" {
    make_commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections >values
    # it isn't done before it was asked, however fast it is
    mkfifo slow
    : >rejections.out
    {
        head -n 10000 commands
        until_true 20 has_told 1 rejections.out
        tail -n +10001 commands
    } >slow 3>&- &
    calc-handle <slow >events.out 2>rejections.out 3>&- &
    handler=$!
    storm $handler &
    wait $handler
    cmp events events.out
    grep -v '^{"tool":' rejections.out | cmp rejections -
    has_told 1 rejections.out
    calc-handle -i commands -o events.log -r rejections.log 2>told 3>&- &
    handler=$!
    storm $handler &
    wait $handler
    cmp events events.log
    cmp rejections rejections.log
    calc-project -f -i events -r rejections --view view 2>told 3>&- &
    projector=$!
    storm $projector &
    until_true 20 eval 'calc-get --view view --all >got 2>/dev/null && cmp -s values got'
    kill -TERM $projector
    status_of 0 wait $projector
}

@test "a file that is replaced is whole whenever it is read" {
    calc-submit -o commands create 7 >/dev/null
    background calc-handle -f -i commands -o events -r rejections --stats stats 2>told
    until_true 10 test -e stats
    for _ in {1..200}; do
        kill -USR1 "${started[0]}"
        line stats
    done
    until_true 10 has_told 2 told
    [ ! -e stats.new ] || until_true 10 test ! -e stats.new
}

@test "statistics that can't be written are said once, and no reason not to work" {
    make_commands
    calc-handle -i commands -o events -r rejections --stats missing/stats 2>errors
    [ "$(grep -c "can't write statistics to missing/stats" errors)" = 1 ]
    [ "$(grep -c '' events)" -gt 20000 ]
    calc-project -i events --view view --stats /dev/full 2>errors
    grep -q "can't write statistics to /dev/full" errors
    [ -c /dev/full ]
    # what isn't a file's own name isn't replaced by one
    touch target
    ln -s target link
    calc-project -i events --stats link >/dev/null
    line target
    [ -L link ]
}

# on_terminal COMMAND: with stderr a terminal, and stdout not; what came there is in ./seen.
on_terminal() {
    needs script
    script -qec "$1" /dev/null </dev/null >seen
}

# A disk that takes its time, for what reads a file of the name.
slowly() {
    # the sanitizer that looks for leaks doesn't work under strace
    echo "env ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e trace=pread64 -P $PWD/$1 -e inject=pread64:delay_exit=$2"
}

@test "long work shows how far it is on a terminal, and how long it will take" {
    needs strace
    make_commands
    on_terminal "$(slowly commands 120000) calc-handle -i commands -o events -r rejections >out"
    grep -aEq $'\r\033\\[Khandling: [0-9]+ commands, [0-9]+/s, [0-9]+%, [0-9]+ s left' seen
    [ "$(tail -c 4 seen)" = $'\r\033[K' ]
    [ ! -s out ]
    on_terminal "$(slowly events 120000) calc-project -i events -r rejections --view view >out"
    grep -aEq $'catching up: [0-9]+ records, [0-9]+/s, [0-9]+%, [0-9]+ s left' seen
    [ "$(tail -c 4 seen)" = $'\r\033[K' ]
    on_terminal "strace -f -o /dev/null -e trace=write -P $PWD/out -e inject=write:delay_exit=1000 \
        env ASAN_OPTIONS=detect_leaks=0 calc-watch --view view --from beginning -e >out"
    grep -aEq $'watching: [0-9]+ records, [0-9]+/s, [0-9]+%, [0-9]+ s left' seen
    [ "$(tail -c 4 seen)" = $'\r\033[K' ]
    on_terminal "strace -f -o /dev/null -e trace=write -P $PWD/out -e inject=write:delay_exit=60000 \
        env ASAN_OPTIONS=detect_leaks=0 calc-get --view view --all >out"
    grep -aEq $'getting: [0-9]+ values, [0-9]+/s, [0-9]+%, [0-9]+ s left' seen
    [ "$(tail -c 4 seen)" = $'\r\033[K' ]
    on_terminal "$(slowly events 120000) calc-project -i events -r rejections --view view --rebuild"
    grep -aEq $'rebuilding: [0-9]+ records, [0-9]+/s, [0-9]+%, [0-9]+ s left' seen
    on_terminal "$(slowly commands 120000) calc-submit -i commands -o copy >out" || true
    grep -aEq $'submitting: [0-9]+ inputs, [0-9]+/s, [0-9]+%, [0-9]+ s left' seen
    # a diagnostic takes the line's place
    grep -aq $'\033\\[Kcalc-submit: line 20006: ' seen
}

@test "there is no progress where stderr is no terminal, or where the data goes to one" {
    needs strace
    make_commands
    $(slowly commands 120000) calc-handle -i commands -o events -r rejections >out 2>&1
    [ ! -s out ]
    on_terminal "$(slowly commands 120000) calc-handle -i commands"
    [ "$(grep -ac "handling:" seen)" -eq 0 ]
    on_terminal "$(slowly events 120000) calc-project -i events"
    [ "$(grep -ac "catching up:" seen)" -eq 0 ]
}
