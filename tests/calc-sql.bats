#!/usr/bin/env bats
# calc-sql: what calc-watch prints, in PostgreSQL and SQLite. The long form of the kills is faults/sql.py.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, and its variables are its own
bats_require_minimum_version 1.5.0
# shellcheck disable=SC2154 # helper.bash sets root, run sets stderr
load helper

one=0193a000-0000-7000-8000-000000000001
two=0193a000-0000-7000-8000-000000000002

# One PostgreSQL for all tests, which have a database each; and one view.
setup_file() {
    needs psql sqlite3 python3
    PGHOST=$("$root/tests/sql/postgres" start 3>&-)
    export PGHOST PGUSER=calc CALC_VIEW=$BATS_FILE_TMPDIR/view
    cd "$BATS_FILE_TMPDIR" || return 1
    make_inputs | calc-submit -o commands >acknowledged
    echo 'no command' >>commands
    make_reused >>commands
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections
    calc-watch --from beginning -e >told
}

teardown_file() {
    [ -z "$PGHOST" ] || "$root/tests/sql/postgres" end "$PGHOST"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    export PGDATABASE=test$BATS_TEST_NUMBER CALC_VIEW=$BATS_FILE_TMPDIR/view
    psql -X -q -d postgres -c "create database $PGDATABASE"
    told=$BATS_FILE_TMPDIR/told
}

# Numbers of all kinds, actors of all characters, and every reason.
make_inputs() {
    python3 - $one $two <<'END'
import json, random, sys
one, two = sys.argv[1:]
rng = random.Random(3)
def put(value_id, number, operation=None, **more):
    print(json.dumps({"value_id": value_id, "value": number} | ({"operation": operation} if operation else {}) | more))
put(one, 7, actor="o'neil \\ \"\u4f60\" :a $$ %s")
put(two, 0.1)
for i in range(1, 128):
    put(one, rng.uniform(-9, 9), "ADD", actor=f"a{chr(i)}" + "".join(map(chr, range(1, i))))
for actor in ("'", "''", "\\", "\\'", "';select 1;--", "\r\n", "\n.quit\n", "\n\\q\n", "/\n", "\u2028\U0001f600\x7f\x80"):
    put(one, 1, "MULTIPLY", actor=actor)
for i in range(600):
    put(two, rng.uniform(-1, 1) * 10.0 ** rng.randrange(-305, 305), "MULTIPLY" if i % 3 else "ADD")
    put(two, 0, "MULTIPLY")
for number in (-0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740991, 9007199254740993,
               2.0 ** 53, -2.0 ** 62, 2.0 ** 1023, 1 / 3, 0.1, 1e22, 1e23, 123456789.123456789):
    put(two, -0.0, "MULTIPLY", actor="ann")
    put(two, number, "ADD", actor="ann")
    if number < 0:
        put(two, -1, "MULTIPLY", timestamp="0001-01-01T00:00:00Z")
put(two, 1e308, "ADD")
put(two, 1.7976931348623157e308, "MULTIPLY", timestamp="9999-12-31T23:59:59.999999Z")
put(two, 1.5, "ADD", expected_version=1, actor="ann")
put(two, 1.5, "ADD", expected_owner="bob", actor="ann")
put(two, 1.5, actor="ann")
put("0193a000-0000-7000-8000-000000000003", -1e-7, "ADD")
END
}

# Commands without a time, and an id that was used before.
make_reused() {
    local id
    for id in $one $one $two; do
        echo '{"action":"CreateValue","id":"'$one'","data":{"value_id":"0193a000-0000-7000-8000-00000000000'"${id: -1}"'","value":4}}'
    done
    echo '{"action":"CreateValue","id":"'$one'","data":{"value_id":"0193a000-0000-7000-8000-000000000009","value":4}}'
    echo '{"action":"CreateValue","id":"'$one'","data":{"value_id":"0193a000-0000-7000-8000-000000000009","value":5}}'
}

# client DIALECT: reads SQL, as a user would have it.
client() {
    case $1 in
    postgresql) psql -X ;;
    sqlite) sqlite3 calc.db ;;
    esac
}

