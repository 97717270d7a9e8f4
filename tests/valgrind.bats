# The C units under valgrind: no bad access, and nothing leaked.

load helper

# Units with sanitizers can't be run there, so it is always the others, which are built here if need be.
@test "no unit reads or writes where it mustn't, or leaks" {
    needs valgrind
    make -s -C "$root" SAN=0 tests
    find "$root/build/tests/unit" -maxdepth 1 -type f -perm -u+x | LC_ALL=C sort >units
    [ "$(wc -l <units)" -gt 15 ]
    # shellcheck disable=SC2016 # the inner shell's variables
    xargs -P 2 -I {} sh -c 'CHECK_SLOW=1 timeout 600 valgrind -q --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite,indirect,possible "$1" >"$(basename "$1").out" 2>&1 || basename "$1" >>failed' \
        sh {} <units
    [ ! -e failed ] || {
        sort failed | while read -r unit; do
            echo "$unit:"
            grep -Ev '^ok ' "$unit.out" | tail -n 40
        done
        false
    }
}
