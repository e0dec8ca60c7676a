// Kafka's own command-line tools, as a client of their own: what people type in a shell.

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

public final class ConsoleTools {
    private static final String TOOLS = "org.apache.kafka.tools.";

    private final String bootstrap;
    private final String prefix;

    private ConsoleTools(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
    }

    public static void main(String[] args) {
        ConsoleTools tools = new ConsoleTools(args[0], args[2]);
        for (String name : Arrays.copyOfRange(args, 3, args.length)) {
            Cases.report(name, () -> tools.run(name));
        }
        Runtime.getRuntime().halt(0);
    }

    private void run(String name) throws Exception {
        switch (name) {
            case "create" -> create();
            case "alter" -> alter();
            case "describe" -> describe();
            case "auto-create" -> produceAndConsume("auto-create", "none");
            case "keys" -> keys();
            case "headers" -> headers();
            case "list-offsets" -> listOffsets();
            case "configs" -> configs();
            case "api-versions" -> apiVersions();
            case "perf" -> perf();
            case "delete" -> delete();
            default -> produceAndConsume(name, name.substring("codec-".length()));
        }
    }

    private String topic(String name) {
        return prefix + "-" + name;
    }

    /** Runs a tool that has to end well; returns what it printed. */
    private String tool(String name, String input, String... args) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int code = Tool.run(name.startsWith("kafka.") ? name : TOOLS + name, input, out,
            with(args, "--bootstrap-server", bootstrap));
        String text = out.toString(StandardCharsets.UTF_8);
        if (code != 0) {
            throw new AssertionError(name + " ended with " + code + ": " + text);
        }
        return text;
    }

    private static String[] with(String[] args, String... more) {
        List<String> all = new ArrayList<>(List.of(args));
        all.addAll(List.of(more));
        return all.toArray(new String[0]);
    }

    private static void contains(String text, String... parts) {
        for (String part : parts) {
            if (!text.contains(part)) {
                throw new AssertionError("no `" + part + "` in: " + text);
            }
        }
    }

    private void create() throws Exception {
        String[] args = {"--create", "--topic", topic("create"), "--partitions", "3"};
        contains(tool("TopicCommand", "", args), "Created topic " + topic("create"));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int code = Tool.run(TOOLS + "TopicCommand", "", out,
            with(args, "--bootstrap-server", bootstrap));
        Cases.expect("exit code of the second", 1, code);
        contains(out.toString(StandardCharsets.UTF_8), "already exists");
        contains(tool("TopicCommand", "", "--list"), topic("create"));
    }

    private void alter() throws Exception {
        String topic = topic("alter");
        tool("TopicCommand", "", "--create", "--topic", topic, "--partitions", "1");
        tool("TopicCommand", "", "--alter", "--topic", topic, "--partitions", "4");
        contains(tool("TopicCommand", "", "--describe", "--topic", topic), "PartitionCount: 4");
    }

    private void describe() throws Exception {
        String topic = topic("describe");
        tool("TopicCommand", "", "--create", "--topic", topic, "--partitions", "2",
            "--config", "retention.ms=86400000");
        contains(tool("TopicCommand", "", "--describe", "--topic", topic), "PartitionCount: 2",
            "ReplicationFactor: 1", "retention.ms=86400000", "Partition: 1");
    }

    private void produceAndConsume(String name, String codec) throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int n = 0; n < 300; n++) {
            lines.append("line ").append(n).append(" of a text that compresses\n");
        }
        tool("ConsoleProducer", lines.toString(), "--topic", topic(name), "--compression-codec",
            codec);
        String got = tool("consumer.ConsoleConsumer", "", "--topic", topic(name), "--partition",
            "0", "--offset", "earliest", "--max-messages", "300", "--timeout-ms", "20000");
        Cases.expect("lines", lines.toString(), got);
    }

    private void keys() throws Exception {
        tool("ConsoleProducer", "a:1\nb:2\n", "--topic", topic("keys"),
            "--reader-property", "parse.key=true", "--reader-property", "key.separator=:");
        String got = tool("consumer.ConsoleConsumer", "", "--topic", topic("keys"), "--partition",
            "0", "--offset", "0", "--max-messages", "2", "--timeout-ms", "20000",
            "--formatter-property", "print.key=true", "--formatter-property", "print.offset=true");
        Cases.expect("lines", "Offset:0\ta\t1\nOffset:1\tb\t2\n", got);
    }

    private void headers() throws Exception {
        tool("ConsoleProducer", "h1:x,h2:\tv\n", "--topic", topic("headers"),
            "--reader-property", "parse.headers=true");
        String got = tool("consumer.ConsoleConsumer", "", "--topic", topic("headers"),
            "--partition", "0", "--offset", "earliest", "--max-messages", "1", "--timeout-ms",
            "20000", "--formatter-property", "print.headers=true");
        Cases.expect("line", "h1:x,h2:\tv\n", got);
    }

    private void listOffsets() throws Exception {
        String topic = topic("list-offsets");
        tool("ConsoleProducer", "a\nb\nc\n", "--topic", topic);
        String[] times = {"latest", "earliest", "max-timestamp"};
        String[] starts = {":0:3", ":0:0", ":0:"};
        for (int n = 0; n < times.length; n++) {
            String got = tool("GetOffsetShell", "", "--topic", topic, "--time", times[n]);
            contains(got, topic + starts[n]);
        }
    }

    private void configs() throws Exception {
        String topic = topic("configs");
        tool("TopicCommand", "", "--create", "--topic", topic, "--config",
            "max.message.bytes=2000000");
        String own = tool("kafka.admin.ConfigCommand", "", "--describe", "--entity-type",
            "topics", "--entity-name", topic);
        contains(own, "max.message.bytes=2000000", "DYNAMIC_TOPIC_CONFIG");
        String all = tool("kafka.admin.ConfigCommand", "", "--describe", "--all",
            "--entity-type", "topics", "--entity-name", topic);
        contains(all, "cleanup.policy=delete", "segment.bytes=1073741824",
            "retention.ms=604800000");
        contains(tool("kafka.admin.ConfigCommand", "", "--describe", "--all", "--entity-type",
            "brokers", "--entity-name", "1"), "log.dirs", "num.partitions=1");
    }

    private void apiVersions() throws Exception {
        contains(tool("BrokerApiVersionsCommand", ""), "(id: 1 ", "Produce(0): 0 to 13",
            "Fetch(1): 4 to 18", "ApiVersions(18): 0 to 4");
    }

    private void perf() throws Exception {
        String topic = topic("perf");
        String produced = tool("ProducerPerformance", "", "--topic", topic, "--num-records",
            "20000", "--record-size", "100", "--throughput", "-1");
        contains(produced, "20000 records sent");
        contains(tool("GetOffsetShell", "", "--topic", topic), topic + ":0:20000");
    }

    private void delete() throws Exception {
        String topic = topic("delete");
        tool("TopicCommand", "", "--create", "--topic", topic);
        tool("TopicCommand", "", "--delete", "--topic", topic);
        Cases.eventually("topic is gone",
            () -> !tool("TopicCommand", "", "--list").contains(topic));
    }
}
