// Runs one list of calls of Kafka's own tools against two brokers and compares what they print.
//
//     CompareTools STEPS FOLDER BOOTSTRAP DATA BOOTSTRAP DATA
//
// Each step of the file STEPS is run against the first broker, then against the second. FOLDER is
// for the steps' files and for what was printed. How steps are written is told in that file.

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public final class CompareTools {
    private static final String TOOLS = "org.apache.kafka.tools.";

    private static final Map<String, String> CLASSES = new TreeMap<>(Map.ofEntries(
        Map.entry("kafka-topics", TOOLS + "TopicCommand"),
        Map.entry("kafka-configs", "kafka.admin.ConfigCommand"),
        Map.entry("kafka-consumer-groups", TOOLS + "consumer.group.ConsumerGroupCommand"),
        Map.entry("kafka-groups", TOOLS + "GroupsCommand"),
        Map.entry("kafka-get-offsets", TOOLS + "GetOffsetShell"),
        Map.entry("kafka-delete-records", TOOLS + "DeleteRecordsCommand"),
        Map.entry("kafka-log-dirs", TOOLS + "LogDirsCommand"),
        Map.entry("kafka-broker-api-versions", TOOLS + "BrokerApiVersionsCommand"),
        Map.entry("kafka-metadata-quorum", TOOLS + "MetadataQuorumCommand"),
        Map.entry("kafka-features", TOOLS + "FeatureCommand"),
        Map.entry("kafka-cluster", TOOLS + "ClusterTool"),
        Map.entry("kafka-leader-election", TOOLS + "LeaderElectionCommand"),
        Map.entry("kafka-reassign-partitions", TOOLS + "reassign.ReassignPartitionsCommand"),
        Map.entry("kafka-console-producer", TOOLS + "ConsoleProducer"),
        Map.entry("kafka-console-consumer", TOOLS + "consumer.ConsoleConsumer"),
        Map.entry("kafka-verifiable-producer", TOOLS + "VerifiableProducer"),
        Map.entry("kafka-verifiable-consumer", TOOLS + "VerifiableConsumer"),
        Map.entry("kafka-consumer-perf-test", TOOLS + "ConsumerPerformance"),
        Map.entry("kafka-producer-perf-test", TOOLS + "ProducerPerformance"),
        Map.entry("kafka-dump-log", TOOLS + "DumpLogSegments"),
        Map.entry("kafka-acls", TOOLS + "AclCommand"),
        Map.entry("kafka-client-metrics", TOOLS + "ClientMetricsCommand"),
        Map.entry("kafka-transactions", TOOLS + "TransactionsCommand"),
        Map.entry("client-compatibility-test", TOOLS + "ClientCompatibilityTest")));

    /** Tools that write from a hook of the JVM's own, so that they want one to themselves. */
    private static final List<String> ALONE = List.of("kafka-verifiable-producer");

    /** What only reads is asked again for a while when the answers differ: metadata, and what a
     * member does by itself, come a little later on a busy machine. */
    private static final List<String> READS = List.of("--list", "--describe", "describe",
        "kafka-get-offsets", "kafka-log-dirs", "kafka-dump-log", "--verify");
    private static final long AGAIN_NS = 15_000_000_000L;
    private static final int AGAIN_MS = 300;

    /** What a tool gives up after that waits for five seconds otherwise. */
    private static final Map<String, String> PATIENCE =
        Map.of("kafka-consumer-groups", "--timeout=60000");

    /** What cannot be equal. */
    private static final Map<Pattern, String> MASKS = new java.util.LinkedHashMap<>();

    static {
        mask("127\\.0\\.0\\.1:\\d+|localhost:\\d+", "HOST:PORT");
        // What went wrong is told by the class; the words are each broker's own.
        mask("(org\\.apache\\.kafka\\.common\\.errors\\.\\w+): .*", "$1");
        mask("(Error while executing [a-z ]+ : ).*", "$1MESSAGE");
        mask("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID");
        mask("(?<![\\w-])[\\w-]{22}(?![\\w-])", "ID");
        mask("(?<!\\d)1[6-9]\\d{11}(?!\\d)", "TIME");
        mask("20\\d\\d-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d[.,:]\\d+", "DATE");
    }

    private record Broker(String bootstrap, Path data, Path files, Members members) {
    }

    private record Step(String name, List<String> command, StringBuilder input,
            Map<Pattern, String> masks, List<String[]> files, Set<String> options) {
    }

    private CompareTools() {
    }

    private static void mask(String pattern, String replacement) {
        MASKS.put(Pattern.compile(pattern), replacement);
    }

    public static void main(String[] args) throws Exception {
        // Its log takes the streams that are there when it begins.
        org.slf4j.LoggerFactory.getLogger(CompareTools.class).debug("begin");
        Path folder = Path.of(args[1]);
        Compare compare = new Compare(folder);
        List<Broker> brokers = new ArrayList<>();
        for (int n = 2; n < 6; n += 2) {
            Path files = Files.createDirectories(folder.resolve("files-" + n / 2));
            brokers.add(new Broker(args[n], Path.of(args[n + 1]), files, new Members(args[n])));
        }
        for (Step step : parse(Files.readAllLines(Path.of(args[0])))) {
            long start = System.nanoTime();
            List<String> first = run(step, brokers.get(0));
            long middle = System.nanoTime();
            List<String> second = run(step, brokers.get(1));
            System.err.printf("%s: %d and %d ms%n", step.name, (middle - start) / 1_000_000,
                (System.nanoTime() - middle) / 1_000_000);
            boolean again = READS.stream().anyMatch(step.command::contains)
                && !step.options.contains("differs");
            while (again && !first.equals(second) && System.nanoTime() - start < AGAIN_NS) {
                Thread.sleep(AGAIN_MS);
                first = run(step, brokers.get(0));
                second = run(step, brokers.get(1));
            }
            compare.report(step.name, first, second);
        }
        System.out.println("end");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static List<Step> parse(List<String> lines) {
        List<Step> steps = new ArrayList<>();
        Step step = null;
        for (String line : lines) {
            String rest = line.length() > 2 ? line.substring(2) : "";
            if (line.startsWith("= ")) {
                step = new Step(rest, new ArrayList<>(), new StringBuilder(),
                    new java.util.LinkedHashMap<>(), new ArrayList<>(), new TreeSet<>());
                steps.add(step);
            } else if (line.startsWith("$ ")) {
                step.command.addAll(words(rest));
            } else if (line.startsWith("< ")) {
                step.input.append(rest).append('\n');
            } else if (line.startsWith("~ ")) {
                String[] parts = rest.split(" => ?", 2);
                step.masks.put(Pattern.compile(parts[0]), parts[1]);
            } else if (line.startsWith("+ ")) {
                step.files.add(rest.split(" ", 2));
            } else if (List.of("sort", "set", "differs").contains(line)) {
                step.options.add(line);
            } else if (!line.isBlank() && !line.startsWith("#")) {
                throw new IllegalArgumentException(line);
            }
        }
        return steps;
    }

    /** Words as a shell takes them; only single quotes are known. */
    private static List<String> words(String line) {
        List<String> words = new ArrayList<>();
        Matcher matcher = Pattern.compile("'([^']*)'|(\\S+)").matcher(line);
        while (matcher.find()) {
            words.add(matcher.group(1) != null ? matcher.group(1) : matcher.group(2));
        }
        return words;
    }

    private static List<String> run(Step step, Broker broker) throws Exception {
        for (String[] file : step.files) {
            Files.writeString(broker.files.resolve(file[0]), file[1] + "\n");
        }
        List<String> words = new ArrayList<>();
        for (String word : step.command) {
            words.add(fill(word, broker));
        }
        String tool = words.remove(0);
        List<String> lines = new ArrayList<>();
        if (tool.equals("member")) {
            lines.addAll(broker.members.call(words));
        } else {
            boolean asked = step.command.stream().anyMatch(word -> word.contains("@B"));
            if (!asked && !tool.equals("kafka-dump-log")) {
                words.addAll(List.of("--bootstrap-server", broker.bootstrap));
            }
            if (PATIENCE.containsKey(tool)) {
                words.add(PATIENCE.get(tool));
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            int code = ALONE.contains(tool) ? alone(tool, words, out)
                : inside(CLASSES.get(tool), step.input.toString(), words, out);
            lines.add("exit code " + code);
            lines.addAll(out.toString(StandardCharsets.UTF_8).lines().toList());
        }
        return normalize(step, broker, lines);
    }

    private static String fill(String word, Broker broker) {
        String filled = word.replace("@B", broker.bootstrap)
            .replace("@D", broker.data.toString()).replace("@F", broker.files.toString());
        int at = filled.indexOf("@O(");
        if (at < 0) {
            return filled;
        }
        // The partition of __consumer_offsets that a group has its records in.
        int end = filled.indexOf(')', at);
        int partition = (filled.substring(at + 3, end).hashCode() & Integer.MAX_VALUE) % 50;
        return filled.substring(0, at) + partition + filled.substring(end + 1);
    }

    /** A tool in this JVM, with its error output where its output is. */
    private static int inside(String main, String input, List<String> words,
            ByteArrayOutputStream out) throws Exception {
        java.io.PrintStream stderr = System.err;
        System.setErr(new java.io.PrintStream(out, true, StandardCharsets.UTF_8));
        try {
            return Tool.run(main, input, out, words.toArray(new String[0]));
        } finally {
            System.setErr(stderr);
        }
    }

    private static int alone(String tool, List<String> words, ByteArrayOutputStream out)
            throws Exception {
        List<String> command = new ArrayList<>(List.of("java", "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
            "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"),
            CLASSES.get(tool)));
        command.addAll(words);
        Process process = new ProcessBuilder(command)
            .redirectError(ProcessBuilder.Redirect.DISCARD).start();
        process.getOutputStream().close();
        process.getInputStream().transferTo(out);
        return process.waitFor(60, TimeUnit.SECONDS) ? process.exitValue() : -1;
    }

    private static List<String> normalize(Step step, Broker broker, List<String> lines) {
        List<String> normal = new ArrayList<>();
        for (String line : lines) {
            String text = line.replace(broker.data.toString(), "DATA")
                .replace(broker.files.toString(), "FILES");
            for (var mask : step.masks.entrySet()) {
                text = mask.getKey().matcher(text).replaceAll(mask.getValue());
            }
            for (var mask : MASKS.entrySet()) {
                text = mask.getKey().matcher(text).replaceAll(mask.getValue());
            }
            // Columns are as wide as the widest name in them.
            text = text.replaceAll("[ \t]+", " ").strip();
            boolean trace = text.matches("at [\\w.$/]+\\(.*|\\.\\.\\. \\d+ (common frames|more).*");
            if (!text.isEmpty() && !trace && !text.contains(Tool.ENDED)) {
                normal.add(text);
            }
        }
        if (step.options.contains("set")) {
            return List.copyOf(new TreeSet<>(normal));
        } else if (step.options.contains("sort")) {
            normal.sort(null);
        }
        return normal;
    }
}
