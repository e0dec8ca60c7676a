// What Java's assignors make of random groups, a case a line. By hand, with a seed and a number of
// groups; 7 and 30 print client/src/consumer/group/assignor/java.txt, which a test there compares.

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
import org.apache.kafka.common.TopicPartition;

final class Assignors {
    private static final List<String> TOPICS = List.of("a", "b", "c-1", "c-10", "d");

    private final Random random;
    private final Map<String, Integer> counts = new TreeMap<>();
    private final Map<String, List<String>> wants = new TreeMap<>();
    private final Map<String, String> instances = new HashMap<>();

    public static void main(String[] args) {
        Random seeds = new Random(Long.parseLong(args[0]));
        for (int group = 0; group < Integer.parseInt(args[1]); group++) {
            for (String name : List.of("range", "roundrobin")) {
                new Assignors(seeds.nextLong()).assign(name, Map.of());
            }
            for (String name : List.of("sticky", "cooperative-sticky")) {
                Assignors one = new Assignors(seeds.nextLong());
                Map<String, List<TopicPartition>> had = one.assign(name, Map.of());
                one.change();
                one.assign(name, had);
            }
        }
    }

    private Assignors(long seed) {
        random = new Random(seed);
        List<String> same = random.nextInt(3) == 0 ? pick() : null;
        int members = 1 + random.nextInt(7);
        for (int member = 0; member < members; member++) {
            String id = "m" + (100 + random.nextInt(900)) + member;
            wants.put(id, same == null ? pick() : same);
            if (random.nextInt(4) == 0) {
                instances.put(id, "i" + random.nextInt(90) + member);
            }
        }
        for (String topic : TOPICS) {
            counts.put(topic, random.nextInt(9));
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
            counts.merge("a", 2, Integer::sum);
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
        Map<String, Integer> there = new TreeMap<>(counts);
        there.entrySet().removeIf(e -> !wanted.contains(e.getKey()) || e.getValue() == 0);
        Map<String, Subscription> subscriptions = new HashMap<>();
        wants.forEach((id, topics) -> subscriptions.put(id, subscription(name, id, had.get(id))));
        Map<String, List<TopicPartition>> assigned = assignor.assign(there, subscriptions);
        String line = name + " " + there.entrySet().stream()
            .map(topic -> topic.getKey() + ":" + topic.getValue()).collect(Collectors.joining(","));
        for (String id : wants.keySet()) {
            line += " " + String.join("/", id, instances.getOrDefault(id, ""),
                String.join(",", wants.get(id)), had.containsKey(id) ? text(had.get(id)) : "-",
                text(assigned.get(id)));
        }
        System.out.println(line);
        return assigned;
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
            topics, data, keeps ? had : List.of(), keeps ? 1 : -1, Optional.empty());
        subscription.setGroupInstanceId(Optional.ofNullable(instances.get(id)));
        return subscription;
    }

    private static String text(List<TopicPartition> partitions) {
        return partitions.stream().map(one -> one.topic() + ":" + one.partition())
            .collect(Collectors.joining(","));
    }
}
