// Fills a new directory of Apache Kafka with something of every kind that it keeps.

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Rich {
    private static final String LONGEST = "n".repeat(249);
    private static final int KEYS = 40;
    /** A round of those keys has some 500 bytes; few are left when it has been cleaned. */
    private static final long CLEANED_BYTES = 2500;

    private final Visit visit;
    private final int count;
    private final boolean consumerGroups;

    Rich(Visit visit, int count, boolean consumerGroups) {
        this.visit = visit;
        this.consumerGroups = consumerGroups;
        this.count = count;
    }

    /** What Apache Kafka and Ottla both can. */
    void write() throws Exception {
        topics();
        configs();
        compacted();
        shortened();
        groups();
    }

    private void topics() throws Exception {
        int each = count / Visit.CODECS.length;
        for (String codec : Visit.CODECS) {
            String topic = "codec_" + codec;
            visit.create(topic, 3, "segment.bytes", "1048576", "index.interval.bytes", "512");
            visit.fill(topic, 3, each, codec);
        }
        visit.create("dots.and-hyphens_all", 1);
        visit.fill("dots.and-hyphens_all", 1, 100, "lz4");
        visit.create("looks-like-delete", 2);
        visit.fill("looks-like-delete", 2, 100, "none");
        visit.create("ends.with-0", 1);
        visit.fill("ends.with-0", 1, 10, "zstd");
        visit.create(LONGEST, 1);
        visit.fill(LONGEST, 1, 10, "snappy");
        visit.create("empty", 4);
        visit.create("many", 12);
        visit.fill("many", 12, 240, "gzip");
        visit.create("broker-time", 2, "message.timestamp.type", "LogAppendTime");
        for (String codec : Visit.CODECS) {
            visit.fill("broker-time", 2, 200, codec);
        }
        // A new segment for every few records.
        visit.create("small-segments", 1, "segment.ms", "2000");
        visit.fill("small-segments", 1, 3000, "none");
        visit.create("recompressed", 1, "compression.type", "zstd");
        visit.fill("recompressed", 1, 300, "gzip");
        visit.create("grown", 1);
        visit.fill("grown", 1, 50, "none");
        grow(visit, "grown", 3);
        for (String topic : Transactions.OPEN) {
            visit.create(topic, 2);
            visit.fill(topic, 2, 20, "none");
        }
        visit.create("gone", 3);
        visit.fill("gone", 3, 300, "none");
        delete(visit, "gone");
    }

    static void grow(Visit visit, String topic, int partitions) throws Exception {
        Visit.get(visit.admin.createPartitions(
            Map.of(topic, NewPartitions.increaseTo(partitions))).all());
        visit.ready(topic, partitions);
        visit.fill(topic, partitions, 20 * partitions, "lz4");
    }

    static void delete(Visit visit, String topic) throws Exception {
        Visit.get(visit.admin.deleteTopics(List.of(topic)).all());
        visit.ledger.deleted(topic);
    }

    private void configs() throws Exception {
        set(visit, ConfigResource.Type.BROKER, "1", "log.cleaner.io.buffer.size", "600000");
        set(visit, ConfigResource.Type.BROKER, "", "log.retention.ms", "2000000000000");
        set(visit, ConfigResource.Type.BROKER, "", "max.connections", "5000");
        set(visit, ConfigResource.Type.TOPIC, "empty", "retention.ms", "123456789");
        set(visit, ConfigResource.Type.TOPIC, "empty", "max.message.bytes", "54321");
        if (consumerGroups) {
            set(visit, ConfigResource.Type.GROUP, "consumers", "consumer.session.timeout.ms",
                "50000");
        }
        set(visit, ConfigResource.Type.CLIENT_METRICS, "metrics", "interval.ms", "60000");
        set(visit, ConfigResource.Type.CLIENT_METRICS, "metrics", "metrics", "org.apache.kafka.");
        Map<String, String> user = new HashMap<>();
        user.put(ClientQuotaEntity.USER, null);
        quota(visit, Map.of(ClientQuotaEntity.CLIENT_ID, "slow"), "producer_byte_rate", 1e6);
        quota(visit, user, "consumer_byte_rate", 2e9);
        scram("alice", ScramMechanism.SCRAM_SHA_256, 4096);
        scram("alice", ScramMechanism.SCRAM_SHA_512, 8192);
    }

    private void scram(String user, ScramMechanism mechanism, int iterations) throws Exception {
        Visit.get(visit.admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
            user, new ScramCredentialInfo(mechanism, iterations), "secret"))).all());
    }

    static void set(Visit visit, ConfigResource.Type type, String name, String key, String value)
            throws Exception {
        Visit.get(visit.admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name),
            List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET))))
            .all());
    }

    static void quota(Visit visit, Map<String, String> entity, String key, double value)
            throws Exception {
        Visit.get(visit.admin.alterClientQuotas(List.of(new ClientQuotaAlteration(
            new ClientQuotaEntity(entity),
            List.of(new ClientQuotaAlteration.Op(key, value))))).all());
    }

    private void compacted() throws Exception {
        visit.create("compacted", 1, "cleanup.policy", "compact", "segment.ms", "1000",
            "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "86400000000");
        visit.create("compacted-deleted", 1, "cleanup.policy", "compact,delete", "segment.ms",
            "1000", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "1",
            "retention.ms", "-1");
        for (String topic : List.of("compacted", "compacted-deleted")) {
            clean(visit, topic, 40);
        }
    }

    /** Writes to few keys, some of which end with a tombstone, until a cleaning has thinned them;
     * then there is none any more, so that what is compared stays as it is. */
    static void clean(Visit visit, String topic, int rounds) throws Exception {
        set(visit, ConfigResource.Type.TOPIC, topic, "min.cleanable.dirty.ratio", "0.01");
        TopicPartition where = new TopicPartition(topic, 0);
        KafkaProducer<byte[], byte[]> producer = visit.producer("lz4", null);
        long first = Visit.get(visit.admin.listOffsets(Map.of(where, OffsetSpec.latest())).all())
            .get(where).offset() / KEYS;
        for (int round = 0; round < rounds; round++) {
            for (int key = 0; key < KEYS; key++) {
                boolean tombstone = key % 10 == 0 && round == rounds / 2 || key % 10 == 1;
                // Each round is a segment of its own.
                long time = Visit.BASE_MS + (first + round) * 5000L + key;
                visit.send(producer, new ProducerRecord<>(topic, 0, time,
                    Visit.bytes("key " + key), tombstone ? null : Visit.bytes("time " + time
                    + " " + "x".repeat(50))), new Ledger.Transaction(Ledger.Fate.COMMITTED));
            }
            visit.flush();
        }
        Visit.until("cleaning of " + topic, () -> size(visit, where) < CLEANED_BYTES);
        set(visit, ConfigResource.Type.TOPIC, topic, "min.cleanable.dirty.ratio", "1.0");
        settle(visit, where);
    }

    /** Waits until its size stays the same. */
    private static void settle(Visit visit, TopicPartition where) throws Exception {
        long[] last = {-1};
        Visit.until("quiet of " + where, () -> {
            long before = last[0];
            last[0] = size(visit, where);
            Thread.sleep(700);
            return before == last[0];
        });
    }

    private static long size(Visit visit, TopicPartition where) throws Exception {
        return Visit.get(visit.admin.describeLogDirs(List.of(1)).allDescriptions()).get(1).values()
            .stream().filter(dir -> dir.replicaInfos().containsKey(where))
            .mapToLong(dir -> dir.replicaInfos().get(where).size()).sum();
    }

    private void shortened() throws Exception {
        visit.create("shortened", 2);
        visit.fill("shortened", 2, 400, "snappy");
        shorten(visit, "shortened", 77);
        visit.create("expired", 1, "retention.bytes", "1", "segment.ms", "1000");
        visit.fill("expired", 1, 1500, "none");
        TopicPartition where = new TopicPartition("expired", 0);
        Visit.until("retention", () -> Visit.get(visit.admin.listOffsets(
            Map.of(where, OffsetSpec.earliest())).all()).get(where).offset() > 0);
        settle(visit, where);
        set(visit, ConfigResource.Type.TOPIC, "expired", "retention.bytes", "-1");
    }

    static void shorten(Visit visit, String topic, long offset) throws Exception {
        Visit.get(visit.admin.deleteRecords(Map.of(new TopicPartition(topic, 0),
            RecordsToDelete.beforeOffset(offset))).all());
    }

    private void groups() throws Exception {
        member("classics", "classic", null);
        member("classic-static", "classic", "member-of-old");
        if (consumerGroups) {
            member("consumers", "consumer", null);
        }
        commit(visit, "by-hand", Map.of(
            new TopicPartition("codec_none", 0), new OffsetAndMetadata(12, "a note: äöü€ 𝄞"),
            new TopicPartition("codec_none", 1), new OffsetAndMetadata(7, "m".repeat(2000)),
            new TopicPartition("many", 11), new OffsetAndMetadata(3, "")));
        commit(visit, "partly", Map.of(new TopicPartition("many", 0), new OffsetAndMetadata(1),
            new TopicPartition("many", 1), new OffsetAndMetadata(2)));
        Visit.patiently(() -> Visit.get(visit.admin.deleteConsumerGroupOffsets(
            "partly", java.util.Set.of(new TopicPartition("many", 0))).all()));
        // The coordinator without the consumer protocol writes no tombstone for a group that only
        // kept commits, just for these: to later ones it is an empty group still.
        if (consumerGroups) {
            commit(visit, "ended",
                Map.of(new TopicPartition("many", 2), new OffsetAndMetadata(5, "soon gone")));
            Visit.patiently(
                () -> Visit.get(visit.admin.deleteConsumerGroups(List.of("ended")).all()));
        }
    }

    static void commit(Visit visit, String group, Map<TopicPartition, OffsetAndMetadata> offsets)
            throws Exception {
        Visit.patiently(
            () -> Visit.get(visit.admin.alterConsumerGroupOffsets(group, offsets).all()));
    }

    /** Joins a group, commits what it has read, and leaves; a static member stays. */
    private void member(String group, String protocol, String instance) {
        Map<String, Object> config = visit.common();
        config.put("group.id", group);
        config.put("group.protocol", protocol);
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "earliest");
        if (instance != null) {
            config.put("group.instance.id", instance);
            config.put("session.timeout.ms", 1_800_000);
        }
        try (var consumer = new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("many", "codec_zstd"));
            long deadline = System.nanoTime() + 60_000_000_000L;
            while (consumer.poll(Duration.ofMillis(300)).isEmpty()) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(group + " gets nothing to read");
                }
            }
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            consumer.assignment().forEach(where -> offsets.put(where,
                new OffsetAndMetadata(consumer.position(where), "of " + group)));
            consumer.commitSync(offsets);
        }
    }
}
