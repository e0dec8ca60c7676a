// Members of groups, one for each variant that is asked for, as ../README.md says.

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class GroupMember extends Thread {
    private static final Map<String, Class<?>> ASSIGNORS = Map.of(
        "range", RangeAssignor.class, "roundrobin", RoundRobinAssignor.class,
        "sticky", StickyAssignor.class, "cooperative-sticky", CooperativeStickyAssignor.class);

    private static volatile boolean stop;

    private final String name;
    private final String variant;
    private final Map<String, Object> config = new HashMap<>();
    /** What was handled and could not be committed yet, since there was a rebalance. */
    private final Map<TopicPartition, OffsetAndMetadata> pending = new HashMap<>();

    private GroupMember(String bootstrap, String name, String variant) {
        this.name = name;
        this.variant = variant;
        config.put("bootstrap.servers", bootstrap);
        config.put("reconnect.backoff.max.ms", 500);
        config.put("group.id", name);
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "earliest");
        config.put("fetch.max.wait.ms", 100);
        config.put("max.poll.interval.ms", 6000);
        if (variant.startsWith("consumer")) {
            config.put("group.protocol", "consumer");
            if (variant.equals("consumer-range")) {
                config.put("group.remote.assignor", "range");
            }
        } else {
            config.put("partition.assignment.strategy", ASSIGNORS.get(variant).getName());
            config.put("session.timeout.ms", 3000);
            config.put("heartbeat.interval.ms", 300);
        }
    }

    /** Runs all variants until a line comes on stdin. */
    static void run(String bootstrap, String prefix, List<String> variants)
            throws IOException, InterruptedException {
        List<GroupMember> members = new ArrayList<>();
        for (String variant : variants) {
            members.add(new GroupMember(bootstrap, prefix + "-" + variant, variant));
        }
        members.forEach(Thread::start);
        while (System.in.read() != '\n') {
            // The line asks to leave.
        }
        stop = true;
        for (GroupMember member : members) {
            member.join();
        }
        print("left");
    }

    @Override
    public void run() {
        try (var consumer = new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(name));
            String owned = null;
            while (!stop) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                String now = consumer.assignment().stream().map(TopicPartition::partition)
                    .sorted().map(String::valueOf).collect(Collectors.joining(","));
                if (!now.equals(owned)) {
                    say("assigned " + now);
                    owned = now;
                }
                handle(consumer, records);
            }
        } catch (RuntimeException error) {
            error.printStackTrace();
            say("failed " + error.toString().replace('\n', ' '));
        }
    }

    private void handle(KafkaConsumer<byte[], byte[]> consumer,
            ConsumerRecords<byte[], byte[]> records) {
        for (TopicPartition where : records.partitions()) {
            List<ConsumerRecord<byte[], byte[]>> list = records.records(where);
            long next = list.get(list.size() - 1).offset() + 1;
            say("handled " + where.partition() + " " + list.get(0).offset() + " " + next);
            pending.put(where, new OffsetAndMetadata(next));
        }
        // What was lost and came back begins at the commit again, and so does its handling.
        pending.keySet().retainAll(consumer.assignment());
        pending.entrySet().removeIf(
            entry -> consumer.position(entry.getKey()) != entry.getValue().offset());
        if (pending.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(pending, Duration.ofSeconds(5));
        } catch (CommitFailedException | RebalanceInProgressException
                | RetriableException error) {
            // A rebalance, or a broker that is not there: go on.
            System.err.println(variant + " commit: " + error);
            return;
        }
        pending.forEach((where, place) ->
            say("committed " + where.partition() + " " + place.offset()));
        pending.clear();
    }

    private void say(String text) {
        print(variant + " " + text);
    }

    private static synchronized void print(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
