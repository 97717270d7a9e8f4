#!/usr/bin/env bats
# What has no need of a broker: secrets, modes, links, other users, how the programs are built, and
# whether calc-security(7) speaks of tests that there are.

bats_require_minimum_version 1.5.0
load helper

secret=hush-9a1f0c7e

# --- secrets ---

@test "a secret on a command line is refused and not repeated" {
    for tool in calc-submit calc-handle calc-project calc-verify calc-topics calc-cgi; do
        for name in sasl.password ssl.key.password ssl.keystore.password ssl.key.pem \
            sasl.oauthbearer.client.secret topic.sasl.password; do
            status_of 64 "$tool" -X "$name=$secret" </dev/null >printed 2>&1
            grep -q -- "$name is a secret.* -F" printed
            [ "$(grep -c "$secret" printed)" -eq 0 ]
        done
    done
    # what is none is taken
    calc-submit -X sasl.username=someone -o log create 1
}

@test "a secret in a file that everybody may read or write is refused" {
    echo "sasl.password=$secret" >properties
    for mode in 604 644 602 666 444; do
        chmod $mode properties
        status_of 78 calc-submit -F properties -o log create 1 2>said
        grep -q 'properties, line 1: a secret.*everybody can' said
        [ "$(grep -c "$secret" said)" -eq 0 ]
        [ ! -e log ]
        CALC_COMMANDS=log CALC_VIEW=view CALC_KAFKA_CONFIG=properties status_of 78 calc-cgi --listen socket 2>said
        grep -q 'everybody can' said
    done
    for mode in 600 640 400 660; do
        chmod $mode properties
        calc-submit -F properties -o log create 1
    done
    # what is none may be read by everybody
    echo 'sasl.username=someone' >properties
    chmod 644 properties
    calc-submit -F properties -o log create 1
    # and a pipe is nobody else's
    calc-submit -F <(echo "sasl.password=$secret") -o log create 1
}

# says_nothing STATUS PROPERTIES: refused, without the secret.
says_nothing() {
    (umask 077 && printf '%b\n' "$2" >properties)
    status_of "$1" calc-topics -F properties 2>said
    [ -s said ]
    [ "$(grep -c "$secret" said)" -eq 0 ]
}

@test "no message has the value of a property" {
    needs openssl
    export KAFKA_BROKER=127.0.0.1:1 LOG_LEVEL=debug
    says_nothing 78 "sasl.password $secret"
    says_nothing 78 "=$secret"
    says_nothing 78 "sasl.pasword=$secret"
    says_nothing 78 "acks=$secret"
    says_nothing 78 "sasl.password=$secret$(printf '%5000s' x)"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:other -out key
    says_nothing 78 "security.protocol=ssl\nssl.key.location=$PWD/key\nssl.key.password=$secret"
    status_of 64 calc-topics -X "$secret" 2>said
    [ "$(grep -c "$secret" said)" -eq 0 ]
}

# --- files ---

# make_all: one of everything that the tools make.
make_all() {
    calc-submit -o commands create 7
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    calc-project -i events -r rejections --view view --rebuild
    mkdir shut
    calc-handle -i commands -o shut/events -r shut/rejections --state shut/state
    CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view background calc-cgi --listen "$PWD/socket"
    until_true 10 test -S socket
}

# widest MODE: nothing here, but for links, has more than that.
widest() {
    [ -z "$(find . ! -type l ! -path . -perm "/$1" | tee wider)" ] || {
        xargs ls -ld <wider
        return 1
    }
}

@test "what is made is as private as the umask says, whatever it is" {
    for mask in 077 027 022; do
        mkdir "$BATS_TEST_TMPDIR/$mask"
        cd "$BATS_TEST_TMPDIR/$mask"
        umask $mask
        make_all
        end_cgi $mask
        [ "$(find . -type f | wc -l)" -ge 15 ]
        # and no file can be run
        [ -z "$(find . -type f -perm /111)" ]
    done
}

# The socket goes with its process: what it has is seen before.
end_cgi() {
    [ -S socket ]
    widest "$1"
    end_started
}

# A folder that others can reach: that of the tests can't be.
public_folder() {
    public=$(mktemp -d /tmp/calc-security.XXXXXX)
    chmod 755 "$public"
    cd "$public" || return 1
}

