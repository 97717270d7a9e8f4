#!/usr/bin/env bats
# Every case of calc-recovery(7): what one sees, and that what the page says to type mends it.

bats_require_minimum_version 1.5.0
# shellcheck disable=SC2154 # helper.bash sets root, run sets stderr
load helper

# a small system at rest; the outcomes as they have to be are kept aside
setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    printf '{"value":%d}\n' 1 2 3 4 5 6 7 8 9 | calc-submit -o commands >acknowledged
    calc-submit -o commands add 0193a000-0000-7000-8000-000000000001 1 >>acknowledged
    handle && project && cp events events.right && cp rejections rejections.right
}

handle() {
    calc-handle -i commands -o events -r rejections
}

project() {
    calc-project -i events -r rejections --view view "$@"
}

verify() {
    calc-verify -i commands -o events -r rejections --state events.state --view view
}

# refused STATUS PATTERN COMMAND...: with a sentence that has the words, and no log is changed.
refused() {
    local status=$1 words=$2 before
    shift 2
    before=$(cat commands events rejections | cksum)
    run "-$status" --separate-stderr "$@"
    [[ $stderr == *$words* ]] || {
        echo "said: $stderr"
        false
    }
    [ "$(cat commands events rejections | cksum)" = "$before" ]
}

# All is there, right to the byte, and can be gone on with.
all_is_well() {
    handle
    cmp events.right events
    cmp rejections.right rejections
    project
    [ "$(verify | wc -l)" -eq 5 ]
    calc-submit -o commands create 10 >acknowledged
    handle
    project
    verify
    calc-get --view view --all | grep -q '"value":10.0'
}

