// Groups that only Apache Kafka serves: one that shares records (KIP-932) and a streams group
// (KIP-1071). Their state has to be there when Kafka comes back.

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData.Subtopology;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData.Topology;
import org.apache.kafka.common.message.StreamsGroupHeartbeatResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class NewGroups {
    private static final String SHARE = "sharers";
    private static final String STREAMS = "streamers";
    private static final String TOPIC = "many";
    /** In each turn as many are done with at least, while there are any. */
    private static final int WANTED = 20;
    private static final long PATIENCE_NS = 30_000_000_000L;

    private final Visit visit;

    NewGroups(Visit visit) {
        this.visit = visit;
    }

    /** Makes both. */
    void write() throws Exception {
        Rich.set(visit, ConfigResource.Type.GROUP, SHARE, "share.auto.offset.reset", "earliest");
        List<String> problems = share();
        if (!problems.isEmpty()) {
            throw new IllegalStateException(problems.toString());
        }
        Visit.until("streams group", this::joinAndLeave);
    }

    /** Goes on with both, if there are any; tells what is not as it was left. */
    List<String> goOn() throws Exception {
        if (visit.ledger.shared.isEmpty()) {
            return List.of();
        }
        List<String> problems = share();
        List<GroupListing> listed = List.copyOf(
            Visit.patiently(() -> Visit.get(visit.admin.listGroups().valid())));
        for (var wanted : Map.of(SHARE, GroupType.SHARE, STREAMS, GroupType.STREAMS).entrySet()) {
            if (listed.stream().noneMatch(group -> group.groupId().equals(wanted.getKey())
                    && group.type().orElse(null) == wanted.getValue())) {
                problems.add("no group " + wanted + " in " + listed);
            }
        }
        return problems;
    }

    /** Takes some records. Every third is given back and may come again; the others must not. */
    private List<String> share() {
        List<String> problems = new ArrayList<>();
        Map<String, Object> config = visit.common();
        config.put("group.id", SHARE);
        config.put("share.acknowledgement.mode", "explicit");
        config.put("max.poll.records", WANTED);
        long deadline = System.nanoTime() + PATIENCE_NS;
        int done = 0;
        try (var consumer = new KafkaShareConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(TOPIC));
            while (done < WANTED) {
                if (System.nanoTime() > deadline) {
                    problems.add("the share group gets " + done + " records");
                    return problems;
                }
                List<String> taken = new ArrayList<>();
                int n = 0;
                var polled = consumer.poll(Duration.ofMillis(300));
                for (ConsumerRecord<byte[], byte[]> record : polled) {
                    String where = record.partition() + " " + record.offset();
                    if (visit.ledger.shared.contains(where)) {
                        problems.add("the share group gets again " + TOPIC + " " + where);
                    }
                    boolean back = n++ % 3 == 2;
                    consumer.acknowledge(
                        record, back ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
                    if (!back) {
                        taken.add(where);
                    }
                }
                consumer.commitSync().forEach((where, error) -> error.ifPresent(
                    why -> problems.add("the share group cannot commit " + where + ": " + why)));
                visit.ledger.shared.addAll(taken);
                done += taken.size();
            }
        }
        return problems;
    }

    /** A member of the streams group comes and goes; what it was told stays. */
    private boolean joinAndLeave() throws Exception {
        String member = Uuid.randomUuid().toString();
        var join = new StreamsGroupHeartbeatRequestData().setGroupId(STREAMS).setMemberId(member)
            .setMemberEpoch(0).setRebalanceTimeoutMs(10_000).setProcessId(member)
            .setActiveTasks(List.of()).setStandbyTasks(List.of()).setWarmupTasks(List.of())
            .setClientTags(List.of())
            .setTopology(new Topology().setEpoch(0).setSubtopologies(List.of(
                new Subtopology().setSubtopologyId("0").setSourceTopics(List.of(TOPIC)))));
        var leave = new StreamsGroupHeartbeatRequestData().setGroupId(STREAMS).setMemberId(member)
            .setMemberEpoch(-1);
        try (Ask ask = new Ask(visit.bootstrap)) {
            for (var request : List.of(join, leave)) {
                var answer = (StreamsGroupHeartbeatResponseData) ask.ask(
                    ApiKeys.STREAMS_GROUP_HEARTBEAT, (short) 0, request);
                Errors error = Errors.forCode(answer.errorCode());
                if (error == Errors.COORDINATOR_LOAD_IN_PROGRESS
                        || error == Errors.NOT_COORDINATOR) {
                    return false;
                }
                if (error != Errors.NONE) {
                    throw new IllegalStateException(error + " " + answer.errorMessage());
                }
            }
        }
        return true;
    }
}
