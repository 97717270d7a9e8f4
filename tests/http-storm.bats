#!/usr/bin/env bats
# Many clients at once, held to what the API promises: retries, reading one's own writes, races. The
# long form is `make soak`: STORM=10000.

# shellcheck disable=SC2154,SC2034 # http/servers.bash sets and reads them
load helper
load http/servers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    needs nginx python3
    start nginx-fastcgi
}

@test "a storm of retries applies each command once, and answers all of them the same" {
    "$here/storm.py" retry "$url" "${STORM:-600}"
    [ "$(wc -l <events)" -eq "${STORM:-600}" ]
    [ ! -s rejections ]
}

@test "who writes reads that or something newer, under load" {
    "$here/storm.py" seen "$url" "${STORM:-400}"
    [ ! -s rejections ]
}

@test "of those who race with If-Match one wins each version, and nothing is lost" {
    "$here/storm.py" race "$url" "${RACE:-50}"
}
