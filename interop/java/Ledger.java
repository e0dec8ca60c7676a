// What was acknowledged: each record of each partition by its hash, and what became of it.

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;

final class Ledger {
    /** A transaction's end, shared by its records. What is in no transaction is committed. */
    enum Fate { COMMITTED, ABORTED, OPEN }

    /** Something that ends its records together. */
    static final class Transaction {
        Fate fate;

        Transaction(Fate fate) {
            this.fate = fate;
        }
    }

    private record Entry(byte[] digest, ByteBuffer key, Transaction transaction) {
    }

    private static final int SHOWN_MAX = 3;

    private final Map<TopicPartition, TreeMap<Long, Entry>> partitions = new HashMap<>();
    /** Topics that keep each key's last record at least, not all of them. */
    private final TreeSet<String> compacted = new TreeSet<>();
    /** Topics whose records have the broker's time. */
    private final TreeSet<String> appendTime = new TreeSet<>();
    /** Records that a share group has done with, as partition and offset. */
    final TreeSet<String> shared = new TreeSet<>();

    /** A copy that goes its own way. */
    Ledger copy() {
        Ledger copy = new Ledger();
        Map<Transaction, Transaction> ends = new IdentityHashMap<>();
        partitions.forEach((where, entries) -> {
            TreeMap<Long, Entry> others = new TreeMap<>();
            entries.forEach((offset, entry) -> others.put(offset, new Entry(entry.digest,
                entry.key, ends.computeIfAbsent(entry.transaction,
                    end -> new Transaction(end.fate)))));
            copy.partitions.put(where, others);
        });
        copy.compacted.addAll(compacted);
        copy.appendTime.addAll(appendTime);
        copy.shared.addAll(shared);
        return copy;
    }

    /** How many records are known. */
    synchronized long count() {
        return partitions.values().stream().mapToLong(TreeMap::size).sum();
    }

    void isCompacted(String topic) {
        compacted.add(topic);
    }

    void hasAppendTime(String topic) {
        appendTime.add(topic);
    }

    /** Ends every transaction that is open in a topic. */
    synchronized void end(String topic, Fate fate) {
        partitions.forEach((where, entries) -> entries.values().stream()
            .filter(entry -> where.topic().equals(topic) && entry.transaction.fate == Fate.OPEN)
            .forEach(entry -> entry.transaction.fate = fate));
    }

    /** Notes an acknowledged record; callbacks of several producers come at the same time. */
    synchronized void sent(ProducerRecord<byte[], byte[]> record, RecordMetadata metadata,
            Transaction transaction) {
        TopicPartition where = new TopicPartition(metadata.topic(), metadata.partition());
        TimestampType type = appendTime.contains(metadata.topic())
            ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME;
        byte[] digest = digest(metadata.timestamp(), type, record.key(), record.value(),
            record.headers());
        ByteBuffer key = record.key() == null || !compacted.contains(metadata.topic())
            ? null : ByteBuffer.wrap(record.key());
        Entry before = partitions.computeIfAbsent(where, w -> new TreeMap<>())
            .put(metadata.offset(), new Entry(digest, key, transaction));
        if (before != null) {
            throw new IllegalStateException("acknowledged twice: " + metadata);
        }
    }

    synchronized void deleted(String topic) {
        partitions.keySet().removeIf(where -> where.topic().equals(topic));
    }

    /** What is wrong with the records that were read of a partition from `start` to `end`. */
    synchronized void check(TopicPartition where, long start, long end, boolean committed,
            Map<Long, byte[]> seen, List<String> problems) {
        TreeMap<Long, Entry> entries = partitions.getOrDefault(where, new TreeMap<>());
        boolean lossy = compacted.contains(where.topic());
        Map<ByteBuffer, Long> last = new HashMap<>();
        entries.forEach((offset, entry) -> last.put(entry.key, offset));
        int wrong = 0;
        // What is not committed reaches to the log's end; what was acknowledged behind is lost.
        long bound = committed ? Math.max(start, end) : Long.MAX_VALUE;
        for (var one : entries.subMap(start, bound).entrySet()) {
            Entry entry = one.getValue();
            byte[] digest = seen.remove(one.getKey());
            boolean wanted = !committed || entry.transaction.fate == Fate.COMMITTED;
            boolean droppable = lossy && last.get(entry.key) > one.getKey();
            String problem = null;
            if (digest == null) {
                problem = wanted && !droppable ? "is lost" : null;
            } else if (!wanted) {
                problem = "is " + entry.transaction.fate + " and was read";
            } else if (!Arrays.equals(digest, entry.digest)) {
                problem = "is another record";
            }
            if (problem != null && wrong++ < SHOWN_MAX) {
                problems.add(where + " offset " + one.getKey() + " " + problem);
            }
        }
        if (!seen.isEmpty()) {
            problems.add(where + " has records that nobody wrote: " + new TreeSet<>(seen.keySet()));
        }
        if (wrong > SHOWN_MAX) {
            problems.add(where + " has " + wrong + " such offsets");
        }
    }

    static byte[] digest(ConsumerRecord<byte[], byte[]> record) {
        return digest(record.timestamp(), record.timestampType(), record.key(), record.value(),
            record.headers());
    }

    /** SHA-256 of everything but the offset, with lengths, so that nothing runs together. */
    private static byte[] digest(long timestamp, TimestampType type, byte[] key, byte[] value,
            Iterable<Header> headers) {
        MessageDigest sha = sha256();
        sha.update(ByteBuffer.allocate(12).putLong(timestamp).putInt(type.id).flip());
        update(sha, key);
        update(sha, value);
        for (Header header : headers) {
            update(sha, header.key().getBytes(StandardCharsets.UTF_8));
            update(sha, header.value());
        }
        return sha.digest();
    }

    private static void update(MessageDigest sha, byte[] bytes) {
        sha.update(ByteBuffer.allocate(4).putInt(bytes == null ? -1 : bytes.length).flip());
        if (bytes != null) {
            sha.update(bytes);
        }
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }
}
