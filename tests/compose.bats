#!/usr/bin/env bats
# compose.yaml: no container engine runs here, but what the image does with the file is Kafka's own
# code, and in its jars.

# shellcheck disable=SC2154 # helper.bash sets root
load helper
load kafka

# Nothing here needs a broker that runs all the time.
setup_file() {
    :
}

# compose EXPRESSION: of `kafka`, the service.
compose() {
    python3 -c 'import sys, yaml
kafka = yaml.safe_load(open(sys.argv[1]))["services"]["kafka"]
print(eval(sys.argv[2]))' "$root/compose.yaml" "$1"
}

# effective FILE: its settings, of which the last one of a name counts, without those of a node.
effective() {
    awk -F= '/^[^#]/ { last[$1] = $0 } END { for (name in last) print last[name] }' "$1" |
        grep -vE '^(listeners|advertised\.listeners|log\.dirs|controller\.quorum\.voters)=' | sort
}

@test "the image is of the version that scripts/kafka runs" {
    [[ $("$kafka" classpath) =~ /kafka-([0-9.]+)/ ]]
    [ "$(compose 'kafka["image"]')" = "apache/kafka:${BASH_REMATCH[1]}" ]
}

@test "only this machine can reach it" {
    [ "$(compose 'kafka["ports"]')" = "['127.0.0.1:9092:9092']" ]
}

@test "the image makes of it the settings of scripts/kafka, and its data folder" {
    mkdir default mounted final
    touch default/{server,log4j,tools-log4j}.properties
    mount=$(compose 'kafka["volumes"][0]')
    [[ $mount == ./*:/mnt/shared/config/*:ro ]]
    source=${mount%%:*}
    target=${mount#*:/mnt/shared/config/}
    cp "$root/$source" "mounted/${target%:ro}"
    mapfile -t environment < <(compose '"\n".join(f"{k}={v}" for k, v in kafka["environment"].items())')
    env -i PATH="$PATH" CLUSTER_ID=5L6g3nShT-eMCtK--X86sw "${environment[@]}" \
        KAFKA_LOG_DIRS="$PWD/data" java -cp "$("$kafka" classpath)" -Dlog4j2.level=OFF \
        kafka.docker.KafkaDockerWrapper setup -D default -M mounted -F final
    [ -e data/meta.properties ]

    "$kafka" start ours --port 0
    "$kafka" kill ours
    effective final/server.properties >theirs
    effective ours/node-1/server.properties >expected
    [ "$(grep -c '' expected)" -gt 15 ]
    diff expected theirs
}
