#!/usr/bin/env bats
# The manual, --help and the README say what the tools do.

# shellcheck disable=SC2154 # helper.bash sets root
load helper

tools() {
    basename -a "$root"/cmd/*
}

page_of() {
    local page
    for page in "$root/man/$1".[1578]; do
        [[ -e $page ]] && echo "$page"
    done
}

@test "every tool has a manual page" {
    for tool in $(tools); do
        [ -n "$(page_of "$tool")" ] || {
            echo "no page for $tool"
            false
        }
    done
}

@test "mandoc finds nothing to warn about in the pages" {
    needs mandoc
    mandoc -T lint -W warning "$root"/man/*.[1578]
}

@test "every example in the pages prints what the page says" {
    needs python3
    python3 "$BATS_TEST_DIRNAME/manual/examples.py" "$root"/man/*.[1578]
}

@test "every option of --help is in its page, and the other way round" {
    for tool in $(tools); do
        "$tool" --help | grep -oE '(^|[ ,[])--[a-z-]+' | tr -d ' ,[' | sort -u >help
        grep -E '^\.It Fl|^\.Fl|^\.Op .*Fl' "$(page_of "$tool")" | grep -oE 'Fl -[a-z-]+' |
            sed 's/^Fl -/--/' | sort -u >page
        diff help page || {
            echo "$tool: --help (left) and page (right) differ"
            false
        }
    done
}

@test "every calc page that a page refers to exists" {
    grep -hoE '^\.Xr calc-[a-z]+ [0-9]' "$root"/man/*.[1578] | sort -u >references
    while read -r _ name section; do
        [ -e "$root/man/$name.$section" ] || {
            echo "no $name($section)"
            false
        }
    done <references
}

@test "the README names every tool, and its pipe prints the value" {
    for tool in $(tools); do
        grep -q "\`$tool\`" "$root/README.md"
    done
    line=$(grep -E '^    printf .*calc-project$' "$root/README.md")
    [[ $(bash -c "$line") == *'"value":2.0,"version":1,'* ]]
}

@test "every tool prints its version and its help to stdout with status 0" {
    for tool in $(tools); do
        [[ $("$tool" --version) == "$tool "[0-9]* ]]
        [[ $("$tool" --help 2>/dev/null) == "usage: $tool"* ]]
    done
}
