#!/usr/bin/env bats
# make install, completion, and the Debian packages: built, judged, installed, upgraded, purged.

bats_require_minimum_version 1.5.0
# shellcheck disable=SC2154 # helper.bash sets root, run sets stderr
load helper
load package/machine

# The packages of this tree, once for all tests.
setup_file() {
    command -v dh lintian debootstrap >/dev/null || return 0
    "$root/scripts/deb" "$BATS_FILE_TMPDIR/deb"
    next_packages "$BATS_FILE_TMPDIR/next"
}

# copy_tree FOLDER: what belongs to it, without git.
copy_tree() {
    mkdir -p "$1"
    (cd "$root" && ./scripts/files | tar -c -T -) | tar -x -C "$1"
}

# The next version's packages, as far as there can be any yet: whose formats are other ones.
next_packages() {
    local tree=$BATS_FILE_TMPDIR/tree
    copy_tree "$tree"
    perl -pi -e 's/^(VERSION = .*)/$1+next/' "$tree/Makefile"
    perl -pi -e 's/^(calc \([^)]*)/$1+next/' "$tree/debian/changelog"
    perl -pi -e 's/\b((STATE|VIEW)_FORMAT = )(\d+)/$1 . ($3 + 1)/e' "$tree"/lib/store/*.[ch]
    DEB_BUILD_OPTIONS='noopt nostrip noautodbgsym' "$tree/scripts/deb" "$1"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    deb=$BATS_FILE_TMPDIR/deb
}

teardown() {
    machine_end
}

# what a package's control file says of a field
field() {
    dpkg-deb -f "$deb/$1"_*.deb "$2"
}

# --- make install ---

@test "make install puts everything where it belongs, and make uninstall takes it away" {
    (umask 077 && make -s -C "$root" install DESTDIR="$PWD/stage" PREFIX=/opt/calc B="${CALC_BIN%/bin}")
    cd stage/opt/calc
    for tool in "$root"/cmd/*; do
        tool=${tool##*/}
        [[ $("bin/$tool" --version) == "$tool "* ]]
        grep -q 'complete -F' "share/bash-completion/completions/$tool"
        for unit in "$root/cmd/$tool"/*@.*; do
            [ ! -e "$unit" ] || [ -s "lib/systemd/system/${unit##*/}" ]
        done
    done
    for page in "$root"/man/*.[1578]; do
        cmp "$page" share/man/man"${page##*.}/${page##*/}"
    done
    [ -s share/doc/calc/examples/lighttpd-fastcgi.conf ]
    [ -s share/doc/calc/examples/example.conf ]
    [ -s share/doc/calc/examples/credentials.conf ]
    [ -s lib/systemd/system/calc@.target ]
    cmp "$root/service/sysusers.conf" lib/sysusers.d/calc.conf
    cmp "$root/service/tmpfiles.conf" lib/tmpfiles.d/calc.conf
    # everybody may read it, whatever the umask of who installed it
    [ -z "$(find . ! -perm -o=r -o -type d ! -perm -o=x)" ]
    [ -z "$(find "$BATS_TEST_TMPDIR/stage" -type f ! -path '*/opt/calc/*')" ]

    make -s -C "$root" uninstall DESTDIR="$BATS_TEST_TMPDIR/stage" PREFIX=/opt/calc
    [ -z "$(find . ! -type d)" ]
}

# --- completion ---

# complete WORD...: what the last one of the words is completed to, a line each.
complete_words() {
    bash -c '
        . /usr/share/bash-completion/bash_completion
        . "$0"/"$1"
        COMP_WORDS=("$@") COMP_LINE="$*" COMP_TYPE=9 COMP_KEY=9
        COMP_CWORD=$(($# - 1)) COMP_POINT=${#COMP_LINE}
        compopt() { :; }
        _calc "$1" "${@: -1}" "${@: -2:1}"
        printf "%s\n" "${COMPREPLY[@]}"' "$BATS_TEST_TMPDIR/completions" "$@"
}

completions() {
    [ -e /usr/share/bash-completion/bash_completion ] || skip "bash-completion is not installed"
    mkdir completions
    for tool in "$root"/cmd/*; do
        ln -s "$root/lib/tool/completion.bash" "completions/${tool##*/}"
    done
}

@test "completion offers every option of a tool's manual page, and nothing else" {
    completions
    for tool in "$root"/cmd/*; do
        tool=${tool##*/}
        complete_words "$tool" - | sort -u >offered
        grep -hE '^\.It .*Fl' "$root/man/$tool".[18] |
            grep -oE 'Fl (-[a-z][a-z-]*|[a-zA-Z]\b)' | sed 's/^Fl /-/' | sort -u >page
        [ -s page ]
        diff offered page || {
            echo "$tool: completion (left) and page (right) differ"
            false
        }
    done
}

