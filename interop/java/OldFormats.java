// Prints every record of topics, and the first ones of some times, as old_formats.py does.
//
//     OldFormats BOOTSTRAP FILE_WITH_EXPECTED_LINES
//
// Which topics, and which times to ask for, is taken from the lines that are expected.

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class OldFormats {
    private static final long LIMIT_NS = Duration.ofSeconds(60).toNanos();

    private OldFormats() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, Integer> counts = new LinkedHashMap<>();
        List<String[]> lines = Files.readAllLines(Path.of(args[1])).stream()
            .map(line -> line.split(" ")).toList();
        for (String[] words : lines) {
            counts.merge(words[0], words[1].equals("since") ? 0 : 1, Integer::sum);
        }
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "none");
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            for (Map.Entry<String, Integer> topic : counts.entrySet()) {
                read(consumer, topic.getKey(), topic.getValue());
                TopicPartition partition = new TopicPartition(topic.getKey(), 0);
                for (String[] words : lines) {
                    if (!words[0].equals(topic.getKey()) || !words[1].equals("since")) {
                        continue;
                    }
                    long time = Long.parseLong(words[2]);
                    var found = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
                    System.out.println(topic.getKey() + " since " + time + " "
                        + (found == null ? "none" : found.offset()));
                }
            }
        }
    }

    private static void read(KafkaConsumer<byte[], byte[]> consumer, String topic, int count) {
        TopicPartition partition = new TopicPartition(topic, 0);
        consumer.assign(List.of(partition));
        consumer.seek(partition, 0);
        long deadline = System.nanoTime() + LIMIT_NS;
        int seen = 0;
        while (seen < count) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                System.out.println(topic + " " + record.offset() + " " + record.timestamp() + " "
                    + text(record.key()) + " " + text(record.value()));
                seen++;
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException(topic + ": nothing after " + seen + " records");
            }
        }
    }

    private static String text(byte[] data) {
        if (data == null) {
            return "null";
        }
        return data.length == 0 ? "empty" : HexFormat.of().formatHex(data);
    }
}
