// Writes to one directory through one broker after the other, and tells whether all is still there.
//
//     Hops
//
// Commands come on stdin. What is wrong comes as lines, then `done` or `failed WHY`.
//
//     rich BOOTSTRAP RECORDS     fills a new directory of either broker; with `consumer-groups`
//                                behind it, without these
//     transactions BOOTSTRAP     transactions, of which two stay open
//     end BOOTSTRAP ID           ends that one of these
//     leave-waiting BOOTSTRAP    a transaction whose producer stays
//     commit-waiting BOOTSTRAP   commits it
//     leave-expiring BOOTSTRAP   a transaction that Kafka ends after a minute
//     expired BOOTSTRAP          waits until it has
//     new-groups BOOTSTRAP       share groups and streams groups
//     new-groups-go-on BOOTSTRAP these go on, if there are any
//     visit BOOTSTRAP NAME       a bit of everything, with new things named after NAME
//     ended BOOTSTRAP            transactions that end
//     remember BOOTSTRAP         keeps all that can be seen
//     compare BOOTSTRAP [all]    tells what is not as it was remembered, the first of it or all
//     spoil BOOTSTRAP WHAT       changes something that is remembered
//     count                      tells how many records were acknowledged
//     use CHAIN                  from now on it is about this directory
//     copy CHAIN                 this directory is a copy of that one

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

public final class Hops {
    private static final int SHOWN_MAX = 12;

    /** What is known of a directory. */
    private static final class Chain {
        private Ledger ledger = new Ledger();
        private Snapshot snapshot;
        private int visits;
    }

    private final Map<String, Chain> chains = new HashMap<>();
    private Chain chain;

    private Hops() {
    }

    public static void main(String[] args) throws Exception {
        Hops hops = new Hops();
        var stdin = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
            long start = System.nanoTime();
            try {
                hops.run(line.split(" "));
                System.err.printf("%s: %d ms%n", line, (System.nanoTime() - start) / 1_000_000);
                System.out.println("done");
            } catch (Exception error) {
                error.printStackTrace();
                System.out.println("failed " + line + ": " + error.toString().replace('\n', ' '));
            }
            System.out.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private void run(String[] words) throws Exception {
        switch (words[0]) {
            case "use" -> chain = chains.computeIfAbsent(words[1], name -> new Chain());
            case "copy" -> {
                Chain other = chains.get(words[1]);
                chain.ledger = other.ledger.copy();
                chain.snapshot = other.snapshot;
                chain.visits = other.visits;
            }
            case "count" -> System.out.println(chain.ledger.count() + " records");
            default -> {
                try (Visit visit = new Visit(words[1], chain.ledger, ++chain.visits)) {
                    run(visit, words);
                }
            }
        }
    }

    private void run(Visit visit, String[] words) throws Exception {
        switch (words[0]) {
            case "rich" -> {
                boolean consumers = !List.of(words).contains("consumer-groups");
                new Rich(visit, Integer.parseInt(words[2]), consumers).write();
            }
            case "transactions" -> new Transactions(visit).write();
            case "ended" -> new Transactions(visit).ended();
            case "end" -> new Transactions(visit).end(words[2]);
            case "leave-waiting" -> new Transactions(visit).leaveWaiting();
            case "commit-waiting" -> new Transactions(visit).commitWaiting();
            case "leave-expiring" -> new Transactions(visit).leaveExpiring();
            case "expired" -> new Transactions(visit).expired();
            case "spoil" -> spoil(visit, words[2]);
            case "new-groups" -> new NewGroups(visit).write();
            case "new-groups-go-on" -> say(new NewGroups(visit).goOn());
            case "visit" -> visit(visit, words[2]);
            case "remember" -> {
                chain.snapshot = Snapshot.take(visit, null);
                say(chain.snapshot.problems);
            }
            case "compare" -> {
                Snapshot now = Snapshot.take(visit, chain.snapshot);
                int shown = words.length > 2 ? Integer.MAX_VALUE : SHOWN_MAX;
                say(now.problems, shown);
                say(chain.snapshot.differencesTo(now), shown);
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private static void visit(Visit visit, String name) throws Exception {
        String topic = "of-" + name;
        visit.create(topic, 2, "retention.ms", "-1");
        for (String codec : Visit.CODECS) {
            visit.fill("codec_" + codec, 3, 300, codec);
            visit.fill(topic, 2, 100, codec);
            visit.fill("broker-time", 2, 20, codec);
        }
        visit.fill("open", 2, 10, "none");
        visit.fill("small-segments", 1, 300, "none");
        Rich.grow(visit, topic, 4);
        Rich.shorten(visit, topic, 11);
        Rich.shorten(visit, "codec_gzip", 5L * name.length());
        Rich.clean(visit, "compacted", 5);
        Rich.commit(visit, "by-hand", Map.of(
            new TopicPartition("codec_none", 0), new OffsetAndMetadata(20, "by " + name),
            new TopicPartition(topic, 0), new OffsetAndMetadata(12, "")));
        Rich.commit(visit, "group-of-" + name, Map.of(
            new TopicPartition("codec_zstd", 2), new OffsetAndMetadata(1, name)));
        Rich.set(visit, ConfigResource.Type.TOPIC, "empty", "retention.ms", "1" + name.length());
        Rich.set(visit, ConfigResource.Type.BROKER, "", "max.connections", "500" + name.length());
        Rich.quota(visit, Map.of("client-id", name), "producer_byte_rate", 1e7);
        // So late that its folders are still there when the broker ends.
        visit.create("gone-" + name, 2);
        visit.fill("gone-" + name, 2, 20, "none");
        Rich.delete(visit, "gone-" + name);
    }

    /** What the lane has to find; the ledger is told nothing. */
    private static void spoil(Visit visit, String what) throws Exception {
        switch (what) {
            case "config" ->
                Rich.set(visit, ConfigResource.Type.TOPIC, "empty", "retention.ms", "987654321");
            case "quota" ->
                Rich.quota(visit, Map.of("client-id", "slow"), "producer_byte_rate", 1e6 + 1);
            case "commit" -> Rich.commit(visit, "by-hand", Map.of(
                new TopicPartition("codec_none", 0), new OffsetAndMetadata(13, "a note")));
            case "start" -> Rich.shorten(visit, "codec_none", 1);
            case "record" -> visit.producer("none", null).send(
                new ProducerRecord<>("empty", 0, null, Visit.bytes("nobody's"))).get();
            case "partitions" -> Visit.get(visit.admin.createPartitions(
                Map.of("empty", NewPartitions.increaseTo(5))).all());
            case "topic" -> {
                Visit.get(visit.admin.deleteTopics(List.of("ends.with-0")).all());
                Visit.until("end of the topic", () ->
                    !Visit.get(visit.admin.listTopics().names()).contains("ends.with-0"));
                visit.create("ends.with-0", 1);
            }
            default -> throw new IllegalArgumentException(what);
        }
    }

    private static void say(List<String> lines) {
        say(lines, SHOWN_MAX);
    }

    private static void say(List<String> lines, int shown) {
        lines.stream().limit(shown).forEach(System.out::println);
        if (lines.size() > shown) {
            System.out.println("and " + (lines.size() - shown) + " more");
        }
    }
}