# database DIALECT: its name; with the tables, afterwards.
schema() {
    calc-sql --dialect "$1" --schema | client "$1"
}

database() {
    case $1 in
    postgresql) echo "$PGDATABASE" ;;
    sqlite) echo calc.db ;;
    esac
}

# translate DIALECT: lines to the database.
translate() {
    calc-sql --dialect "$1" | client "$1"
}

# is_view DIALECT: the database is equal to the view, row by row.
is_view() {
    "$root/tests/sql/compare.py" "$1" "$(database "$1")" "${2-$CALC_VIEW}"
}

# ask DIALECT SQL: one line.
ask() {
    case $1 in
    postgresql) psql -X -At -c "$2" ;;
    sqlite) sqlite3 calc.db "$2" ;;
    esac
}

cursor() {
    calc-sql --from | case $1 in
    postgresql) psql -X -At ;;
    sqlite) sqlite3 calc.db ;;
    esac
}

cursor_of() {
    jq -r .cursor <<<"$1"
}

# --- equal ---

@test "PostgreSQL and SQLite end equal to the view, row by row and every bit" {
    [ "$(jq -r .reason "$told" | sort -u | wc -l)" -eq 8 ] # and null
    for dialect in postgresql sqlite; do
        schema $dialect
        translate $dialect <"$told"
        is_view $dialect
    done
}

@test "settings of the server and of the client don't change what text means" {
    export PGOPTIONS='-c standard_conforming_strings=off -c escape_string_warning=off' PGCLIENTENCODING=LATIN1
    schema postgresql
    translate postgresql <"$told"
    unset PGOPTIONS PGCLIENTENCODING
    is_view postgresql
}

@test "the same lines again, in parts, older ones after newer ones, change nothing" {
    for dialect in postgresql sqlite; do
        schema $dialect
        schema $dialect
        for lines in 1,3 2,9 5,2000 1,400 300,301 1,2000; do
            sed -n "${lines}p" "$told" | translate $dialect
        done
        is_view $dialect
        sed -n 1,20p "$told" | translate $dialect
        [ "$(cursor $dialect)" = "$(cursor_of "$(sed -n 20p "$told")")" ]
        calc-watch --from "$(cursor $dialect)" -e | translate $dialect
        is_view $dialect
    done
}

@test "who began late and goes over everything again has everything, the owners too" {
    for dialect in postgresql sqlite; do
        schema $dialect
        tail -n +50 "$told" | translate $dialect
        [ "$(ask $dialect "select count(*) from calc_values where owner is null and value_id = '$one'")" -eq 1 ]
        status_of 1 is_view $dialect
        head -n 100 "$told" | translate $dialect
        translate $dialect <"$told"
        is_view $dialect
    done
}

@test "lines in any spelling of JSON mean the same" {
    calc-sql <"$told" >wanted
    jq -c '{cursor} + (to_entries | reverse | from_entries) | .more = 1' "$told" |
        sed 's/^{/{ /' | python3 -c '
import json, sys
for line, was in zip(sys.stdin, open(sys.argv[1])):
    line, was = json.loads(line), json.loads(was)
    line["data"] = was["data"]  # jq rounds
    line.update(result=was["result"]) if "result" in was else None
    print(json.dumps(line))' "$told" >other
    calc-sql <other | diff wanted -
}

# --- transactions ---

@test "whatever was cut off when the client's input ended, nothing of that transaction is there" {
    head -n 20 "$told" >some # a file, which doesn't pause: one transaction
    calc-sql --dialect sqlite <some >whole
    schema sqlite
    cp calc.db empty.db
    local size
    size=$(stat -c %s whole)
    for cut in $(seq 40 61 "$size") $(seq $((size - 10)) "$size"); do
        cp empty.db calc.db
        head -c "$cut" whole | sqlite3 calc.db 2>errors || true
        if ((cut < size - 2)); then
            [ "$(sqlite3 calc.db 'select count(*) from calc_events')" -eq 0 ]
            [ "$(cursor sqlite)" = beginning ]
        else
            [ "$(sqlite3 calc.db 'select count(*) from calc_events')" -eq 20 ]
        fi
    done
    translate sqlite <"$told"
    is_view sqlite
    calc-sql <some >whole
    schema postgresql
    size=$(stat -c %s whole)
    for cut in $(seq 100 701 $((size - 3))) $((size - 3)); do
        head -c "$cut" whole | psql -X 2>errors || true
        [ "$(ask postgresql 'select count(*) from calc_events')" -eq 0 ]
    done
    translate postgresql <"$told"
    is_view postgresql
}