@test "completion knows what an option takes" {
    completions
    mkdir folder
    touch file
    [ "$(complete_words calc-get --view f)" = folder ]
    [ "$(complete_words calc-handle --state f)" = folder ]
    [ "$(complete_words calc-handle -i f | sort | xargs)" = "file folder" ]
    [ "$(complete_words calc-handle --input k)" = kafka: ]
    [ "$(complete_words calc-submit -o k)" = kafka: ]
    [ "$(complete_words calc-submit -F fil)" = file ]
    [ "$(complete_words calc-submit --view=f)" = folder ]
    [ -z "$(complete_words calc-get --at-version f)" ]
    # every word for an argument is one that completion has a case for, or that nothing is known of
    for tool in "$root"/cmd/*; do
        "${tool##*/}" --help | awk -F '  +' '/^ +-/ { n = split($2, words, / /); print words[n] }'
    done | grep -E '^[A-Z]' | sort -u >words
    known=(DIR FILE STREAM 'PATH|HOST:PORT|:PORT')
    unknown=(COMMAND_ID 'CURSOR|beginning|now' LOG:POSITION MIB N NAME NAME=VALUE PLACE SECONDS TIME TOPIC UUID VALUE_ID)
    printf '%s\n' "${known[@]}" "${unknown[@]}" | sort >expected
    [ -z "$(comm -23 words expected)" ]
}

@test "completion knows the subcommands" {
    completions
    [ "$(complete_words calc-submit '' | xargs)" = "create add multiply" ]
    [ "$(complete_words calc-submit cr)" = create ]
    [ "$(complete_words calc-topics '' | sort | xargs)" = "check create" ]
    [ -z "$(complete_words calc-handle '')" ]
}

# --- the packages ---

@test "Makefile, changelogs and tools have one version" {
    version=$(sed -n 's/^VERSION = //p' "$root/Makefile")
    [ -n "$version" ]
    [ "$(dpkg-parsechangelog -l "$root/debian/changelog" -S Version)" = "$version" ]
    [[ $(grep -m 1 '^## ' "$root/CHANGELOG.md") == "## [$version]"* ]]
    [ "$(calc-handle --version)" = "calc-handle $version" ]
}

@test "lintian finds no error and nothing to warn about, and none is overridden" {
    needs dh lintian
    run --separate-stderr lintian --allow-root "$deb"/*.changes
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ -z "$(find "$root/debian" -name '*lintian-overrides')" ]
}

@test "the tools need what they are linked with, and the service needs its tools" {
    needs dh lintian
    depends=$(field calc-tools Depends)
    for library in libc6 libjansson4 libuuid1 libfcgi0ldbl librdkafka1; do
        [[ $depends == *"$library "* ]]
    done
    [[ $depends != *systemd* ]]
    [[ $(field calc-tools Built-Using) == *"lmdb (= "*"nettle (= "* ]]
    version=$(field calc-tools Version)
    [[ $(field calc-service Depends) == *"calc-tools (>= $version), calc-tools (<< $version."* ]]
}

@test "the packages have every tool, page and unit, each in one of them" {
    needs dh lintian
    for package in tools service; do
        dpkg-deb -c "$deb/calc-$package"_*.deb | awk '$1 !~ /^d/ { sub(/^\./, "", $6); print $6 }' >$package
    done
    [ -z "$(sort tools service | uniq -d)" ]
    for tool in "$root"/cmd/*; do
        grep -Fx "/usr/bin/${tool##*/}" tools
        grep -Fx "/usr/share/bash-completion/completions/${tool##*/}" tools
    done
    for page in "$root"/man/*.[1578]; do
        grep -hFx "/usr/share/man/man${page##*.}/${page##*/}.gz" tools service
    done
    for unit in "$root"/cmd/*/*@.* "$root"/service/*@.*; do
        grep -Fx "/lib/systemd/system/${unit##*/}" service
    done
    for file in sysusers.d/calc.conf tmpfiles.d/calc.conf; do
        grep -Fx "/usr/lib/$file" service
    done
    for example in lighttpd nginx apache; do
        grep "^/usr/share/doc/calc-tools/examples/$example-.*\.conf$" tools
    done
    grep -Fx /usr/share/doc/calc-service/examples/example.conf service
    grep -Fx /usr/share/doc/calc-service/examples/credentials.conf service
    grep -Fx /usr/share/doc/calc-tools/sbom.spdx.json tools
}