# as_other COMMAND...: as a user who is in no group of ours; GROUP=ID puts him into one.
as_other() {
    setpriv --reuid 65534 --regid "${GROUP-65534}" --clear-groups "$@"
}

teardown() {
    end_started
    [ -z "${public-}" ] || rm -rf "$public"
}

@test "another user reads nothing, changes nothing and can't stop a log" {
    needs setpriv
    [ "$(id -u)" -eq 0 ] || skip "another user needs root"
    public_folder
    umask 027
    mkdir data
    make_all
    cp -r commands events rejections view events.state socket* data 2>/dev/null || true
    install -m 755 "$(command -v calc-submit)" "$(command -v calc-get)" "$(command -v calc-verify)" .
    echo anybody >open
    chmod 644 open
    as_other cat open

    status_of 74 as_other ./calc-get --view view --all 2>/dev/null
    status_of 74 as_other ./calc-submit -o commands create 1 2>/dev/null
    status_of 74 as_other ./calc-verify -i commands -o events -r rejections 2>/dev/null
    status_of 1 as_other cat commands 2>/dev/null
    as_other flock -n -E 9 commands true 2>/dev/null && false
    as_other socat -u OPEN:/dev/null UNIX-CONNECT:socket 2>/dev/null && false
    [ "$(as_other find data 2>/dev/null)" = data ]
    # it is the modes, and nothing else, that keep him out
    chmod o+r commands
    as_other cat commands >/dev/null
}

@test "who may only read a log can keep it locked, and no more than that" {
    needs setpriv flock
    [ "$(id -u)" -eq 0 ] || skip "another user needs root"
    public_folder
    umask 027
    calc-submit -o commands create 7 >/dev/null
    chgrp 65533 commands
    before=$(sha256sum commands)
    GROUP=65533 as_other cat commands >/dev/null
    GROUP=65533 background as_other flock commands sh -c 'echo >&2 held; exec sleep 60' 2>held
    until_true 10 grep -q held held
    status_of 124 timeout 0.5 calc-submit -o commands create 8
    [ "$before" = "$(sha256sum commands)" ]
    end_started
    calc-submit -o commands create 9 >/dev/null
    GROUP=65533 as_other sh -c ': >>commands' 2>/dev/null && false
    [ "$(grep -c '' commands)" -eq 2 ]
}

@test "a log may be a link, and one that is replaced meanwhile gets nothing" {
    : >real
    ln -s real log
    calc-submit -o log create 1
    [ "$(grep -c '' real)" -eq 1 ]
    [ -L log ]
    mkfifo inputs
    background calc-submit -i inputs -o log >acknowledged 2>said
    exec 9>inputs
    echo '{"value":1}' >&9
    until_true 10 test -s acknowledged
    : >stranger
    ln -sf stranger log
    echo '{"value":2}' >&9
    exec 9>&-
    status_of 74 wait "${started[-1]}"
    grep -q 'replaced' said
    [ ! -s stranger ]
    [ "$(grep -c '' real)" -eq 2 ]
}

@test "a view's link that leads elsewhere is refused" {
    calc-submit -o commands create 7
    calc-handle -i commands -o events -r rejections
    calc-project -i events -r rejections --view view
    cp -r view other
    for where in ../other/1 /etc "$PWD/other/1" .. 01 ''; do
        rm -f view/current
        [ -z "$where" ] || ln -s "$where" view/current
        [ -n "$where" ] || echo 1 >view/current
        status_of 65 calc-get --view view --all 2>said
        grep -q 'no link to a copy' said
        status_of 65 calc-project -i events -r rejections --view view 2>said
    done
}

@test "a link in a socket's place is left alone" {
    export CALC_COMMANDS=$PWD/commands CALC_VIEW=$PWD/view
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("left")' # by one that died
    ln -s left socket
    status_of 74 calc-cgi --listen socket
    [ -L socket ] && [ -S left ]
    : >file
    ln -sf file socket
    status_of 74 calc-cgi --listen socket
    [ -L socket ] && [ -f file ]
}

# --- how it is built ---

