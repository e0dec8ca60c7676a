// The Java client measured as bench/clients measures others; it says there what is printed.
//
//     ClientBench produce ADDRESS TOPIC RECORDS WARM_UP BATCH_BYTES MEMORY_BYTES
//     ClientBench consume ADDRESS TOPIC RECORDS WARM_UP

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class ClientBench {
    private static final int VALUE_BYTES = 100;
    private static final long PATIENCE_NS = 30_000_000_000L;

    private static final OperatingSystemMXBean SYSTEM =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private static long startNs;
    private static long startCpuNs;

    private ClientBench() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", args[1]);
        long records = Long.parseLong(args[3]);
        long warmUp = Long.parseLong(args[4]);
        if (args[0].equals("produce")) {
            config.put("batch.size", Integer.parseInt(args[5]));
            config.put("buffer.memory", Long.parseLong(args[6]));
            produce(config, args[2], records, warmUp);
        } else {
            consume(config, args[2], records, warmUp);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static void produce(
            Map<String, Object> config, String topic, long records, long warmUp)
            throws Exception {
        KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        AtomicLong failures = new AtomicLong();
        Callback callback = (metadata, error) -> {
            if (error != null) {
                failures.incrementAndGet();
            }
        };
        for (long number = 0; number < warmUp + records; number++) {
            if (number == warmUp) {
                producer.flush();
                go();
            }
            // The record keeps the array, so each needs one.
            byte[] value = new byte[VALUE_BYTES];
            Arrays.fill(value, (byte) 'x');
            ByteBuffer.wrap(value).putLong(0, number);
            producer.send(new ProducerRecord<>(topic, 0, null, value), callback);
        }
        producer.flush();
        if (failures.get() > 0) {
            throw new IllegalStateException(failures + " records were not delivered");
        }
        tell(records);
    }

    private static void consume(
            Map<String, Object> config, String topic, long records, long warmUp)
            throws Exception {
        KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        TopicPartition where = new TopicPartition(topic, 0);
        consumer.assign(List.of(where));
        consumer.seek(where, 0);
        long next = 0;
        long since = System.nanoTime();
        while (next < warmUp + records) {
            long before = next;
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                if (next == warmUp) {
                    go();
                }
                byte[] value = record.value();
                if (value.length != VALUE_BYTES || ByteBuffer.wrap(value).getLong() != next) {
                    throw new IllegalStateException("record " + next + " is not as it was sent");
                }
                if (++next == warmUp + records) {
                    break;
                }
            }
            if (next > before) {
                since = System.nanoTime();
            } else if (System.nanoTime() - since > PATIENCE_NS) {
                throw new IllegalStateException("nothing comes after " + next + " records");
            }
        }
        tell(records);
    }

    private static void go() {
        System.out.println("go");
        System.out.flush();
        startNs = System.nanoTime();
        startCpuNs = SYSTEM.getProcessCpuTime();
    }

    private static void tell(long records) throws Exception {
        double seconds = (System.nanoTime() - startNs) / 1e9;
        double cpuSeconds = (SYSTEM.getProcessCpuTime() - startCpuNs) / 1e9;
        String peak = Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("VmHWM:")).findFirst().orElseThrow();
        double peakKib = Double.parseDouble(peak.trim().split("\\s+")[1]);
        System.out.println(String.format(Locale.ROOT,
            "{\"records_per_s\": %f, \"records_per_cpu_s\": %f, \"peak_mib\": %f}",
            records / seconds, records / cpuSeconds, peakKib / 1024));
    }
}
