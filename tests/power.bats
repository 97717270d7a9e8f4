# What a loss of power leaves behind, and files of LMDB that are not what they were. The long form is
# faults/power.py (make soak).

load helper

make_all() {
    printf '{"value":%d}\n' $(seq 200) | calc-submit -o commands >acks
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
}

@test "whatever a loss of power leaves unwritten, nothing acknowledged is lost and all goes on" {
    needs strace
    "$root/tests/faults/power.py" --every 7 --tries 1
}

@test "a view that was cut short is refused, by readers and by the projector, at any length" {
    make_all
    local size
    size=$(stat -c %s view/current/data.mdb)
    cp view/current/data.mdb whole
    for length in 1 100 4095 4096 8191 8192 12288 $((size / 2)) $((size - 4096)) $((size - 1)); do
        head -c "$length" whole >view/current/data.mdb
        status_of 65 calc-get --view view --all >out 2>errors
        [ ! -s out ]
        status_of 65 calc-project -i events -r rejections --view view 2>errors
        grep -E "data.mdb is damaged|MDB_INVALID|MDB_CORRUPTED|not an LMDB file" errors
    done
    cp whole view/current/data.mdb
    calc-get --view view --all >out
    [ "$(wc -l <out)" -eq 200 ]
}

@test "a state that was cut short is refused, and nothing is changed" {
    make_all
    local data
    data=$(find events.state -name data.mdb)
    cp "$data" whole
    cp events events.before
    calc-submit -o commands create 1 >acks.1
    for length in 1 4096 8192 $(($(stat -c %s whole) - 4096)); do
        head -c "$length" whole >"$data"
        status_of 65 calc-handle -i commands -o events -r rejections 2>errors
        cmp events events.before
    done
    cp whole "$data"
    calc-handle -i commands -o events -r rejections
    [ "$(wc -l <events)" -eq 201 ]
}

@test "a view and a state with other bytes in their first pages are refused" {
    make_all
    local data state_data at
    state_data=$(find events.state -name data.mdb)
    for data in view/1/data.mdb "$state_data"; do
        cp "$data" whole
        for at in 16 20; do # the magic number and LMDB's version, of both of its headers
            printf '\252' | dd of="$data" bs=1 seek="$at" conv=notrunc status=none
            printf '\252' | dd of="$data" bs=1 seek=$((4096 + at)) conv=notrunc status=none
            if [ "$data" = "$state_data" ]; then
                status_of 65 calc-handle -i commands -o events -r rejections 2>errors
            else
                status_of 65 calc-get --view view --all 2>errors
                status_of 65 calc-project -i events -r rejections --view view 2>errors
            fi
            cp whole "$data"
        done
    done
}

@test "a view and a state whose pages are zeros, or all ones, are refused when they are read" {
    make_all
    calc-submit -o commands create 1 >acks.1
    cp events events.before
    local data pages byte
    for data in view/1/data.mdb "$(find events.state -name data.mdb)"; do
        cp "$data" whole
        pages=$(($(stat -c %s whole) / 4096 - 2))
        for byte in '\000' '\377'; do
            {
                head -c 8192 whole
                head -c $((pages * 4096)) /dev/zero | tr '\000' "$byte"
            } >"$data"
            if [ "$data" = view/1/data.mdb ]; then
                status_of 65 calc-get --view view --all 2>errors
            else
                status_of 65 calc-handle -i commands -o events -r rejections 2>errors
            fi
            [ -s errors ]
        done
        cp whole "$data"
    done
    cmp events events.before
}
