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

examples() {
    python3 "$BATS_TEST_DIRNAME/manual/examples.py" "$@"
}

# section TITLE: the commands that the README has there.
section() {
    awk -v title="## $1" '/^## / { here = $0 == title } here && sub(/^    /, "")' "$root/README.md"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
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

@test "every example in the tools' pages prints what the page says" {
    needs python3 mdb_copy
    local pages
    # those that need a broker are run by kafka-topics.bats, and that with PostgreSQL by calc-sql.bats; an
    # overview may have none
    mapfile -t pages < <(grep -l '^\.Sh EXAMPLES' "$root"/man/*.[17] |
        xargs grep -L '^\$ \(calc-topics create\|psql\)')
    [ ${#pages[@]} -ge 5 ]
    examples "${pages[@]}"
}

@test "every example in calc-formats(5) prints it to the byte" {
    needs python3
    examples --exact "$root"/man/*.5
}

@test "every example in calc-cgi(8) prints what the page says, behind lighttpd" {
    needs python3 lighttpd curl jq
    examples "$root"/man/*.8
}

@test "every option of --help is in its page, and the other way round" {
    for tool in $(tools); do
        "$tool" --help | grep -oE '(^|[ ,[(])-(-[a-z][a-z-]*|[a-zA-Z]\b)' | tr -d ' ,[(' | sort -u >help
        grep -E '^\.It .*Fl' "$(page_of "$tool")" | grep -oE 'Fl (-[a-z][a-z-]*|[a-zA-Z]\b)' |
            sed 's/^Fl /-/' | sort -u >page
        [ -s help ]
        diff help page || {
            echo "$tool: --help (left) and page (right) differ"
            false
        }
    done
}

@test "every tool's page says where to look, what it exits with, and what it reads" {
    for tool in $(tools); do
        for title in SYNOPSIS DESCRIPTION ENVIRONMENT FILES 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
            grep -q "^\.Sh $title\$" "$(page_of "$tool")" || {
                echo "$tool: no $title"
                false
            }
        done
    done
}

@test "every calc page that a page refers to exists" {
    grep -hoE '\bXr calc-[a-z]+ [0-9]' "$root"/man/*.[1578] | sort -u >references
    [ -s references ]
    while read -r _ name section; do
        [ -e "$root/man/$name.$section" ] || {
            echo "no $name($section)"
            false
        }
    done <references
}

@test "the README names every tool" {
    for tool in $(tools); do
        grep -q "\`$tool\`" "$root/README.md" || {
            echo "no $tool"
            false
        }
    done
}

@test "the README's shell commands print what it says" {
    section 'The same in a shell' >commands
    [ "$(grep -c calc- commands)" -ge 6 ]
    printf '%s\n' 'kill %1 %2' wait >>commands
    bash commands >printed 3>&-
    grep '"value":12.0,"version":3,' printed
    grep '"status":"applied","version":1,"result":7.0}$' printed
}

@test "the README's walk with curl reads 12" {
    needs python3 lighttpd curl
    port=$(free_port)
    section 'A walk with curl' | sed "s/3030/$port/" >walk
    [ "$(grep -c curl walk)" -eq 4 ]
    background calc-handle -f -i commands -o events -r rejections
    background calc-project -f -i events -r rejections --view view
    mkdir run
    CALC_CGI=$(command -v calc-cgi) CALC_PORT=$port CALC_RUN=$PWD/run \
    CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view \
        background lighttpd -D -f "$root/cmd/calc-cgi/lighttpd-fastcgi.conf" 2>log
    until_true 20 curl -s -o /dev/null "http://localhost:$port/"

    # the view follows moments later, so that the last line is asked again
    sed -i '$s/.*/read_it() { [[ $(&) == '"'"'{"value":12.0}'"'"' ]]; }/' walk
    # shellcheck disable=SC1091 # it was made above
    source ./walk
    until_true 20 read_it
}

@test "every tool prints its version and its help to stdout with status 0" {
    for tool in $(tools); do
        [[ $("$tool" --version) == "$tool "[0-9]* ]]
        [[ $("$tool" --help 2>/dev/null) == "usage: $tool"* ]]
    done
}
