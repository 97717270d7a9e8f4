# That what `make bench` tells is what it measured: a run with few commands. What the figures are is not judged here.

load helper

bench() {
    env "$@" "$root/tests/bench/run"
}

@test "a row has what, ours, yardstick, ratio and goal, and is told by the machine it was measured on" {
    needs python3 jq gcc
    bench ONLY=submit COMMANDS=500 RESULTS="$PWD/results.md" >told
    head -n 2 told | tail -n 1 | grep -E '^what +ours +yardstick +ratio +goal$'
    grep -E '^calc-submit <inputs +[0-9.]+ s \([0-9.]+ s to [0-9.]+ s\) +jq -c \. [0-9.]+ s .* x +at least 10 x: (reached|MISSED)$' told
    grep -F '| what | ours | yardstick | ratio | goal |' results.md
    grep -E '^\| calc-submit .* \| jq -c \. .* \| at least 10 x: (reached|MISSED) \|$' results.md
    # shellcheck disable=SC2016 # a quote of Markdown
    grep -F 'By `make bench ONLY=submit COMMANDS=500`, ' results.md
    local name
    for name in machine kernel calc gcc librdkafka LMDB jq Kafka Python nginx; do
        grep -E "^- $name: .*[0-9]" results.md
    done
}

@test "a run replaces its own part of the results, and leaves what stands around it" {
    needs python3 jq gcc
    printf '# Ours\n\nbefore\n\n<!-- table: written by tests/bench/run -->\nold\n<!-- end of table -->\n\nbehind\n' >results.md
    bench ONLY=submit COMMANDS=200 RESULTS="$PWD/results.md" >told
    [ "$(head -n 3 results.md)" = $'# Ours\n\nbefore' ]
    [ "$(tail -n 1 results.md)" = behind ]
    status_of 1 grep -x old results.md
    [ "$(grep -c '^| calc-submit' results.md)" -eq 1 ]
}

@test "a missed goal is told as missed, and counted" {
    needs python3
    PYTHONPATH=$root/tests/bench python3 - <<'PY' >told
import report
import rows
rows.compare("slow", [2.0, 2.0, 4.0], "yardstick", [1.0], 0.6)
rows.compare("fast", [1.0], "yardstick", [12.0], 10)
rows.compare("late", [3.0], "yardstick", [1.0], 2, most=True)
rows.limit("much", [5.0], rows.in_seconds, 1, "1.00 s")
report.show()
PY
    grep -E '^slow +2.00 s \(2.00 s to 4.00 s\) +yardstick 1.00 s +0.50 x +at least 0.6 x: MISSED$' told
    grep -E '^fast .* 12.00 x +at least 10 x: reached$' told
    grep -E '^late .* 3.00 x as long +at most 2 x: MISSED$' told
    grep -E '^much +5.00 s +at most 1.00 s: MISSED$' told
    [ "$(tail -n 1 told)" = "3 of the goals were missed." ]
}

@test "what can't be measured is told in its row and by the exit status, and counts as missed" {
    needs python3 gcc
    mkdir bin
    printf '#!/bin/sh\nexit 3\n' >bin/jq
    chmod 755 bin/jq
    status_of 1 bench ONLY=submit COMMANDS=200 PATH="$PWD/bin:$PATH" >told 2>said
    grep -E '^submit +not measured: .* exit status 3\. +MISSED$' told
    [ "$(tail -n 1 told)" = "1 of the goals was missed." ]
}

@test "a row that isn't there is refused, with the names of those that are, and the results stay" {
    needs python3
    status_of 64 bench ONLY=nothing RESULTS="$PWD/results.md" 2>said
    grep -x 'bench: ONLY=nothing: the rows are submit, handle, .*kafka, and growth' said
    [ ! -e results.md ]
}
