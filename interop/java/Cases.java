// The cases of ../README.md for the Java client, and the contract's command line.

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

public final class Cases {
    private static final long BASE_MS = 1_600_000_000_000L;
    /** For a transaction to be refused. */
    private static final long SOON_NS = 20_000_000_000L;

    private final JavaClient client;
    private final String prefix;

    private Cases(JavaClient client, String prefix) {
        this.client = client;
        this.prefix = prefix;
    }

    public static void main(String[] args) throws Exception {
        if (args[1].equals("member")) {
            List<String> variants = List.of(args).subList(3, args.length);
            GroupMember.run(args[0], args[2], variants);
            Runtime.getRuntime().halt(0);
        }
        if (args[1].equals("relay")) {
            Relay.run(args[0]);
            Runtime.getRuntime().halt(0);
        }
        JavaClient client = new JavaClient(args[0]);
        switch (args[1]) {
            case "send" -> System.out.println("sent " + send(client, args[2], args[3], args[4]));
            case "receive" -> System.out.println(
                "sha256 " + receive(client, args[2], Integer.parseInt(args[3])));
            default -> {
                Cases cases = new Cases(client, args[2]);
                for (String name : Arrays.copyOfRange(args, 3, args.length)) {
                    report(name, () -> cases.run(name));
                }
            }
        }
        System.out.flush();
        // Closing waits for requests that no case needs.
        Runtime.getRuntime().halt(0);
    }

    interface Body {
        void run() throws Exception;
    }

    static void report(String name, Body body) {
        String line;
        try {
            body.run();
            line = "ok " + name;
        } catch (Throwable error) {
            error.printStackTrace();
            line = "FAIL " + name + ": " + error.toString().replace('\n', ' ');
        }
        System.out.println(line);
        System.out.flush();
    }

    private void run(String name) throws Exception {
        switch (name) {
            case "create" -> create();
            case "auto-create" -> autoCreate();
            case "keys" -> keys();
            case "nulls" -> nulls();
            case "headers" -> headers();
            case "timestamps" -> timestamps();
            case "large" -> large();
            case "too-large" -> tooLarge();
            case "seek-offset" -> seekOffset();
            case "seek-time" -> seekTime();
            case "idempotent" -> idempotent();
            case "transactional" -> transactional();
            case "list-offsets" -> listOffsets();
            case "delete" -> delete();
            case "reconnect" -> reconnect();
            default -> codec(name.substring("codec-".length()));
        }
    }

    private String topic(String name) throws Exception {
        String topic = prefix + "-" + name;
        client.create(topic, 1);
        return topic;
    }

    private void create() throws Exception {
        String topic = prefix + "-create";
        client.create(topic, 3);
        eventually("partitions", () -> client.partitions(topic) == 3);
        expectRefusal("TOPIC_ALREADY_EXISTS", () -> client.create(topic, 3));
    }

    private void autoCreate() throws Exception {
        String topic = prefix + "-auto-create";
        client.send(topic, List.of(record(topic, null, bytes("first"))), "none", false);
        expect("value", "first", text(client.read(topic, 0, 0, 1).get(0).value()));
    }