@test "at the first error the client ends, and what comes behind isn't there" {
    # another calculator's events, of the same value
    echo '{"value_id":"'$one'","value":1}' | calc-submit | calc-handle -o others -r other-rejections
    calc-project -i others -r other-rejections --view others-view
    calc-watch --view others-view --from beginning -e >other
    for dialect in postgresql sqlite; do
        schema $dialect
        head -n 10 "$told" | translate $dialect
        calc-sql --dialect $dialect <other >sql
        tail -n +11 "$told" | calc-sql --dialect $dialect >>sql
        local status=0
        client $dialect <sql 2>errors || status=$?
        case $dialect in
        postgresql) [ "$status" -eq 3 ] ;;
        sqlite) [ "$status" -eq 1 ] ;;
        esac
        grep -qi unique errors
        [ "$(cursor $dialect)" = "$(cursor_of "$(sed -n 10p "$told")")" ]
        tail -n +11 "$told" | translate $dialect
        is_view $dialect
    done
}

@test "lines are in the database as soon as no more come, and the pipe ends in order" {
    cp -r "$BATS_FILE_TMPDIR"/{commands,events*,rejections,view} .
    background calc-handle -f -i commands -o events -r rejections
    background calc-project -f -i events -r rejections --view view
    local translators=() version
    for dialect in postgresql sqlite; do
        schema $dialect
        mkfifo lines.$dialect
        translate $dialect 3>&- <lines.$dialect &
        translators+=($!)
        calc-watch --view view --from "$(cursor $dialect)" 3>&- >lines.$dialect &
        started+=($!)
    done
    for turn in 1 2 3; do
        calc-submit -o commands --wait 10 --view view add $one $turn >acknowledged
        version=$(calc-get --view view $one | jq .version)
        until_true 10 has_version postgresql "$version"
        until_true 10 has_version sqlite "$version"
    done
    end_started
    for translator in "${translators[@]}"; do
        status_of 0 wait "$translator"
    done
    is_view postgresql view
    is_view sqlite view
}

has_version() {
    [ "$(ask "$1" "select version from calc_values where value_id = '$one'")" = "$2" ]
}

@test "who is killed takes the others along, also while nothing comes" {
    schema sqlite
    for victim in 0 1 2; do
        mkfifo to-sql to-client
        calc-watch --from "$(cursor sqlite)" 3>&- >to-sql 2>/dev/null &
        local processes=($!)
        calc-sql --dialect sqlite 3>&- <to-sql >to-client 2>errors &
        processes+=($!)
        sqlite3 calc.db 3>&- <to-client &
        processes+=($!)
        started+=("${processes[@]}")
        until_true 10 has_all
        kill -9 "${processes[victim]}"
        for process in "${processes[@]}"; do
            until_true 10 ended "$process"
        done
        started=()
        rm to-sql to-client
    done
    is_view sqlite
}

has_all() {
    [ -z "$(calc-watch --from "$(cursor sqlite)" -e)" ]
}

ended() {
    ! kill -0 "$1" 2>/dev/null
}

@test "where SIGPIPE is ignored, as a service has it, a reader that is gone is 74" {
    trap '' PIPE
    mkfifo out lines
    calc-watch --from beginning 3>&- >lines 2>watch.err &
    local watcher=$!
    calc-sql 3>&- <lines >out 2>sql.err &
    local sql=$!
    head -n 1 out >first
    status_of 74 wait "$sql"
    status_of 74 wait "$watcher"
    grep 'Broken pipe' watch.err sql.err
}