@test "the packages' programs are hardened as Debian's are" {
    needs dh lintian
    dpkg-deb -x "$deb"/calc-tools_*.deb .
    for tool in usr/bin/*; do
        [[ $(readelf -hW "$tool") == *"Type:"*DYN* ]]
        [[ $(readelf -dW "$tool") == *BIND_NOW* ]]
        [[ $(readelf -lW "$tool") == *GNU_RELRO* ]]
        readelf -sW --dyn-syms "$tool" | grep -q __stack_chk_fail
        readelf -sW --dyn-syms "$tool" | grep -q '__.*_chk@'
    done
}

@test "two builds give the same packages: other folder, umask, locale, time zone and file times" {
    needs dh lintian localedef
    copy_tree other/folder
    mkdir locales
    localedef -i tr_TR -f UTF-8 locales/tr_TR.UTF-8
    find other/folder -exec touch -d 2001-02-03 {} +
    differently=(env LOCPATH="$PWD/locales" LC_ALL=tr_TR.UTF-8 TZ=Pacific/Kiritimati
        DEB_BUILD_OPTIONS=parallel=1 HOME=/nonexistent)
    [ "$("${differently[@]}" locale charmap 2>&1)" = UTF-8 ]
    (umask 077 && "${differently[@]}" other/folder/scripts/deb "$PWD/again")
    for file in "$deb"/*.deb "$deb"/*.tar.xz; do
        cmp "$file" "again/${file##*/}"
    done
    [ "$(find again -name '*.deb' | wc -l)" -eq 3 ]
}

# --- on a machine ---

# install_packages RUNNER FOLDER [OPTION...]: both packages from a folder of the machine.
install_packages() {
    local runner=$1 folder=$2
    shift 2
    # shellcheck disable=SC2016 # for the other shell
    "$runner" sh -c 'folder=$1 && shift && exec apt-get -qy -o Dpkg::Use-Pty=0 "$@" \
        install "$folder"/calc-tools_*.deb "$folder"/calc-service_*.deb' - "$folder" "$@"
}

hand_over() {
    mkdir -p "machine/srv/$2"
    cp "$1"/calc-*.deb "machine/srv/$2"
}

# version_of PACKAGE: of the one that is installed, and configured.
version_of() {
    dpkg-query --root="$PWD/machine" -W -f='${db:Status-Status} ${Version}' "$1"
}

@test "installed, they are all there; removed and purged, the logs stay, unless it was asked for" {
    needs dh lintian
    machine_make
    hand_over "$deb" new
    install_packages at_rest /srv/new
    [ "$(version_of calc-service)" = "installed $(field calc-service Version)" ]
    at_rest dpkg --verify calc-tools calc-service
    [ "$(at_rest stat -c %U:%G /var/lib/calc)" = calc:calc ]
    [[ $(at_rest getent passwd calc) == *:/usr/sbin/nologin ]]
    at_rest calc-handle --version
    at_rest bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader calc-get; complete -p calc-get'

    # a calculator, enabled
    at_rest systemctl enable calc@demo.target
    at_rest sh -c 'mkdir /var/lib/calc/demo && echo acknowledged >/var/lib/calc/demo/commands
        echo KEPT=1 >/etc/calc/demo.conf'
    [ -n "$(at_rest find /etc/systemd/system -name 'calc@demo*')" ]

    at_rest dpkg --remove calc-service
    [ -n "$(at_rest find /etc/systemd/system -name 'calc@demo*')" ]
    at_rest dpkg --purge calc-service calc-tools
    [ "$(at_rest cat /var/lib/calc/demo/commands)" = acknowledged ]
    [ "$(at_rest cat /etc/calc/demo.conf)" = KEPT=1 ]
    left=$(at_rest find /etc /usr /run -name '*calc*' ! -path '/usr/share/*' ! -path '/usr/lib/python*')
    [ "$left" = /etc/calc ]

    # told otherwise
    install_packages at_rest /srv/new
    [ "$(at_rest cat /var/lib/calc/demo/commands)" = acknowledged ]
    echo calc-service calc-service/remove-logs boolean true | at_rest debconf-set-selections
    at_rest dpkg --purge calc-service calc-tools
    left=$(at_rest find /etc /usr /run /var/lib -name '*calc*' ! -path '/usr/share/*' ! -path '/usr/lib/python*')
    [ -z "$left" ] || {
        echo "left: $left"
        false
    }
}

