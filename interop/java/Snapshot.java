// Everything that clients can see of a broker, as sorted lines `what it is of` = `what it is`.

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.MetadataRequestData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.OffsetForLeaderEpochRequestData;
import org.apache.kafka.common.message.OffsetForLeaderEpochRequestData.OffsetForLeaderPartition;
import org.apache.kafka.common.message.OffsetForLeaderEpochRequestData.OffsetForLeaderTopic;
import org.apache.kafka.common.message.OffsetForLeaderEpochResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Snapshot {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final long READ_NS = 120_000_000_000L;
    private static final long[] TIMES =
        {0, Visit.BASE_MS + 777, Visit.BASE_MS + 30_005, Visit.BASE_MS + 400_000};

    /** What has to stay as it is. */
    final TreeMap<String, String> same = new TreeMap<>();
    /** Numbers that may grow. */
    final TreeMap<String, Long> growing = new TreeMap<>();
    /** Records that are not what was acknowledged. */
    final List<String> problems = new ArrayList<>();
    /** Where partitions of internal topics ended; brokers add to them by themselves. */
    private final Map<TopicPartition, Long> internalEnds = new HashMap<>();
    private final Map<TopicPartition, String> internalSums = new HashMap<>();

    private final List<String> groups = new ArrayList<>();

    private final Visit visit;
    private final Snapshot before;
    private final TreeSet<TopicPartition> partitions =
        new TreeSet<>((a, b) -> a.toString().compareTo(b.toString()));
    private final TreeSet<String> internal = new TreeSet<>();
    private final Map<TopicPartition, TreeSet<Integer>> epochs = new HashMap<>();

    private Snapshot(Visit visit, Snapshot before) {
        this.visit = visit;
        this.before = before;
    }

    /** Reads it all; `before` tells how much of the internal topics is compared. */
    static Snapshot take(Visit visit, Snapshot before) throws Exception {
        Snapshot snapshot = new Snapshot(visit, before);
        snapshot.cluster();
        snapshot.topics();
        snapshot.configs();
        snapshot.groups();
        snapshot.logDirs();
        snapshot.producers();
        Map<TopicPartition, Long> starts = snapshot.offsets("start", OffsetSpec.earliest(), false);
        Map<TopicPartition, Long> ends = snapshot.offsets("end", OffsetSpec.latest(), false);
        Map<TopicPartition, Long> stable = snapshot.offsets("stable", OffsetSpec.latest(), true);
        snapshot.offsets("max time", OffsetSpec.maxTimestamp(), false);
        for (long time : TIMES) {
            snapshot.offsets("time " + time, OffsetSpec.forTimestamp(time), false);
        }
        snapshot.records(false, starts, ends);
        snapshot.records(true, starts, stable);
        snapshot.epochEnds();
        snapshot.internalPrefixes(starts, ends);
        return snapshot;
    }

    /** Lines that tell what is not as it was. */
    List<String> differencesTo(Snapshot later) {
        List<String> lines = new ArrayList<>();
        TreeSet<String> keys = new TreeSet<>(same.keySet());
        keys.addAll(later.same.keySet());
        for (String key : keys) {
            String was = same.getOrDefault(key, "nothing");
            String is = later.same.getOrDefault(key, "nothing");
            if (!was.equals(is)) {
                lines.add(key + ": was " + was + ", is " + is);
            }
        }
        growing.forEach((key, was) -> {
            Long is = later.growing.get(key);
            if (is == null || is < was) {
                lines.add(key + ": was " + was + ", is " + is);
            }
        });
        return lines;
    }

    private void cluster() throws Exception {
        var cluster = visit.admin.describeCluster();
        same.put("cluster id", Visit.get(cluster.clusterId()));
        same.put("nodes", Visit.get(cluster.nodes()).toString());
        var features = Visit.get(visit.admin.describeFeatures().featureMetadata());
        same.put("metadata.version",
            String.valueOf(features.finalizedFeatures().get("metadata.version")));
    }

    private void topics() throws Exception {
        var names = Visit.get(
            visit.admin.listTopics(new ListTopicsOptions().listInternal(true)).names());
        try (Ask ask = new Ask(visit.bootstrap)) {
            var request = new MetadataRequestData().setAllowAutoTopicCreation(false);
            names.forEach(name -> request.topics().add(
                new MetadataRequestData.MetadataRequestTopic().setName(name)));
            var answer = (MetadataResponseData) ask.ask(ApiKeys.METADATA, (short) 12, request);
            for (var topic : answer.topics()) {
                same.put("topic " + topic.name(), topic.topicId() + " partitions "
                    + topic.partitions().size() + " internal " + topic.isInternal() + " error "
                    + topic.errorCode());
                if (topic.isInternal()) {
                    internal.add(topic.name());
                }
                for (var partition : topic.partitions()) {
                    var where = new TopicPartition(topic.name(), partition.partitionIndex());
                    partitions.add(where);
                    same.put("replicas " + where, partition.replicaNodes() + " in sync "
                        + partition.isrNodes() + " leader " + partition.leaderId());
                    growing.put("leader epoch " + where, (long) partition.leaderEpoch());
                }
            }
        }
    }

    private void configs() throws Exception {
        List<ConfigResource> all = new ArrayList<>();
        try {
            all.addAll(Visit.get(visit.admin.listConfigResources().all()));
            all.removeIf(resource -> resource.type() == ConfigResource.Type.BROKER
                || resource.type() == ConfigResource.Type.BROKER_LOGGER);
        } catch (UnsupportedVersionException old) {
            same.keySet().stream().filter(key -> key.startsWith("topic ")).forEach(key ->
                all.add(new ConfigResource(ConfigResource.Type.TOPIC, key.substring(6))));
            all.add(new ConfigResource(ConfigResource.Type.CLIENT_METRICS, "metrics"));
            all.add(new ConfigResource(ConfigResource.Type.GROUP, "consumers"));
        }
        all.add(new ConfigResource(ConfigResource.Type.BROKER, "1"));
        all.add(new ConfigResource(ConfigResource.Type.BROKER, ""));
        Map<ConfigResource, Config> described;
        try {
            described = Visit.get(visit.admin.describeConfigs(all).all());
        } catch (InvalidRequestException older) {
            all.removeIf(resource -> resource.type() == ConfigResource.Type.GROUP);
            described = Visit.get(visit.admin.describeConfigs(all).all());
        }
        described.forEach((resource, config) -> {
            for (ConfigEntry entry : config.entries()) {
                if (entry.source() != ConfigSource.DEFAULT_CONFIG
                        && entry.source() != ConfigSource.STATIC_BROKER_CONFIG) {
                    same.put("config " + resource.type() + " '" + resource.name() + "' "
                        + entry.name(), entry.value() + " " + entry.source());
                }
            }
        });
        Visit.get(visit.admin.describeClientQuotas(ClientQuotaFilter.all()).entities()).forEach(
            (entity, quota) -> same.put("quota " + new TreeMap<>(entity.entries()),
                new TreeMap<>(quota).toString()));
        Visit.get(visit.admin.describeUserScramCredentials().all()).forEach(
            (user, scram) -> same.put("scram " + user, scram.credentialInfos().stream()
                .map(String::valueOf).sorted().toList().toString()));
    }

    private void groups() throws Exception {
        if (before != null) {
            // Those that are being loaded are not listed, and are waited for when named.
            Visit.patiently(
                () -> Visit.get(visit.admin.describeConsumerGroups(before.groups).all()));
        }
        for (GroupListing group : Visit.patiently(
                () -> Visit.get(visit.admin.listGroups().valid()))) {
            // Those of other types are only known to brokers that serve them.
            GroupType type = group.type().orElse(GroupType.UNKNOWN);
            if (type == GroupType.CLASSIC || type == GroupType.CONSUMER) {
                same.put("group " + group.groupId(), type + " " + group.protocol());
                groups.add(group.groupId());
            }
        }
        var described = Visit.patiently(
            () -> Visit.get(visit.admin.describeConsumerGroups(groups).all()));
        described.forEach((name, group) -> {
            same.put("group state " + name, group.groupState() + " assignor '"
                + group.partitionAssignor() + "' members " + group.members());
            group.groupEpoch().ifPresent(
                epoch -> growing.put("group epoch " + name, (long) epoch));
        });
        Map<String, ListConsumerGroupOffsetsSpec> specs = new HashMap<>();
        groups.forEach(name -> specs.put(name, new ListConsumerGroupOffsetsSpec()));
        Visit.patiently(() -> Visit.get(visit.admin.listConsumerGroupOffsets(specs).all())).forEach(
            (name, offsets) -> offsets.forEach((where, offset) -> same.put(
                "commit " + name + " " + where, String.valueOf(offset))));
    }

    private void logDirs() throws Exception {
        Visit.get(visit.admin.describeLogDirs(List.of(1)).allDescriptions()).get(1).forEach(
            (path, dir) -> dir.replicaInfos().forEach((where, replica) -> {
                String size = internal.contains(where.topic()) ? "" : " bytes " + replica.size();
                String folder = Path.of(path).getFileName().toString();
                same.put("folder " + where, folder + size + " future " + replica.isFuture());
            }));
    }

    private void producers() throws Exception {
        List<TopicPartition> plain = new ArrayList<>(partitions);
        plain.removeIf(where -> internal.contains(where.topic()));
        Visit.get(visit.admin.describeProducers(plain).all()).forEach((where, state) -> {
            state.activeProducers().forEach(producer -> same.put("producer " + where + " "
                + producer.producerId(), producer.toString()));
        });
    }

    /** Asks for one offset of each partition. */
    private Map<TopicPartition, Long> offsets(String what, OffsetSpec spec, boolean committed)
            throws Exception {
        Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
        partitions.forEach(where -> specs.put(where, spec));
        var options = new ListOffsetsOptions(committed
            ? IsolationLevel.READ_COMMITTED : IsolationLevel.READ_UNCOMMITTED);
        Map<TopicPartition, Long> offsets = new HashMap<>();
        Visit.get(visit.admin.listOffsets(specs, options).all()).forEach((where, found) -> {
            offsets.put(where, found.offset());
            if (internal.contains(where.topic())) {
                growing.put(what + " " + where, found.offset());
            } else {
                // Those at the ends are of the leader's own epoch, not of a record's.
                String epoch = found.timestamp() < 0 ? "" : " of epoch "
                    + found.leaderEpoch().map(String::valueOf).orElse("none");
                same.put(what + " " + where, found.offset() + " at " + found.timestamp() + epoch);
            }
        });
        return offsets;
    }

    private void records(boolean committed, Map<TopicPartition, Long> starts,
            Map<TopicPartition, Long> ends) {
        String what = committed ? "committed records " : "records ";
        Map<TopicPartition, Map<Long, byte[]>> seen = new HashMap<>();
        Map<TopicPartition, MessageDigest> sums = new HashMap<>();
        List<TopicPartition> plain = new ArrayList<>(partitions);
        plain.removeIf(where -> internal.contains(where.topic()));
        for (TopicPartition where : plain) {
            seen.put(where, new HashMap<>());
            sums.put(where, Ledger.sha256());
        }
        read(committed, plain, starts, ends, record -> {
            var where = new TopicPartition(record.topic(), record.partition());
            byte[] digest = Ledger.digest(record);
            seen.get(where).put(record.offset(), digest);
            sum(sums.get(where), record, digest);
            record.leaderEpoch().ifPresent(
                epoch -> epochs.computeIfAbsent(where, w -> new TreeSet<>()).add(epoch));
        });
        for (TopicPartition where : plain) {
            same.put(what + where, seen.get(where).size() + " sha256 "
                + HexFormat.of().formatHex(sums.get(where).digest()));
            visit.ledger.check(where, starts.get(where), ends.get(where), committed,
                seen.get(where), problems);
        }
    }

    private static void sum(MessageDigest sum, ConsumerRecord<byte[], byte[]> record,
            byte[] digest) {
        sum.update(ByteBuffer.allocate(12).putLong(record.offset())
            .putInt(record.leaderEpoch().orElse(-1)).flip());
        sum.update(digest);
    }

    /** What was there of the internal topics the last time is there still. */
    private void internalPrefixes(Map<TopicPartition, Long> starts,
            Map<TopicPartition, Long> ends) {
        List<TopicPartition> own = new ArrayList<>(partitions);
        own.removeIf(where -> !internal.contains(where.topic()));
        Map<TopicPartition, MessageDigest> sums = new HashMap<>();
        Map<TopicPartition, String> sumsAtOldEnd = new HashMap<>();
        own.forEach(where -> sums.put(where, Ledger.sha256()));
        read(false, own, starts, ends, record -> {
            var where = new TopicPartition(record.topic(), record.partition());
            sum(sums.get(where), record, Ledger.digest(record));
            if (before != null && record.offset() < before.internalEnds.getOrDefault(where, 0L)) {
                sumsAtOldEnd.put(where, hex(sums.get(where)));
            }
        });
        for (TopicPartition where : own) {
            internalEnds.put(where, ends.get(where));
            internalSums.put(where, hex(sums.get(where)));
            String was = before == null ? null : before.internalSums.get(where);
            String is = sumsAtOldEnd.getOrDefault(where, hex(Ledger.sha256()));
            if (was != null && !was.equals(is)) {
                problems.add(where + " does not begin with what was in it");
            }
        }
    }

    private static String hex(MessageDigest digest) {
        try {
            return HexFormat.of().formatHex(((MessageDigest) digest.clone()).digest());
        } catch (CloneNotSupportedException error) {
            throw new IllegalStateException(error);
        }
    }

    private void epochEnds() throws Exception {
        TreeSet<Integer> all = new TreeSet<>();
        epochs.values().forEach(all::addAll);
        try (Ask ask = new Ask(visit.bootstrap)) {
            for (int epoch : all) {
                var request = new OffsetForLeaderEpochRequestData().setReplicaId(-2);
                epochs.forEach((where, own) -> {
                    if (own.contains(epoch)) {
                        var topic = request.topics().find(where.topic());
                        if (topic == null) {
                            topic = new OffsetForLeaderTopic().setTopic(where.topic());
                            request.topics().add(topic);
                        }
                        topic.partitions().add(new OffsetForLeaderPartition()
                            .setPartition(where.partition()).setLeaderEpoch(epoch));
                    }
                });
                var answer = (OffsetForLeaderEpochResponseData) ask.ask(
                    ApiKeys.OFFSET_FOR_LEADER_EPOCH, (short) 4, request);
                answer.topics().forEach(topic -> topic.partitions().forEach(end -> same.put(
                    "end of epoch " + epoch + " " + topic.topic() + "-" + end.partition(),
                    end.leaderEpoch() + " " + end.endOffset() + " error " + end.errorCode())));
            }
        }
    }

    private void read(boolean committed, Collection<TopicPartition> wanted,
            Map<TopicPartition, Long> starts, Map<TopicPartition, Long> ends,
            Consumer<ConsumerRecord<byte[], byte[]>> take) {
        Map<String, Object> config = visit.common();
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "none");
        config.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
        config.put("max.poll.records", 50_000);
        config.put("fetch.max.wait.ms", 20);
        config.put("exclude.internal.topics", false);
        long deadline = System.nanoTime() + READ_NS;
        TreeSet<TopicPartition> left = new TreeSet<>(partitions.comparator());
        left.addAll(wanted);
        left.removeIf(where -> starts.get(where) >= ends.get(where));
        try (var consumer = new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(left);
            left.forEach(where -> consumer.seek(where, starts.get(where)));
            while (!left.isEmpty()) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("cannot be read to their ends: " + left);
                }
                for (var record : consumer.poll(POLL)) {
                    var where = new TopicPartition(record.topic(), record.partition());
                    if (record.offset() < ends.get(where)) {
                        take.accept(record);
                    }
                }
                int size = left.size();
                left.removeIf(where -> consumer.position(where) >= ends.get(where));
                if (left.size() < size) {
                    consumer.assign(left);
                }
            }
        }
    }
}
