// Transactions of Apache Kafka: committed, aborted, side by side, and one that stays open.

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

final class Transactions {
    private static final List<String> TOPICS = List.of("transactions", "codec_lz4");

    private final Visit visit;

    Transactions(Visit visit) {
        this.visit = visit;
    }

    /** Writes some that end and one, in the topic `open`, that does not. */
    void write() throws Exception {
        ended();
        leaveOpen();
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

    private void leaveOpen() throws Exception {
        var open = visit.producer("none", "left-open");
        open.beginTransaction();
        Ledger.Transaction transaction = new Ledger.Transaction(Ledger.Fate.OPEN);
        for (int n = 0; n < 30; n++) {
            visit.send(open, visit.any("open", n % 2, n), transaction);
        }
        open.sendOffsetsToTransaction(
            Map.of(new TopicPartition("many", 3), new OffsetAndMetadata(9, "pending")),
            group());
        visit.flush();
        // Behind it, not in it.
        visit.fill("open", 2, 20, "none");
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

    /** Ends the open one, as the next producer of that name does. */
    void end() {
        visit.producer("none", "left-open");
        visit.ledger.end(Ledger.Fate.ABORTED);
    }
}
