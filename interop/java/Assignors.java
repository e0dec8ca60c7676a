// What Java's assignors make of random groups, a case a line. By hand, with a seed and a number of
// groups; 7 and 20 print client/src/consumer/group/assignor/java.txt, which a test there compares.

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.AbstractPartitionAssignor;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

final class Assignors {
    private static final List<String> TOPICS = List.of("a", "b", "c-1", "c-10", "d");

    private final Random random;
    private final boolean inRacks;
    /** Of all topics, or 0 when they differ. */
    private final int sizes;
    /** The racks of each partition. */
    private final Map<String, List<String>> topics = new TreeMap<>();
    private final Map<String, String> racks = new HashMap<>();
    private final Map<String, List<String>> wants = new TreeMap<>();
    private final Map<String, String> instances = new HashMap<>();

    public static void main(String[] args) {
        Random seeds = new Random(Long.parseLong(args[0]));
        for (int group = 0; group < Integer.parseInt(args[1]); group++) {
            for (boolean inRacks : List.of(false, true)) {
                for (String name : List.of("range", "roundrobin")) {
                    new Assignors(seeds.nextLong(), inRacks).assign(name, Map.of());
                }
                for (String name : List.of("sticky", "cooperative-sticky")) {
                    Assignors one = new Assignors(seeds.nextLong(), inRacks);
                    Map<String, List<TopicPartition>> had = one.assign(name, Map.of());
                    one.change();
                    one.assign(name, had);
                }
            }
        }
    }

    private Assignors(long seed, boolean inRacks) {
        random = new Random(seed);
        this.inRacks = inRacks;
        sizes = random.nextInt(3) == 0 ? 1 + random.nextInt(8) : 0;
        List<String> same = random.nextInt(3) == 0 ? pick() : null;
        int members = 1 + random.nextInt(7);
        for (int member = 0; member < members; member++) {
            String id = "m" + (100 + random.nextInt(900)) + member;
            wants.put(id, same == null ? pick() : same);
            if (random.nextInt(4) == 0) {
                instances.put(id, "i" + random.nextInt(90) + member);
            }
            if (inRacks) {
                racks.put(id, List.of("x", "y", "z", "").get(random.nextInt(4)));
            }
        }
        for (String topic : TOPICS) {
            topics.put(topic, new ArrayList<>());
            grow(topic, sizes > 0 ? sizes : random.nextInt(9));
        }
    }

    private void grow(String topic, int count) {
        for (int partition = 0; partition < count; partition++) {
            int drawn = inRacks ? random.nextInt(20) : 0;
            topics.get(topic).add(drawn == 0 ? "" : List.of("x", "y", "z", "xy", "xz", "yz", "xyz")
                .get(drawn % 7));
        }
    }

    private List<String> pick() {
        List<String> picked = TOPICS.stream().filter(topic -> random.nextBoolean()).toList();
        return picked.isEmpty() ? List.of("a") : picked;
    }

    /** Somebody leaves, somebody comes, a topic grows. */
    private void change() {
        List<String> ids = new ArrayList<>(wants.keySet());
        if (ids.size() > 1 && random.nextBoolean()) {
            wants.remove(ids.get(random.nextInt(ids.size())));
        }
        if (random.nextBoolean()) {
            List<String> topics = wants.getOrDefault(ids.get(0), TOPICS);
            wants.put("n" + random.nextInt(1000), random.nextBoolean() ? topics : pick());
        }
        if (random.nextInt(3) == 0) {
            grow("a", 2);
        }
    }

    private Map<String, List<TopicPartition>> assign(
            String name, Map<String, List<TopicPartition>> had) {
        AbstractPartitionAssignor assignor = switch (name) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            default -> new CooperativeStickyAssignor();
        };
        // As its caller gives them: those that somebody wants and that exist.
        Set<String> wanted =
            wants.values().stream().flatMap(List::stream).collect(Collectors.toSet());
        Map<String, List<String>> there = new TreeMap<>(topics);
        there.entrySet().removeIf(e -> !wanted.contains(e.getKey()) || e.getValue().isEmpty());
        Map<String, Subscription> subscriptions = new HashMap<>();
        wants.forEach((id, topics) -> subscriptions.put(id, subscription(name, id, had.get(id))));
        Map<String, List<PartitionInfo>> partitions = new HashMap<>();
        there.forEach((topic, of) -> partitions.put(topic, partitions(topic, of)));
        Map<String, List<TopicPartition>> assigned =
            assignor.assignPartitions(partitions, subscriptions);
        String line = name + " " + there.entrySet().stream()
            .map(topic -> topic.getKey() + ":" + String.join(".", topic.getValue()))
            .collect(Collectors.joining(","));
        for (String id : wants.keySet()) {
            line += " " + String.join("/", id, instances.getOrDefault(id, ""),
                racks.getOrDefault(id, ""), String.join(",", wants.get(id)),
                had.containsKey(id) ? text(had.get(id)) : "-",
                text(assigned.get(id)));
        }
        System.out.println(line);
        return assigned;
    }

    private static List<PartitionInfo> partitions(String topic, List<String> racks) {
        List<PartitionInfo> partitions = new ArrayList<>();
        for (String of : racks) {
            Node[] replicas = of.chars()
                .mapToObj(rack -> new Node(rack, "h", 1, Character.toString(rack)))
                .toArray(Node[]::new);
            partitions.add(new PartitionInfo(topic, partitions.size(), null, replicas, replicas));
        }
        return partitions;
    }

    @SuppressWarnings("removal")
    private Subscription subscription(String name, String id, List<TopicPartition> had) {
        List<String> topics = wants.get(id);
        ByteBuffer data = null;
        if (had != null && name.equals("sticky")) {
            StickyAssignor assignor = new StickyAssignor();
            assignor.onAssignment(
                new Assignment(had), new ConsumerGroupMetadata("g", 1, id, Optional.empty()));
            data = assignor.subscriptionUserData(new HashSet<>(topics));
        }
        boolean keeps = had != null && name.equals("cooperative-sticky");
        Subscription subscription = new Subscription(
            topics, data, keeps ? had : List.of(), keeps ? 1 : -1,
            Optional.ofNullable(racks.get(id)));
        subscription.setGroupInstanceId(Optional.ofNullable(instances.get(id)));
        return subscription;
    }

    private static String text(List<TopicPartition> partitions) {
        return partitions.stream().map(one -> one.topic() + ":" + one.partition())
            .collect(Collectors.joining(","));
    }
}
