# What a test file loads, after kafka, to have a broker that takes nobody without TLS, a name and a
# password, and lets nobody do what the access control lists don't say. They and the users are those
# of calc-security(7), made by the lines of the page itself.

# shellcheck disable=SC2154 # helper.bash sets root, kafka.bash the rest
kafka_needs+=(openssl)

# A password that can be told from everything else: password USER
password() {
    sed -n "s/^$1 //p" "$BATS_FILE_TMPDIR/secured/passwords"
}

# certify NAME ISSUER SUBJECT-ALTERNATIVE: NAME.pem is its key and its certificate.
certify() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -days 3650 -out "$1.crt" \
        -extfile <(echo "subjectAltName=$3") 2>/dev/null
    cat "$1.key" "$1.crt" >"$1.pem"
}

# authority NAME
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -days 3650 -keyout "$1.key" -out "$1.crt" 2>/dev/null
}

# client USER MECHANISM FILE: as -F takes it.
client() {
    (umask 077 && printf '%s\n' security.protocol=SASL_SSL "ssl.ca.location=$PWD/ca.crt" \
        "sasl.mechanisms=$2" "sasl.username=$1" "sasl.password=$(password "$1")" >"$3")
}

plain_users() {
    local user
    for user in "${parts[@]}" "${lacking[@]}"; do
        printf ' user_%s="%s"' "$user" "$(password "$user")"
    done
}

# The settings behind those of scripts/kafka. The broker speaks to itself as its user broker. There are two
# doors: one for PLAIN, since Kafka 4 refuses SCRAM by the librdkafka of Debian 12, and one that takes SCRAM and
# nothing else, on a port that the kernel chooses.
secure_settings() {
    local plain=org.apache.kafka.common.security.plain.PlainLoginModule
    local scram=org.apache.kafka.common.security.scram.ScramLoginModule
    plain="$plain required username=broker password=\"$(password broker)\" user_broker=\"$(password broker)\""
    cat <<SETTINGS
listeners=SASL_SSL://127.0.0.1:@port@,SCRAM://127.0.0.1:0,CONTROLLER://127.0.0.1:@controller@
advertised.listeners=SASL_SSL://127.0.0.1:@port@,SCRAM://127.0.0.1:0
listener.security.protocol.map=SASL_SSL:SASL_SSL,SCRAM:SASL_SSL,CONTROLLER:SASL_SSL
security.inter.broker.protocol=SASL_SSL
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
sasl.enabled.mechanisms=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=$plain;
listener.name.sasl_ssl.plain.sasl.jaas.config=$plain$(plain_users);
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=$scram required;
ssl.keystore.type=PEM
ssl.keystore.location=$PWD/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$PWD/ca.crt
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker
SETTINGS
}

# Kafka's own tools, for the lines of the page: their arguments, for tests/kafka/Tools.java.
# shellcheck disable=SC2317 # the page's lines call them
kafka-acls.sh() {
    (IFS=$'\t' && echo "org.apache.kafka.tools.AclCommand	$*")
}

kafka-configs.sh() {
    (IFS=$'\t' && echo "kafka.admin.ConfigCommand	$*")
}

# The block of the page in which they are.
lines_of_the_page() {
    awk '/^\.Bd -literal/ { block = ""; here = 1; next } /^\.Ed/ { here = 0
        if (block ~ /kafka-acls\.sh/) printf "%s", block } here { block = block $0 "\n" }' \
        "$root/man/calc-security.7" | sed 's/\\e$/\\/'
}

parts=(calc-topics calc-submit calc-cgi calc-handle calc-project calc-verify)

# Of a handler's rights each of these lacks one.
lacking=(no-group no-transactions no-events)

# The page has no need to speak of who may do everything.
broker_by_scram() {
    kafka-configs.sh --bootstrap-server "$KAFKA_BROKER" --command-config admin.properties \
        --alter --entity-type users --entity-name broker --add-config-file broker.scram
}

# shellcheck disable=SC2086 # several words each
rights_of_the_lacking() {
    local acls="kafka-acls.sh --bootstrap-server $KAFKA_BROKER --command-config admin.properties --add"
    local user outcomes group transactions
    for user in "${lacking[@]}"; do
        outcomes="--topic events --topic rejections" group="--group commands-processors"
        transactions="--transactional-id commands-processors. --resource-pattern-type prefixed"
        $acls --allow-principal "User:$user" --operation Read --operation DescribeConfigs \
            --topic commands --topic events --topic rejections
        [ "$user" != no-events ] || outcomes='--topic rejections'
        $acls --allow-principal "User:$user" --operation Write $outcomes
        [ "$user" = no-group ] || $acls --allow-principal "User:$user" --operation Read $group
        [ "$user" = no-transactions ] ||
            $acls --allow-principal "User:$user" --operation Write $transactions
    done
}

# start_secured: the broker, its users and their rights, and PART.properties for each part. Sets
# secured, the folder of all secrets.
start_secured() {
    local user
    mkdir "$secured" "$BATS_FILE_TMPDIR/kafka"
    cd "$secured" || return 1
    for user in broker "${parts[@]}" "${lacking[@]}"; do
        echo "$user hush-$user-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')"
    done >passwords
    authority ca
    certify broker ca IP:127.0.0.1
    for user in broker "${parts[@]}" "${lacking[@]}"; do
        (umask 077 && echo "SCRAM-SHA-512=password=$(password "$user")" >"$user.scram")
        client "$user" PLAIN "$user.properties"
        client "$user" SCRAM-SHA-512 "$user.scram.properties"
    done
    cat >admin.properties <<ADMIN
security.protocol=SASL_SSL
ssl.truststore.type=PEM
ssl.truststore.location=$PWD/ca.crt
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=broker password="$(password broker)";
ADMIN
    secure_settings >"$BATS_FILE_TMPDIR/kafka/own.properties"
    ln -s "$PWD/broker.properties" "$BATS_FILE_TMPDIR/kafka/client.properties"
    start_broker || return 1
    lines_of_the_page >page
    {
        # shellcheck disable=SC1091 # it was made above
        source ./page
        broker_by_scram
        rights_of_the_lacking
    } >administration
    [ "$(grep -c AclCommand administration)" -ge 18 ] || return 1
    "$kafka" tool "$root/tests/kafka/Tools.java" <administration >administered 2>&1 || {
        cat administered >&2
        return 1
    }
}

secured=$BATS_FILE_TMPDIR/secured

# as USER: what -F takes for it.
as() {
    echo "$secured/$1$by.properties"
}

# What is before its ending: .scram for the door for SCRAM.
by=

# by_scram VERSION: from now on who links librdkafka has this one, and goes through the door for SCRAM.
by_scram() {
    by=.scram
    export LD_LIBRARY_PATH
    LD_LIBRARY_PATH=$("$root/tests/kafka/librdkafka" "$1") || {
        [ $? -eq 69 ] && skip "no librdkafka $1 from PyPI"
        return 1
    }
    KAFKA_BROKER=$(scram_door)
}

# Its address: the port is the one that isn't in the list of those that were asked for.
scram_door() {
    sed -n 's/.*Awaiting socket connections on \(127\.0\.0\.1:[0-9]*\)\.$/\1/p' "$KAFKA_DIR/node-1/server.log" |
        grep -vE ":($(cut -d ' ' -f 2- "$KAFKA_DIR/nodes" | tr ' ' '|'))\$"
}