# --- where to go on ---

@test "--from asks where to go on: at the beginning in a database that is new" {
    for dialect in postgresql sqlite; do
        schema $dialect
        [ "$(cursor $dialect)" = beginning ]
        head -n 7 "$told" | translate $dialect
        [ "$(cursor $dialect)" = "$(cursor_of "$(sed -n 7p "$told")")" ]
        calc-watch --from "$(cursor $dialect)" -e | translate $dialect
        is_view $dialect
        : | translate $dialect
        is_view $dialect
    done
}

@test "without tables nothing is begun" {
    status_of 65 calc-watch --from "$(cursor postgresql 2>errors)" -e
    grep -q calc_cursor errors
    status_of 65 calc-watch --from "$(cursor sqlite 2>errors)" -e
    grep -q calc_cursor errors
}

# --- lines that are none ---

@test "a bad line is told with its number, the others are taken, and the cursor stays before it" {
    for dialect in postgresql sqlite; do
        schema $dialect
        { sed -n 1,5p "$told" && echo '{"action":"ValueUpdated"}' && sed -n '7,$p' "$told"; } >damaged
        status_of 65 calc-sql --dialect $dialect <damaged 2>errors >sql
        grep -x 'calc-sql: line 6: .*' errors
        client $dialect <sql
        [ "$(cursor $dialect)" = "$(cursor_of "$(sed -n 5p "$told")")" ]
        [ "$(ask $dialect 'select count(*) from calc_events')" -eq $(($(grep -c '"ValueUpdated"\|"ValueCreated"' "$told") - 1)) ]
        calc-watch --from "$(cursor $dialect)" -e | translate $dialect
        is_view $dialect
    done
}

@test "what is no line of calc-watch is refused, each with a reason" {
    head -n 1 "$told" >line
    {
        echo nonsense
        head -c 100 line
        echo
        sed 's/,"cursor.*/}/' line
        sed 's/"cursor":"[^"]*"/"cursor":""/' line
        sed "s/\"cursor\":\"[^\"]*\"/\"cursor\":\"1'--\"/" line
        sed 's/"cursor":"[^"]*"/"cursor":7/' line
        sed 's/"version":1,/"version":9223372036854775808,/' line
        sed 's/"version":1,/"version":0,/' line
        sed 's/"value":7.0/"value":1e999/' line
        sed 's/,"cursor/,"id":"'$one'","cursor/' line
        sed 's/,"cursor":/,"cursor":"1","cursor":/' line
        head -c 70000 /dev/zero | tr '\0' x
        echo
    } >bad
    run -65 --separate-stderr calc-sql <bad
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 12 ]
    for number in {1..12}; do
        [[ ${stderr_lines[number - 1]} == "calc-sql: line $number: "?* ]]
    done
    # a file's record ends with a newline, a pipe's with its end, too
    head -c -1 "$told" >torn
    status_of 65 calc-sql <torn >sql 2>errors
    grep -q newline errors
    head -c -1 "$told" | cat | calc-sql >sql
    grep -qF "'$(tail -n 1 "$told" | jq -r .id)'" sql
}

# --- the rest ---

@test "both databases stay current while each part of the pipe is killed, again and again" {
    "$root/tests/faults/sql.py" --kills 4 --events 2400 --seed 3
}

@test "every example in calc-sql(1) prints what the page says" {
    python3 "$root/tests/manual/examples.py" "$root/man/calc-sql.1"
}

@test "output that can't be written is 74" {
    status_of 74 calc-sql <"$told" >/dev/full 2>errors
    grep -q stdout errors
    status_of 74 calc-sql --schema >/dev/full 2>errors
}

@test "a command line that makes no sense is 64" {
    for arguments in --dialect '--dialect mysql' '--schema --from' nothing --nothing; do
        # shellcheck disable=SC2086 # words
        run -64 --separate-stderr calc-sql $arguments
        [ -z "$output" ]
        [[ $stderr == calc-sql:* ]]
    done
}
