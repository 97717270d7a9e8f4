import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Calculator BROKER FOLDER THREADS COMMANDS EVENTS REJECTIONS WARM-UP COUNT: the calculator as one would write it
 * with Kafka Streams, exactly once, its values in RocksDB: a yardstick of calc-handle. It decides as that does, but
 * remembers no commands, so that a retry is applied again. After WARM-UP commands, for which Java compiles, it takes
 * the time of the COUNT behind, prints commands a second, and ends.
 */
public final class Calculator implements Processor<String, byte[], String, byte[]> {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final AtomicLong handled = new AtomicLong();
    private static final CountDownLatch done = new CountDownLatch(1);
    private static long warmUp, count;
    private static volatile long begun, ended;

    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> values; // version:8 number:8

    @Override
    public void init(ProcessorContext<String, byte[]> given) {
        context = given;
        values = given.getStateStore("values");
    }

    @Override
    public void process(Record<String, byte[]> record) {
        try {
            decide(record);
        } catch (java.io.IOException malformed) {
            throw new IllegalArgumentException(malformed);
        }
        long now = handled.incrementAndGet();
        if (now == warmUp) {
            begun = System.nanoTime();
        } else if (now == warmUp + count) {
            ended = System.nanoTime();
            done.countDown();
        }
    }

    private void decide(Record<String, byte[]> record) throws java.io.IOException {
        JsonNode command = JSON.readTree(record.value());
        JsonNode data = command.get("data");
        String id = data.get("value_id").textValue();
        boolean creates = command.get("action").textValue().equals("CreateValue");
        byte[] kept = values.get(id);
        long version = kept == null ? 0 : ByteBuffer.wrap(kept).getLong(0);
        double operand = data.get("value").doubleValue();
        double result = operand;
        if (creates == (kept != null)) {
            reject(record, command, creates ? "value_exists" : "unknown_value", version);
            return;
        }
        if (!creates) {
            double number = ByteBuffer.wrap(kept).getDouble(8);
            result = data.get("operation").textValue().equals("ADD") ? number + operand : number * operand;
            if (!Double.isFinite(result)) {
                reject(record, command, "out_of_range", version);
                return;
            }
        }
        values.put(id, ByteBuffer.allocate(16).putLong(version + 1).putDouble(result).array());
        ObjectNode event = outcome(creates ? "ValueCreated" : "ValueUpdated", command);
        event.put("version", version + 1).put("result", result);
        event.set("timestamp", command.get("timestamp"));
        context.forward(new Record<>(record.key(), JSON.writeValueAsBytes(event), record.timestamp()), "events");
    }

    private void reject(Record<String, byte[]> record, JsonNode command, String reason, long version)
            throws java.io.IOException {
        ObjectNode rejection = outcome("CommandRejected", command);
        rejection.put("reason", reason).put("version", version);
        rejection.set("timestamp", command.get("timestamp"));
        context.forward(new Record<>(record.key(), JSON.writeValueAsBytes(rejection), record.timestamp()), "rejections");
    }

    private static ObjectNode outcome(String action, JsonNode command) {
        JsonNode data = command.get("data");
        String name = data.get("value_id").textValue() + command.get("id").textValue();
        ObjectNode made = JSON.createObjectNode();
        made.put("action", action);
        made.put("id", UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8)).toString());
        made.set("parent", command.get("id"));
        made.set("data", data);
        return made;
    }

    public static void main(String[] arguments) throws InterruptedException {
        warmUp = Long.parseLong(arguments[6]);
        count = Long.parseLong(arguments[7]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-" + arguments[4]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[1]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[2]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put("auto.offset.reset", "earliest");
        Topology topology = new Topology();
        topology.addSource("commands", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), arguments[3])
                .addProcessor("calculator", Calculator::new, "commands")
                .addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("values"), Serdes.String(),
                        Serdes.ByteArray()), "calculator")
                .addSink("events", arguments[4], Serdes.String().serializer(), Serdes.ByteArray().serializer(),
                        "calculator")
                .addSink("rejections", arguments[5], Serdes.String().serializer(), Serdes.ByteArray().serializer(),
                        "calculator");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1); // whoever waits would wait for ever
            return null;
        });
        streams.start();
        done.await();
        System.out.printf("%.0f%n", count / ((ended - begun) / 1e9));
        System.out.flush();
        streams.close(Duration.ofSeconds(10));
    }
}