    private void codec(String codec) throws Exception {
        String topic = topic("codec-" + codec);
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int n = 0; n < 300; n++) {
            records.add(record(topic, bytes("k" + n), payload(n)));
        }
        client.send(topic, records, codec, false);
        expectSame(records, client.read(topic, 0, 0, 300));
    }

    private void keys() throws Exception {
        String topic = prefix + "-keys";
        client.create(topic, 3);
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int n = 0; n < 70; n++) {
            records.add(record(topic, bytes("key" + n % 7), bytes("" + n)));
        }
        client.send(topic, records, "none", false);
        Map<String, List<String>> seen = new HashMap<>();
        for (int partition = 0; partition < 3; partition++) {
            long[] ends = client.ends(topic, partition);
            Map<String, List<String>> here = new HashMap<>();
            for (var r : client.read(topic, partition, ends[0], (int) (ends[1] - ends[0]))) {
                here.computeIfAbsent(text(r.key()), key -> new ArrayList<>()).add(text(r.value()));
            }
            for (var entry : here.entrySet()) {
                expect("key in one partition", null, seen.put(entry.getKey(), entry.getValue()));
            }
        }
        for (int n = 0; n < 7; n++) {
            List<String> wanted = new ArrayList<>();
            for (int m = n; m < 70; m += 7) {
                wanted.add("" + m);
            }
            expect("values of a key", wanted, seen.get("key" + n));
        }
    }

    private void nulls() throws Exception {
        String topic = topic("nulls");
        List<ProducerRecord<byte[], byte[]>> records = List.of(
            record(topic, null, bytes("v")), record(topic, bytes("k"), null),
            record(topic, null, null), record(topic, bytes(""), bytes("")));
        client.send(topic, records, "none", false);
        expectSame(records, client.read(topic, 0, 0, 4));
    }

    private void headers() throws Exception {
        String topic = topic("headers");
        List<Header> headers = List.of(
            new RecordHeader("a", bytes("1")), new RecordHeader("b", bytes("")),
            new RecordHeader("a", bytes("2")), new RecordHeader("\u00e9", new byte[] {-1, 0}),
            new RecordHeader("n", (byte[]) null));
        client.send(topic, List.of(
            new ProducerRecord<>(topic, null, null, null, bytes("v"), headers)), "none", false);
        Header[] got = client.read(topic, 0, 0, 1).get(0).headers().toArray();
        expect("headers", headers, List.of(got));
    }

    private void timestamps() throws Exception {
        String topic = topic("timestamps");
        client.send(topic, stamped(topic, 10), "none", false);
        List<ConsumerRecord<byte[], byte[]>> got = client.read(topic, 0, 0, 10);
        for (int n = 0; n < 10; n++) {
            expect("timestamp", BASE_MS + n * 1000L, got.get(n).timestamp());
        }
    }

    private void large() throws Exception {
        String topic = topic("large");
        byte[] value = new byte[1_000_000];
        for (int n = 0; n < value.length; n++) {
            value[n] = (byte) (n * 31 % 251);
        }
        List<ProducerRecord<byte[], byte[]>> records = List.of(record(topic, null, value));
        client.send(topic, records, "none", false);
        expectSame(records, client.read(topic, 0, 0, 1));
    }

    private void tooLarge() throws Exception {
        String topic = topic("too-large");
        expectRefusal("MESSAGE_TOO_LARGE", () -> client.send(
            topic, List.of(record(topic, null, new byte[1_200_000])), "none", false));
        client.send(topic, List.of(record(topic, null, bytes("small"))), "none", false);
        expect("value", "small", text(client.read(topic, 0, 0, 1).get(0).value()));
    }

    private void seekOffset() throws Exception {
        String topic = topic("seek-offset");
        client.send(topic, numbers(topic, 0, 100), "none", false);
        for (int offset : new int[] {42, 0, 99}) {
            ConsumerRecord<byte[], byte[]> got = client.read(topic, 0, offset, 1).get(0);
            expect("offset", (long) offset, got.offset());
            expect("value", "" + offset, text(got.value()));
        }
    }

    private void seekTime() throws Exception {
        String topic = topic("seek-time");
        client.send(topic, stamped(topic, 100), "none", false);
        long[][] table = {{0, 0}, {42_000, 42}, {42_500, 43}, {99_000, 99}};
        for (long[] row : table) {
            expect("offset at " + row[0], row[1], client.offsetAt(topic, BASE_MS + row[0]));
        }
        expect("offset past the end", null, client.offsetAt(topic, BASE_MS + 99_001));
        expect("offset of the greatest timestamp", 99L, client.offsetOfMaxTimestamp(topic));
    }

    private void idempotent() throws Exception {
        String topic = topic("idempotent");
        for (int n = 0; n < 500; n += 100) {
            client.send(topic, numbers(topic, n, n + 100), "none", true);
        }
        expectSame(numbers(topic, 0, 500), client.read(topic, 0, 0, 500));
        expect("latest", 500L, client.ends(topic, 0)[1]);
    }

    private void transactional() throws Exception {
        String topic = topic("transactional");
        long start = System.nanoTime();
        try {
            client.transaction(numbers(topic, 0, 1).get(0));
        } catch (JavaClient.Refused refused) {
            expect("refusal", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", refused.getMessage());
            expect("soon", true, System.nanoTime() - start < SOON_NS);
            return;
        }
        expectSame(numbers(topic, 0, 1), client.read(topic, 0, 0, 1));
    }

    private void listOffsets() throws Exception {
        String topic = topic("list-offsets");
        expect("empty", "[0, 0]", Arrays.toString(client.ends(topic, 0)));
        client.send(topic, numbers(topic, 0, 7), "none", false);
        expect("filled", "[0, 7]", Arrays.toString(client.ends(topic, 0)));
    }

    private void delete() throws Exception {
        String topic = topic("delete");
        eventually("topic is listed", () -> client.topics().contains(topic));
        client.delete(topic);
        eventually("topic is gone", () -> !client.topics().contains(topic));
    }

    private void reconnect() throws Exception {
        String topic = topic("reconnect");
        client.send(topic, numbers(topic, 0, 10), "none", true);
        expectSame(numbers(topic, 0, 10), client.read(topic, 0, 0, 10));
        System.out.println("restart");
        System.out.flush();
        while (System.in.read() != '\n') {
            // The line says that the broker is back.
        }
        client.send(topic, numbers(topic, 10, 20), "none", true);
        expectSame(numbers(topic, 10, 20), client.read(topic, 0, 10, 10));
        expectSame(numbers(topic, 0, 20), client.read(topic, 0, 0, 20));
    }

    private static long send(JavaClient client, String topic, String codec, String path)
            throws Exception {
        long count = 0;
        try (var lines = Files.newInputStream(Path.of(path));
                var reader = new java.io.BufferedReader(
                    new java.io.InputStreamReader(lines, StandardCharsets.ISO_8859_1), 1 << 20)) {
            // One byte a character and back: values keep their bytes, whatever the encoding.
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                byte[] value = line.getBytes(StandardCharsets.ISO_8859_1);
                client.sendLater(record(topic, null, value), codec);
                count++;
            }
        }
        client.flush(codec);
        return count;
    }

    private static String receive(JavaClient client, String topic, int count) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        client.forEach(topic, 0, 0, count, r -> {
            digest.update(r.value());
            digest.update((byte) '\n');
        });
        return HexFormat.of().formatHex(digest.digest());
    }

    private static List<ProducerRecord<byte[], byte[]>> numbers(String topic, int from, int to) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int n = from; n < to; n++) {
            records.add(record(topic, null, bytes("" + n)));
        }
        return records;
    }

    private static List<ProducerRecord<byte[], byte[]>> stamped(String topic, int count) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            records.add(new ProducerRecord<>(topic, 0, BASE_MS + n * 1000L, null, bytes("" + n)));
        }
        return records;
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, byte[] key, byte[] value) {
        return new ProducerRecord<>(topic, key, value);
    }

    private static byte[] payload(int n) {
        byte[] bytes = new byte[1 + n * 37 % 1500];
        for (int j = 0; j < bytes.length; j++) {
            bytes[j] = (byte) ((n + j * j) % 251);
        }
        return bytes;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    private static void expectSame(
            List<ProducerRecord<byte[], byte[]>> sent, List<ConsumerRecord<byte[], byte[]>> got) {
        expect("number of records", sent.size(), got.size());
        for (int n = 0; n < sent.size(); n++) {
            boolean same = Arrays.equals(sent.get(n).key(), got.get(n).key())
                && Arrays.equals(sent.get(n).value(), got.get(n).value());
            if (!same) {
                throw new AssertionError("record " + n + " differs");
            }
        }
    }

    static void expect(String what, Object wanted, Object got) {
        if (!Objects.equals(wanted, got)) {
            throw new AssertionError(what + ": got " + got + ", expected " + wanted);
        }
    }

    static void expectRefusal(String name, Body body) throws Exception {
        try {
            body.run();
        } catch (JavaClient.Refused refused) {
            expect("refusal", name, refused.getMessage());
            return;
        }
        throw new AssertionError("no error, expected " + name);
    }

    static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + 10_000_000_000L;
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(what + ": not within ten seconds");
            }
            Thread.sleep(50);
        }
    }
}
