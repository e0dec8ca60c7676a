// Runs one list of calls of Kafka's own tools against brokers and compares what they print.
//
//     CompareTools STEPS FOLDER BOOTSTRAP DATA [LANE TOOLS BOOTSTRAP DATA]...
//
// Each step of the file STEPS is run against the first broker by Kafka's own tools, then against
// each other one. TOOLS is `kafka` for the same tools, or a folder with programs by their names, of
// which standard output and exit code are compared. FOLDER is for the steps' files and for what was
// printed. How steps are written is told in that file. LANE is said before each result.

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
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

    /** With the lane that it is compared in, and with the folder of programs, null for Kafka's. */
    private record Broker(String lane, Path programs, String bootstrap, Path data, Path files,
            Members members) {
        Broker(String lane, String tools, String bootstrap, String data, Path files)
                throws Exception {
            this(lane, tools.equals("kafka") ? null : Path.of(tools), bootstrap, Path.of(data),
                Files.createDirectories(files), new Members(bootstrap));
        }

        /** Whether a step's tool is there, or its place is taken by Kafka's. */
        boolean runs(Step step) {
            return programs == null || step.options.contains("changes")
                || step.command.get(0).equals("member") || has(step.command.get(0));
        }

        boolean has(String tool) {
            return programs != null && Files.exists(programs.resolve(tool + ".sh"));
        }
    }

    /** All lines that a tool has printed, and those on standard output. */
    private record Answer(List<String> all, List<String> output) {
        boolean equals(Answer other, Broker by) {
            return of(by).equals(other.of(by));
        }

        List<String> of(Broker by) {
            return by.programs == null ? all : output;
        }
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
        Broker first = new Broker("", "kafka", args[2], args[3], folder.resolve("files-1"));
        List<Broker> others = new ArrayList<>();
        Map<String, Compare> compares = new TreeMap<>();
        for (int n = 4; n < args.length; n += 4) {
            Path files = folder.resolve("files-" + args[n]);
            others.add(new Broker(args[n], args[n + 1], args[n + 2], args[n + 3], files));
            compares.put(args[n], new Compare(folder.resolve(args[n]), args[n] + " "));
        }
        for (Step step : parse(Files.readAllLines(Path.of(args[0])))) {
            long start = System.nanoTime();
            Answer answer = run(step, first);
            System.err.printf("%s: %d ms", step.name, (System.nanoTime() - start) / 1_000_000);
            for (Broker other : others) {
                if (other.runs(step)) {
                    long middle = System.nanoTime();
                    answer = compare(step, first, answer, other, compares.get(other.lane));
                    System.err.printf(", %d ms", (System.nanoTime() - middle) / 1_000_000);
                }
            }
            System.err.println();
        }
        System.out.println("end");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Returns what the first broker has said in the end. */
    private static Answer compare(Step step, Broker first, Answer answer, Broker other,
            Compare compare) throws Exception {
        long start = System.nanoTime();
        Answer one = answer;
        Answer two = run(step, other);
        String differs = other.programs == null ? "differs" : "refused";
        boolean again = READS.stream().anyMatch(step.command::contains)
            && !step.options.contains(differs);
        while (again && !one.equals(two, other) && System.nanoTime() - start < AGAIN_NS) {
            Thread.sleep(AGAIN_MS);
            one = run(step, first);
            two = run(step, other);
        }
        compare.report(step.name, one.of(other), two.of(other));
        return one;
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
            } else if (List.of("sort", "set", "differs", "refused", "changes").contains(line)) {
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

    private static Answer run(Step step, Broker broker) throws Exception {
        Map<String, String> texts = new TreeMap<>();
        for (String[] file : step.files) {
            texts.merge(file[0], file[1] + "\n", String::concat);
        }
        for (var file : texts.entrySet()) {
            Files.writeString(broker.files.resolve(file.getKey()), file.getValue());
        }
        List<String> words = new ArrayList<>();
        for (String word : step.command) {
            words.add(fill(word, broker));
        }
        String tool = words.remove(0);
        if (tool.equals("member")) {
            List<String> lines = broker.members.call(words);
            return new Answer(lines, lines);
        }
        boolean asked = step.command.stream().anyMatch(word -> word.contains("@B"));
        if (!asked && !tool.equals("kafka-dump-log")) {
            words.addAll(List.of("--bootstrap-server", broker.bootstrap));
        }
        if (PATIENCE.containsKey(tool)) {
            words.add(PATIENCE.get(tool));
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int code;
        if (broker.has(tool)) {
            words.add(0, broker.programs.resolve(tool + ".sh").toString());
            code = program(words, step.input.toString(), out, broker.files.resolve("stderr"));
        } else if (ALONE.contains(tool)) {
            code = program(alone(tool, words), "", out, null);
            out.writeTo(all);
        } else {
            code = inside(CLASSES.get(tool), step.input.toString(), words, out, all);
        }
        return new Answer(normalize(step, broker, code, all), normalize(step, broker, code, out));
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

    /** A tool in this JVM; `all` has its error output too, where it comes. */
    private static int inside(String main, String input, List<String> words,
            ByteArrayOutputStream out, ByteArrayOutputStream all) throws Exception {
        OutputStream both = new OutputStream() {
            @Override
            public void write(int b) {
                out.write(b);
                all.write(b);
            }

            @Override
            public void write(byte[] bytes, int from, int length) {
                out.write(bytes, from, length);
                all.write(bytes, from, length);
            }
        };
        java.io.PrintStream stderr = System.err;
        System.setErr(new java.io.PrintStream(all, true, StandardCharsets.UTF_8));
        try {
            return Tool.run(main, input, both, words.toArray(new String[0]));
        } finally {
            System.setErr(stderr);
        }
    }

    /** A tool in a JVM of its own. */
    private static List<String> alone(String tool, List<String> words) {
        List<String> command = new ArrayList<>(List.of("java", "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
            "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"),
            CLASSES.get(tool)));
        command.addAll(words);
        return command;
    }

    private static int program(List<String> command, String input, ByteArrayOutputStream out,
            Path stderr) throws Exception {
        Process process = new ProcessBuilder(command)
            .redirectError(stderr == null ? ProcessBuilder.Redirect.DISCARD
                : ProcessBuilder.Redirect.appendTo(stderr.toFile())).start();
        try (OutputStream stdin = process.getOutputStream()) {
            stdin.write(input.getBytes(StandardCharsets.UTF_8));
        } catch (java.io.IOException error) {
            // It has ended without reading.
        }
        process.getInputStream().transferTo(out);
        return process.waitFor(60, TimeUnit.SECONDS) ? process.exitValue() : -1;
    }

    /** An exit code and what was printed, without what cannot be equal. */
    private static List<String> normalize(Step step, Broker broker, int code,
            ByteArrayOutputStream printed) {
        List<String> lines = new ArrayList<>(List.of("exit code " + code));
        lines.addAll(printed.toString(StandardCharsets.UTF_8).lines().toList());
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