flip() {
    printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "a torn tail of the commands" {
    printf '{"action":"Upd' >>commands
    run -0 --separate-stderr handle
    [[ $stderr == *"14 bytes behind its last newline, at "*", are no record"* ]]
    run -0 --separate-stderr calc-submit -o commands create 1
    [[ $stderr == *"cut off a torn tail of 14 bytes"* ]]
    handle
    cp events events.right
    all_is_well
}

@test "a torn tail of the events or the rejections" {
    for log in events rejections; do
        printf '{"action":"Val' >>$log
        run -0 --separate-stderr project
        [[ $stderr == *"$log: 14 bytes behind its last newline"* ]]
        run -0 --separate-stderr handle
        [[ $stderr == *"cut off a torn tail of 14 bytes"* ]]
        cmp $log.right $log
    done
    all_is_well
}

@test "an unsynced tail after a power loss" {
    calc-submit -o commands create 11 >acknowledged
    cp -a events.state before
    handle
    cp events events.right
    rm -r events.state && mv before events.state # as if no checkpoint had come
    # of the last event only the length has reached the disk, and some zeros with a newline in them
    size=$(head -n 9 events | wc -c)
    head -c 100 /dev/zero | dd of=events bs=1 seek="$size" conv=notrunc status=none
    run -0 --separate-stderr handle
    [[ $stderr == *"which differ from what the commands derive and were never known to be durable"* ]]
    all_is_well
}

@test "a flipped byte in the events or the rejections" {
    for log in events rejections; do
        flip $log 100 X
        refused 65 "$log at 0 is not what the commands derive" verify
        mkdir damaged
        mv events rejections events.state view damaged/
        handle
        project
        cmp $log.right $log
        rm -r damaged
    done
    all_is_well
}

@test "a flipped byte in the commands" {
    mkdir backup
    cp commands backup/
    calc-submit -o commands create 12 >acknowledged
    handle
    project
    cp events events.right
    at=$(grep -bo '"value":2' commands | head -n 1 | cut -d: -f1)
    flip commands $((at + 8)) 7
    refused 65 "is not what the commands derive" verify
    [[ $stderr == *'"value":2.0}'* ]] # the outcome still has it
    run -1 cmp commands backup/commands
    [[ $output == *"differ: byte $((at + 9)), line 2"* ]]
    { cat backup/commands && tail -c +$(($(wc -c <backup/commands) + 1)) commands; } >whole
    mv whole commands
    all_is_well
}

@test "truncated events or rejections" {
    for log in events rejections; do
        truncate -s 150 $log
        refused 65 "$log ends at 0, before " handle
        [[ $stderr == *"outcomes are lost; nothing was changed"* ]]
        rm -r events.state
        handle
        cmp $log.right $log
    done
    all_is_well
}

@test "truncated commands" {
    cp commands whole
    truncate -s "$(head -n 4 whole | wc -c)" commands
    refused 65 "before the position" handle
    cp whole commands
    all_is_well
    # the whole log is lost, too: an older one is all that there is
    head -n 4 whole >commands
    mkdir damaged
    mv events rejections events.state view damaged/
    handle
    project
    cp events events.right
    cp rejections rejections.right
    all_is_well
}

@test "lost events or rejections" {
    for log in events rejections; do
        rm $log
        run -65 --separate-stderr handle
        [[ $stderr == *"$log ends at 0, before "* ]]
        rm -r events.state
        handle
        cmp $log.right $log
    done
    all_is_well
}

@test "a lost state" {
    rm -r events.state
    all_is_well
}

@test "a lost view" {
    rm -r view
    refused 75 "there is no view in view (yet)" calc-get --view view --all
    all_is_well
}

# another system with logs of its own, in the folder other
another() {
    mkdir other
    calc-submit -o other/commands create 1 >other/acknowledged
    calc-submit -o other/commands create 2 >>other/acknowledged
    calc-handle -i other/commands -o other/events -r other/rejections
    calc-project -i other/events -r other/rejections --view other/view
}

@test "a state from another log" {
    another
    rm -r events.state
    cp -a other/events.state events.state
    refused 65 "another log" handle
    rm -r events.state
    all_is_well
}

@test "a view from another log" {
    another
    rm -r view
    cp -a other/view view
    refused 65 "events is another log than the one that the view was folded from" project
    rm -r view
    all_is_well
}

@test "a damaged state" {
    for damage in 'truncate -s 9000' 'truncate -s 0' 'cp commands'; do
        $damage events.state/0/data.mdb
        refused 65 "without the folder events.state the state is derived again" handle
        rm -r events.state
        handle
    done
    all_is_well
}

@test "a damaged view" {
    for damage in 'truncate -s 9000' 'truncate -s 0' 'cp commands'; do
        $damage "view/$(readlink view/current)/data.mdb"
        refused 65 "view/" project
        refused 65 "view/" calc-get --view view --all
        project --rebuild
    done
    all_is_well
}

@test "a state or view of a newer version" {
    needs mdb_dump mdb_load
    for folder in events.state/0 "view/$(readlink view/current)"; do
        # which has other tables, too
        mdb_dump -a "$folder" >dump
        sed -i '/^ 666f726d6174$/ { n; s/.*/ 00000000000000ff/ }; s/^database=values$/&2/' dump
        rm "$folder/data.mdb"
        mdb_load -f dump "$folder"
    done
    kept=$(cat events.state/0/data.mdb view/current/data.mdb | cksum)
    refused 65 "has format 255, this version knows" handle
    refused 65 "has format 255, this version knows" project
    [ "$(cat events.state/0/data.mdb view/current/data.mdb | cksum)" = "$kept" ]
    rm -r events.state
    project --rebuild
    all_is_well
}

# in a namespace of its own, where it may mount what it likes
alone() {
    unshare -rm true 2>/dev/null || skip "a disk of its own can't be mounted here"
    export -f handle project verify all_is_well refused run
    unshare -rm bash -euc "$1"
}

@test "a full disk" {
    # shellcheck disable=SC2016 # for the other shell
    alone '
        mkdir small
        mount -t tmpfs -o size=400k none small
        cp commands events rejections *.right small/
        cd small
        acknowledged=$(wc -l <commands)
        while calc-submit -o commands create 13 >/dev/null 2>../said; do
            acknowledged=$((acknowledged + 1))
            ((acknowledged < 10000)) # the disk is full some time
        done
        grep -q "No space left on device" ../said
        [ "$(wc -l <commands)" -eq "$acknowledged" ]
        status=0
        handle 2>../said || status=$?
        [ "$status" -eq 74 ]
        grep -qi "no space left on device" ../said
        mount -o remount,size=20m none .
        handle
        cp events events.right
        cp rejections rejections.right
        [ "$(wc -l <events)" -eq $((acknowledged - 1)) ]
        all_is_well'
}

@test "a read-only folder" {
    # shellcheck disable=SC2016 # for the other shell
    alone '
        cp -a . ../copy
        cd ../copy
        mount --bind . .
        cd "$PWD"
        mount -o remount,ro,bind .
        for tool in "calc-submit -o commands create 1" handle project; do
            status=0
            said=$($tool 2>&1) || status=$?
            [ "$status" -eq 74 ]
            [[ $said == *"Read-only file system"* ]]
        done
        mount -o remount,rw,bind .
        all_is_well'
}

@test "a second handler or projector" {
    background calc-handle -f -i commands -o events -r rejections
    background calc-project -f -i events -r rejections --view view
    refused_soon() {
        run --separate-stderr "$@"
        # shellcheck disable=SC2154 # run sets it
        [ "$status" -eq 75 ]
    }
    until_true 20 refused_soon handle
    [[ $stderr == *"another"* ]]
    until_true 20 refused_soon project
    [[ $stderr == *"another"* ]]
    end_started
    all_is_well
}

@test "every case of the page is tested here" {
    sed -n 's/^\.It Sy //p' "$root/man/calc-recovery.7" >cases
    [ "$(wc -l <cases)" -ge 15 ]
    while read -r case; do
        grep -qxF "@test \"$case\" {" "$BATS_TEST_FILENAME" || {
            echo "no test: $case"
            false
        }
    done <cases
}

@test "a state and a view that can't be looked for are not replaced by empty ones" {
    needs strace
    for file in events.state/0/data.mdb "view/$(readlink view/current)/data.mdb"; do
        before=$(cksum <"$file")
        tool=handle
        [[ $file == events.state/* ]] || tool=project
        case $tool in
        handle) set -- calc-handle -i commands -o events -r rejections ;;
        project) set -- calc-project -i events -r rejections --view view ;;
        esac
        ASAN_OPTIONS=detect_leaks=0 run -74 --separate-stderr strace -qq -o trace -P "$file" -e inject=access:error=EACCES "$@"
        [[ $stderr == *"can't look for $file: Permission denied"* ]]
        [ "$(cksum <"$file")" = "$before" ]
    done
    all_is_well
}
