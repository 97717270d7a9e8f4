# Machines for tests: a bare Debian 12 in ./machine, whose commands run with the machine at rest or
# booted. teardown has to call machine_end.

machine_leader= # its first process, as this machine numbers it
machine_boot=

machine_make() {
    needs debootstrap systemd-nspawn nsenter unshare
    [ "$(id -u)" -eq 0 ] || skip "a machine needs root"
    "$root/tests/package/root" machine
}

# at_rest COMMAND...: in the machine that isn't booted.
at_rest() {
    # shellcheck disable=SC2016 # for the other shell
    unshare --mount --pid --fork --kill-child sh -c '
        mount -t proc proc machine/proc && mount --rbind /dev machine/dev && exec "$@"' - \
        env -i DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin chroot machine "$@" 3>&-
}

machine_boot() {
    rm -f machine.pid
    background "$root/tests/package/boot" machine </dev/null >boot.log 2>&1
    machine_boot=${started[-1]}
    until_true 60 machine_is_up
}

# Everything that is enabled was started, or failed.
machine_is_up() {
    machine_pid=$(cat machine.pid 2>/dev/null) &&
        machine_leader=$(ps -o pid= --ppid "$machine_pid" | xargs) &&
        [[ -n $machine_leader && $(booted systemctl is-system-running 2>/dev/null) =~ running|degraded ]]
}

# booted COMMAND...: in the machine that runs.
booted() {
    nsenter -t "$machine_leader" --mount --uts --ipc --pid --net \
        env -i DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin "$@" 3>&-
}

# The lines of a unit in the journal, oldest first.
journal() {
    booted journalctl --no-pager -o cat -u "$1"
}

# show HEADING COMMAND...: in the machine; what it prints becomes a comment of the test's.
show() {
    echo "# --- $1" >&3
    booted "${@:2}" 2>&1 | sed 's/^/# /' >&3 || true
}

# property UNIT NAME
property() {
    booted systemctl show -P "$2" "$1"
}

# is UNIT STATE: of systemd's ActiveState.
is() {
    [ "$(property "$1" ActiveState)" = "$2" ]
}

# restarted UNIT COUNT: more often, and it runs.
restarted() {
    [ "$(property "$1" NRestarts)" -gt "$2" ] && is "$1" active
}

machine_end() {
    # with its first process the machine is gone; its container tidies up
    if [ -n "$machine_leader" ] && kill -KILL "$machine_leader" 2>/dev/null; then
        wait "$machine_boot" || true
    fi
    machine_leader=
    end_started
    [ ! -d machine ] || rm -rf --one-file-system machine
}
