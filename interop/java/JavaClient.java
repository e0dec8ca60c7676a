// The Java client behind the few calls that the cases need; each waits until its work is done.

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class JavaClient {
    private static final long TIMEOUT_NS = 30_000_000_000L;

    /** The broker's answer was an error; the message is Kafka's name of it. */
    @SuppressWarnings("serial")
    static final class Refused extends Exception {
        Refused(Throwable cause) {
            super(Errors.forException(cause).name(), cause);
        }
    }

    private final String bootstrap;
    private final Admin admin;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final AtomicReference<Exception> failure = new AtomicReference<>();

    JavaClient(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(common());
        Map<String, Object> config = common();
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "none");
        config.put("fetch.max.wait.ms", 100);
        config.put("max.poll.records", 10_000);
        consumer =
            new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private Map<String, Object> common() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("reconnect.backoff.max.ms", 500);
        return config;
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        try {
            return future.get();
        } catch (ExecutionException error) {
            throw new Refused(error.getCause());
        }
    }

    void create(String topic, int partitions) throws Exception {
        get(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all());
    }

    void delete(String topic) throws Exception {
        get(admin.deleteTopics(List.of(topic)).all());
    }

    Set<String> topics() throws Exception {
        return get(admin.listTopics().names());
    }

    int partitions(String topic) throws Exception {
        try {
            return get(admin.describeTopics(List.of(topic)).allTopicNames())
                .get(topic).partitions().size();
        } catch (Refused refused) {
            if (refused.getCause() instanceof UnknownTopicOrPartitionException) {
                return 0;
            }
            throw refused;
        }
    }

    private KafkaProducer<byte[], byte[]> producer(String codec, boolean idempotent) {
        return producers.computeIfAbsent(codec + idempotent, name -> {
            Map<String, Object> config = common();
            config.put("acks", "all");
            config.put("compression.type", codec);
            config.put("enable.idempotence", idempotent);
            config.put("linger.ms", 20);
            config.put("batch.size", 65_536);
            config.put("max.request.size", 2_000_000);
            return new KafkaProducer<>(
                config, new ByteArraySerializer(), new ByteArraySerializer());
        });
    }

    /** A transaction of a producer of its own, whose transactional id is the topic's name. */
    void transaction(ProducerRecord<byte[], byte[]> record) throws Exception {
        Map<String, Object> config = common();
        config.put("transactional.id", record.topic());
        try (var producer = new KafkaProducer<>(
                config, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record);
            producer.commitTransaction();
        } catch (ApiException error) {
            throw new Refused(error);
        }
    }

    void send(String topic, List<ProducerRecord<byte[], byte[]>> records, String codec,
            boolean idempotent) throws Exception {
        KafkaProducer<byte[], byte[]> producer = producer(codec, idempotent);
        List<Future<?>> futures = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> record : records) {
            futures.add(producer.send(record));
        }
        producer.flush();
        for (Future<?> future : futures) {
            try {
                future.get();
            } catch (ExecutionException error) {
                throw new Refused(error.getCause());
            }
        }
    }

    void sendLater(ProducerRecord<byte[], byte[]> record, String codec) {
        producer(codec, true).send(record, (metadata, error) -> {
            if (error != null) {
                failure.compareAndSet(null, error);
            }
        });
    }

    void flush(String codec) throws Exception {
        producer(codec, true).flush();
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    void forEach(String topic, int partition, long offset, int count,
            Consumer<ConsumerRecord<byte[], byte[]>> body) {
        TopicPartition where = new TopicPartition(topic, partition);
        consumer.assign(List.of(where));
        consumer.seek(where, offset);
        int left = count;
        long deadline = System.nanoTime() + TIMEOUT_NS;
        while (left > 0) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(left + " of " + count + " records did not come");
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                deadline = System.nanoTime() + TIMEOUT_NS;
                if (left-- > 0) {
                    body.accept(record);
                }
            }
        }
    }

    List<ConsumerRecord<byte[], byte[]>> read(String topic, int partition, long offset, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        forEach(topic, partition, offset, count, records::add);
        return records;
    }

    long[] ends(String topic, int partition) {
        TopicPartition where = new TopicPartition(topic, partition);
        return new long[] {
            consumer.beginningOffsets(List.of(where)).get(where),
            consumer.endOffsets(List.of(where)).get(where)
        };
    }

    Long offsetAt(String topic, long timestamp) {
        TopicPartition where = new TopicPartition(topic, 0);
        OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(where, timestamp)).get(where);
        return found == null ? null : found.offset();
    }

    long offsetOfMaxTimestamp(String topic) throws Exception {
        TopicPartition where = new TopicPartition(topic, 0);
        return get(admin.listOffsets(Map.of(where, OffsetSpec.maxTimestamp())).all())
            .get(where).offset();
    }
}