# acknowledged_beyond COUNT: so many additions of the load.
acknowledged_beyond() {
    [ "$(cat progress 2>/dev/null || echo 0)" -gt "$1" ]
}

# is_state UNIT STATE: of systemd's ActiveState.
is_state() {
    [ "$(booted systemctl show -P ActiveState "$1")" = "$2" ]
}

all_run() {
    is_state calc-handle@demo.service active && is_state calc-project@demo.service active
}

# view_has VALUE_ID NUMBER
view_has() {
    [[ $(booted calc-get --view /var/lib/calc/demo/view "$1") == *'"value":'"$2.0,"* ]]
}

# refused UNIT: it ended with 65, and isn't tried again.
refused() {
    is_state "$1" failed && [ "$(booted systemctl show -P ExecMainStatus "$1")" -eq 65 ] &&
        [ "$(booted systemctl show -P NRestarts "$1")" -eq 0 ]
}

# The logs, the state and the view, to the byte; in a lock.mdb readers write.
everything() {
    (cd machine/var/lib/calc/demo && find . -type f ! -name lock.mdb -exec cksum {} + | sort)
}

verify_demo() {
    local in=/var/lib/calc/demo
    booted calc-verify -i $in/commands -o $in/events -r $in/rejections --state $in/state --view $in/view
}

@test "an upgrade under load loses nothing, a downgrade over newer formats is refused" {
    needs dh lintian python3 jq
    machine_make
    hand_over "$deb" this
    hand_over "$BATS_FILE_TMPDIR/next" next
    machine_boot
    install_packages booted /srv/this
    booted cp /usr/share/doc/calc-service/examples/example.conf /etc/calc/demo.conf
    booted systemctl enable --now calc@demo.target
    all_run

    "$root/tests/package/load.py" "/proc/$machine_leader/root/run/calc/demo.sock" progress \
        >values 2>summary 3>&- &
    load=$!
    started+=("$load")
    until_true 30 acknowledged_beyond 100

    install_packages booted /srv/next
    [ "$(version_of calc-service)" = "installed $(field calc-service Version)+next" ]
    until_true 20 acknowledged_beyond $(($(cat progress) + 100))
    all_run
    for unit in handle project cgi; do
        pid=$(booted systemctl show -P MainPID "calc-$unit@demo.service")
        [[ $(booted "/proc/$pid/exe" --version) == *+next ]]
    done
    kill "$load"
    wait "$load"
    cat summary
    [ "$(wc -l <values)" -eq 4 ]
    while read -r id count; do
        until_true 20 view_has "$id" "$count"
    done <values
    [ "$(grep -c '"CreateValue"' machine/var/lib/calc/demo/commands)" -eq 4 ]
    verify_demo

    # back, over data whose formats the older version doesn't know
    install_packages booted /srv/this --allow-downgrades
    for unit in handle project; do
        until_true 20 refused "calc-$unit@demo.service"
    done
    journal calc-handle@demo | grep 'the state has format .*, this version knows '
    journal calc-project@demo | grep 'the view in .* has format .*, this version knows '
    # what is acknowledged meanwhile waits for its outcome
    booted calc-submit -o /var/lib/calc/demo/commands create 7 >acknowledged
    echo "$(jq -r .value_id acknowledged) 7" >>values
    before=$(everything)
    booted systemctl restart calc@demo.target || true
    for unit in handle project; do
        until_true 20 refused "calc-$unit@demo.service"
    done
    [ "$(everything)" = "$before" ]

    # the newer one goes on where it was
    install_packages booted /srv/next
    booted systemctl restart calc@demo.target
    until_true 20 all_run
    while read -r id count; do
        until_true 20 view_has "$id" "$count"
    done <values
    verify_demo
    # purged while it runs: it is stopped, and what it wrote stays
    booted dpkg --purge calc-service
    is_state calc-handle@demo.service inactive
    [ -z "$(booted systemctl list-units --all --no-legend 'calc*')" ]
    [ -z "$(booted systemctl --failed --no-legend)" ]
    [ ! -e "/proc/$machine_leader/root/run/calc" ]
    verify_demo
}
