// One broker while it serves the directory: connections to it, and writes that are noted down.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Visit implements AutoCloseable {
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};

    /** Records' times begin here: so late that no producer is forgotten for its age. */
    static final long BASE_MS = System.currentTimeMillis() - 7_200_000;

    /** Longer than a directory's whole way on a busy machine. */
    static final int OPEN_MS = 7_000_000;

    private static final long PATIENCE_NS = 60_000_000_000L;
    private static final int PAUSE_MS = 100;

    final String bootstrap;
    final Admin admin;
    final Ledger ledger;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    private final AtomicReference<Exception> failure = new AtomicReference<>();
    private final Random random;

    Visit(String bootstrap, Ledger ledger, long seed) {
        this.bootstrap = bootstrap;
        this.ledger = ledger;
        random = new Random(seed);
        admin = Admin.create(common());
    }

    Map<String, Object> common() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("reconnect.backoff.max.ms", 500);
        config.put("enable.metrics.push", false);
        return config;
    }

    static <T> T get(KafkaFuture<T> future) throws Exception {
        try {
            return future.get();
        } catch (ExecutionException error) {
            throw error.getCause() instanceof Exception cause ? cause : error;
        }
    }

    /** Repeats a call that fails for reasons that pass, such as a coordinator that is loading. */
    static <T> T patiently(Callable<T> call) throws Exception {
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (true) {
            try {
                return call.call();
            } catch (RetriableException | GroupIdNotFoundException error) {
                // Kafka 4.0.0 does not find a group for a moment after it was loaded.
                if (System.nanoTime() > deadline) {
                    throw error;
                }
                Thread.sleep(PAUSE_MS);
            }
        }
    }

    /** Waits until it holds. */
    static void until(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (!holds.call()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("did not come: " + what);
            }
            Thread.sleep(PAUSE_MS);
        }
    }

    /** Creates a topic with settings, given as name, value, name, value. */
    void create(String topic, int partitions, String... settings) throws Exception {
        Map<String, String> configs = new HashMap<>();
        for (int n = 0; n < settings.length; n += 2) {
            configs.put(settings[n], settings[n + 1]);
        }
        NewTopic wanted = new NewTopic(topic, partitions, (short) 1).configs(configs);
        get(admin.createTopics(List.of(wanted)).all());
        ready(topic, partitions);
        if (configs.getOrDefault("cleanup.policy", "").contains("compact")) {
            ledger.isCompacted(topic);
        }
        if ("LogAppendTime".equals(configs.get("message.timestamp.type"))) {
            ledger.hasAppendTime(topic);
        }
    }

    /** Waits until all partitions are led. Apache Kafka may refuse a producer's first batch and
     * take the second, if it becomes the leader in between; then the first is too late for good. */
    void ready(String topic, int partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        for (int n = 0; n < partitions; n++) {
            ends.put(new TopicPartition(topic, n), OffsetSpec.latest());
        }
        patiently(() -> get(admin.listOffsets(ends).all()));
    }

    /** An idempotent producer of that codec, or one of transactions if it has an id for that. */
    KafkaProducer<byte[], byte[]> producer(String codec, String transactionalId) {
        return producers.computeIfAbsent(codec + transactionalId, name ->
            newProducer(codec, transactionalId, OPEN_MS));
    }

    /** A producer that outlives this object, with what its transactions may take. */
    KafkaProducer<byte[], byte[]> newProducer(String codec, String transactionalId, int openMs) {
        Map<String, Object> config = common();
        config.put("compression.type", codec);
        config.put("linger.ms", 5);
        if (transactionalId != null) {
            config.put("transactional.id", transactionalId);
            config.put("transaction.timeout.ms", openMs);
        }
        var producer = new KafkaProducer<>(
            config, new ByteArraySerializer(), new ByteArraySerializer());
        if (transactionalId != null) {
            producer.initTransactions();
        }
        return producer;
    }

    /** Sends records of all sorts to a topic, `partitions` being how many it is known to have. */
    void fill(String topic, int partitions, int count, String codec) throws Exception {
        var producer = producer(codec, null);
        for (int n = 0; n < count; n++) {
            send(producer, any(topic, n % partitions, n),
                new Ledger.Transaction(Ledger.Fate.COMMITTED));
        }
        flush();
    }

    void send(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record,
            Ledger.Transaction transaction) {
        producer.send(record, (metadata, error) -> {
            if (error == null) {
                try {
                    ledger.sent(record, metadata, transaction);
                } catch (RuntimeException surprise) {
                    failure.compareAndSet(null, surprise);
                }
            } else {
                failure.compareAndSet(null, error);
            }
        });
    }

    /** Waits for everything that was sent. */
    void flush() throws Exception {
        producers.values().forEach(KafkaProducer::flush);
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    /** A record with now and then no key, no value, empty ones, headers, an odd time. */
    ProducerRecord<byte[], byte[]> any(String topic, int partition, int n) {
        byte[] key = switch (random.nextInt(8)) {
            case 0 -> null;
            case 1 -> new byte[0];
            default -> bytes("key-" + random.nextInt(500));
        };
        byte[] value = switch (random.nextInt(16)) {
            case 0 -> null;
            case 1 -> new byte[0];
            case 2 -> bytes(("line " + n + "; ").repeat(random.nextInt(100)));
            default -> bytes("value " + n + " " + Long.toHexString(random.nextLong()));
        };
        RecordHeaders headers = new RecordHeaders();
        if (random.nextInt(4) == 0) {
            for (int h = random.nextInt(4); h >= 0; h--) {
                headers.add("name-" + random.nextInt(2), switch (random.nextInt(3)) {
                    case 0 -> null;
                    case 1 -> new byte[0];
                    default -> bytes("header " + n);
                });
            }
        }
        // Mostly forward, at times back.
        long time = BASE_MS + n * 10L - (random.nextInt(10) == 0 ? random.nextInt(60_000) : 0);
        return new ProducerRecord<>(topic, partition, time, key, value, headers);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Ends all connections; what is open in a transaction stays open. */
    @Override
    public void close() {
        List<KafkaProducer<byte[], byte[]>> all = new ArrayList<>(producers.values());
        producers.clear();
        all.forEach(producer -> producer.close(java.time.Duration.ZERO));
        admin.close();
    }
}
