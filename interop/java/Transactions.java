// Transactions of Apache Kafka: committed, aborted, side by side, and some that stay open.

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

final class Transactions {
    private static final List<String> TOPICS = List.of("transactions", "codec_lz4");

    /** Topics in which a transaction stays open; its transactional id is the same word. */
    static final List<String> OPEN = List.of("open-briefly", "open");

    /** So long that it is open still under the next broker. */
    private static final int EXPIRING_MS = 50_000;

    private static KafkaProducer<byte[], byte[]> waiting;

    private final Visit visit;

    Transactions(Visit visit) {
        this.visit = visit;
    }

    /** Writes some that end, and those that do not. */
    void write() throws Exception {
        ended();
        for (String id : OPEN) {
            leaveOpen(id);
        }
    }

    /** Writes some that end. */
    void ended() throws Exception {
        if (!Visit.get(visit.admin.listTopics().names()).contains("transactions")) {
            visit.create("transactions", 2, "segment.ms", "5000");
        }
        for (int n = 0; n < 6; n++) {
            sideBySide(n);
        }
    }

    /** Leaves one open whose producer goes on living. */
    void leaveWaiting() throws Exception {
        waiting = leave("waiting", Visit.OPEN_MS);
    }

    /** Commits that one, by the same producer. */
    void commitWaiting() throws Exception {
        waiting.commitTransaction();
        waiting.close();
        ended("waiting", Ledger.Fate.COMMITTED);
    }

    /** Leaves one open that Kafka ends after a minute. */
    void leaveExpiring() throws Exception {
        // Not closed, which would abort it; the process ends soon enough.
        leave("expiring", EXPIRING_MS);
    }

    /** Waits until Kafka has ended that one. */
    void expired() throws Exception {
        ended("expiring", Ledger.Fate.ABORTED);
    }

    private KafkaProducer<byte[], byte[]> leave(String id, int openMs) throws Exception {
        visit.create(id, 2);
        visit.fill(id, 2, 20, "none");
        var open = visit.newProducer("none", id, openMs);
        open.beginTransaction();
        Ledger.Transaction transaction = new Ledger.Transaction(Ledger.Fate.OPEN);
        for (int n = 0; n < 30; n++) {
            visit.send(open, visit.any(id, n % 2, n), transaction);
        }
        open.flush();
        visit.fill(id, 2, 20, "none");
        return open;
    }

    private void leaveOpen(String id) throws Exception {
        var open = visit.producer("none", id);
        open.beginTransaction();
        Ledger.Transaction transaction = new Ledger.Transaction(Ledger.Fate.OPEN);
        for (int n = 0; n < 30; n++) {
            visit.send(open, visit.any(id, n % 2, n), transaction);
        }
        open.sendOffsetsToTransaction(
            Map.of(new TopicPartition("many", 6 + OPEN.indexOf(id)),
                new OffsetAndMetadata(9, "pending")),
            group());
        visit.flush();
        // Behind it, not in it.
        visit.fill(id, 2, 20, "none");
    }

    /** Two producers at the same time; every third transaction of either is aborted. */
    private void sideBySide(int round) throws Exception {
        List<KafkaProducer<byte[], byte[]>> producers =
            List.of(visit.producer("lz4", "one"), visit.producer("none", "other"));
        List<Ledger.Transaction> ends = List.of(
            new Ledger.Transaction(Ledger.Fate.OPEN), new Ledger.Transaction(Ledger.Fate.OPEN));
        producers.forEach(KafkaProducer::beginTransaction);
        for (int n = 0; n < 60; n++) {
            int who = n / 10 % 2;
            ProducerRecord<byte[], byte[]> record =
                visit.any(TOPICS.get(n % 3 == 0 ? 1 : 0), n % 2, round * 600 + n);
            visit.send(producers.get(who), record, ends.get(who));
        }
        visit.flush();
        for (int who = 0; who < 2; who++) {
            boolean commit = (round + who) % 3 != 0;
            producers.get(who).sendOffsetsToTransaction(
                Map.of(new TopicPartition("many", 4 + who), new OffsetAndMetadata(round, "sent")),
                group());
            if (commit) {
                producers.get(who).commitTransaction();
            } else {
                producers.get(who).abortTransaction();
            }
            ends.get(who).fate = commit ? Ledger.Fate.COMMITTED : Ledger.Fate.ABORTED;
        }
    }

    @SuppressWarnings("removal")
    private static ConsumerGroupMetadata group() {
        return new ConsumerGroupMetadata("by-hand");
    }

    /** Ends an open one, as the next producer of that name does: what it wrote is aborted, and
     * those who read what is committed see the records behind it. */
    void end(String id) throws Exception {
        visit.producer("none", id);
        ended(id, Ledger.Fate.ABORTED);
    }

    private void ended(String id, Ledger.Fate fate) throws Exception {
        visit.ledger.end(id, fate);
        Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
        for (int n = 0; n < 2; n++) {
            specs.put(new TopicPartition(id, n), OffsetSpec.latest());
        }
        Visit.until("end of the transaction in " + id, () -> offsets(specs,
            IsolationLevel.READ_COMMITTED).equals(offsets(specs, IsolationLevel.READ_UNCOMMITTED)));
    }

    private Map<TopicPartition, Long> offsets(Map<TopicPartition, OffsetSpec> specs,
            IsolationLevel isolation) throws Exception {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        Visit.get(visit.admin.listOffsets(specs, new ListOffsetsOptions(isolation)).all())
            .forEach((where, found) -> offsets.put(where, found.offset()));
        return offsets;
    }
}
