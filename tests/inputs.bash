# Inputs of the tests of all parts together.

# some_inputs COUNT: creations of 20 values and changes to them, some of which are rejected.
some_inputs() {
    awk -v count="$1" 'BEGIN {
        srand(7)
        for (i = 0; i < count; i++) {
            id = sprintf("00000000-0000-4000-8000-%012d", int(rand() * 20))
            kind = int(rand() * 6)
            if (kind == 0) printf "{\"value_id\":\"%s\",\"value\":%d}\n", id, rand() * 100
            else if (kind == 1) printf "{\"value_id\":\"%s\",\"operation\":\"MULTIPLY\",\"value\":%.3f}\n", id, rand() * 2
            else if (kind == 2) printf "{\"value_id\":\"%s\",\"operation\":\"ADD\",\"value\":1,\"expected_version\":%d}\n", id, rand() * 9
            else printf "{\"value_id\":\"%s\",\"operation\":\"ADD\",\"value\":%.3f,\"actor\":\"ann\"}\n", id, rand() * 10 - 5
        }
    }'
}
