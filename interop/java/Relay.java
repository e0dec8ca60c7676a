// Produces what it is told to, a record a line, as franz/relay.go does.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Relay {
    private Relay() {
    }

    static void run(String bootstrap) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("enable.idempotence", true);
        config.put("delivery.timeout.ms", 60_000);
        config.put("retry.backoff.ms", 5);
        config.put("retry.backoff.max.ms", 50);
        config.put("reconnect.backoff.ms", 5);
        config.put("reconnect.backoff.max.ms", 50);
        config.put("linger.ms", 2);
        config.put("compression.type", "zstd");
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        HexFormat hex = HexFormat.of();
        KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            byte[] key = words[3].equals("-") ? null : hex.parseHex(words[3]);
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                words[1], Integer.parseInt(words[2]), key, hex.parseHex(words[4]));
            producer.send(record, (metadata, error) -> System.out.println(
                error == null
                    ? "acked " + words[0] + " " + metadata.offset()
                    : "lost " + words[0] + " " + error));
        }
        producer.close(Duration.ofSeconds(30));
        System.out.flush();
    }
}