# has PATTERN COMMAND...: in what it prints.
has() {
    local pattern=$1
    "${@:2}" >shown
    grep -qE -- "$pattern" shown || {
        echo "no $pattern: ${*:2}"
        return 1
    }
}

@test "the programs are hardened" {
    needs readelf
    # with sanitizers they are for tests only
    [[ $CALC_BIN != */san/bin ]] || return 0
    checked=0
    for tool in "$CALC_BIN"/calc-*; do
        has 'Type:.*DYN' readelf -hW "$tool"
        has 'FLAGS_1.*NOW.*PIE' readelf -dW "$tool"
        has 'BIND_NOW' readelf -dW "$tool"
        has 'GNU_RELRO' readelf -lW "$tool"
        has 'GNU_STACK.* RW ' readelf -lW "$tool"
        readelf -ldW "$tool" >all
        run ! grep -E 'LOAD.* RWE |TEXTREL|RPATH|RUNPATH' all
        has '__stack_chk_fail' readelf -sW --dyn-syms "$tool"
        has '__[a-z]+_chk@' readelf -sW --dyn-syms "$tool"
        checked=$((checked + 1))
    done
    [ "$checked" -ge 8 ]
    # what leaves its trace only in each object
    for object in error buffer lines; do
        object=${CALC_BIN%/bin}/lib/base/$object.o
        has 'DW_AT_producer.*-fstack-clash-protection' readelf --debug-dump=info "$object"
        [ "$(uname -m)" != x86_64 ] || has 'IBT, SHSTK' readelf -nW "$object"
    done
}

@test "the list of components is complete, valid and the same twice" {
    needs dpkg-query readelf ldd jq python3
    "$root/tests/sbom/pyspdxtools" --help >help 2>errors || {
        [ $? -eq 69 ] && skip "spdx-tools can't be installed"
        cat errors
        false
    }
    version=$(sed -n 's/^VERSION = //p' "$root/Makefile")
    tools=$(basename -a "$root"/cmd/*)
    # shellcheck disable=SC2086 # a word each
    (cd "$root" && ./scripts/sbom "${CALC_BIN%/bin}" "$version" $tools) >list.spdx.json
    # shellcheck disable=SC2086
    (cd / && LC_ALL=C TZ=Pacific/Kiritimati "$root/scripts/sbom" "${CALC_BIN%/bin}" "$version" $tools) >again
    cmp list.spdx.json again
    "$root/tests/sbom/pyspdxtools" -i list.spdx.json

    # every library that the loader finds, and every archive of the Makefile, in the version installed
    for tool in $tools; do
        ldd "$CALC_BIN/$tool" | sed -n 's/.* => \(.*\) (.*/\1/p' | while read -r library; do
            dpkg-query -S "$library" 2>/dev/null || dpkg-query -S "/usr$library"
        done | sed 's/:.*//' >"libraries.$tool"
    done
    sort -u libraries.* >wanted
    printf '%s\n' liblmdb-dev nettle-dev >>wanted
    [ "$(wc -l <wanted)" -ge 8 ]
    while read -r package; do
        installed=$(dpkg-query -W -f '${Version}\n' "$package" | head -n 1)
        [ "$(jq -r --arg name "$package" '.packages[] | select(.name == $name) | .versionInfo' list.spdx.json)" = "$installed" ]
    done <wanted
    # and per tool: who doesn't talk to Kafka has nothing of it
    jq -r '.relationships[] | select(.relatedSpdxElement | test("librdkafka")) | .spdxElementId' list.spdx.json >kafka
    grep -qx SPDXRef-tool-calc-handle kafka
    [ "$(grep -c calc-get kafka)" -eq 0 ]
}

# --- the page ---

@test "the tests that calc-security(7) names are there" {
    python3 - "$root" <<'EOF'
import re
import sys

root = sys.argv[1]
page = open(f"{root}/man/calc-security.7").read()
named = re.findall(r"^\.Pa (tests/\S+) ,\n\.Dq (.*)$", page, re.M)
missing = [pair for pair in named if f'@test "{pair[1]}"' not in open(f"{root}/{pair[0]}").read()]
print(len(named), "named, missing:", missing)
sys.exit(1 if missing or len(named) < 20 or len(named) != page.count(".Pa tests/") else 0)
EOF
}
