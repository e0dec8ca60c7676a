// Runs kafka-dump-log over many files in one JVM and reports whatever it complains about.
//
//     DumpLog FILE_WITH_PATHS
//
// Prints each complaint with its file, `codecs NAME...` for the codecs seen, then `dumped COUNT`.

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;

public final class DumpLog {
    private static final String MAIN = "org.apache.kafka.tools.DumpLogSegments";
    // Parts of everything that the tool says when it is not content.
    private static final List<String> COMPLAINTS = List.of("mismatch", "corrupt",
        "isvalid: false", "invalid bytes", "out of order", "non-secutive", "non-consecutive",
        "not found in log", "failed", "exception", "could not", "unexpected");

    private static final TreeSet<String> CODECS = new TreeSet<>();

    private DumpLog() {
    }

    public static void main(String[] args) throws Exception {
        List<String> paths = Files.readAllLines(Path.of(args[0]));
        int bad = 0;
        for (String path : paths) {
            List<String> options = new ArrayList<>(List.of("--deep-iteration"));
            if (path.contains("/__cluster_metadata-0/") && !path.endsWith("index")) {
                options.add("--cluster-metadata-decoder");
            }
            boolean index = path.endsWith("index");
            if (index) {
                bad += dump(path, options, "--index-sanity-check");
                bad += dump(path, options, "--verify-index-only");
            } else {
                bad += dump(path, options);
            }
        }
        System.out.println("codecs " + String.join(" ", CODECS));
        System.out.println((bad == 0 ? "dumped " : "complained about some of ") + paths.size());
        System.out.flush();
        Runtime.getRuntime().halt(bad == 0 ? 0 : 1);
    }

    private static int dump(String path, List<String> options, String... more) throws Exception {
        List<String> args = new ArrayList<>(options);
        args.addAll(List.of(more));
        args.addAll(List.of("--files", path));
        Watch watch = new Watch();
        int code = Tool.run(MAIN, "", watch, args.toArray(new String[0]));
        for (String line : watch.complaints) {
            System.out.println(path + ": " + line);
        }
        if (code != 0) {
            System.out.println(path + ": exit code " + code);
        }
        return code != 0 || !watch.complaints.isEmpty() ? 1 : 0;
    }

    /** Takes the tool's output line by line and keeps only what matters. */
    private static final class Watch extends OutputStream {
        private final List<String> complaints = new ArrayList<>();
        private final ByteArrayOutputStream line = new ByteArrayOutputStream();

        @Override
        public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) {
            int from = offset;
            for (int n = offset; n < offset + length; n++) {
                if (bytes[n] == '\n') {
                    line.write(bytes, from, n - from);
                    take(line.toString(StandardCharsets.UTF_8));
                    line.reset();
                    from = n + 1;
                }
            }
            line.write(bytes, from, offset + length - from);
        }

        private void take(String text) {
            // A record's own line, of which there are millions.
            if (text.startsWith("| offset:") && !text.contains("isValid: false")) {
                return;
            }
            int codec = text.indexOf("compresscodec: ");
            if (codec >= 0) {
                CODECS.add(text.substring(codec + 15).split(" ")[0]);
            }
            String lower = text.toLowerCase(Locale.ROOT);
            // The file's name is in its heading, and topics have names of all kinds.
            boolean heading = lower.startsWith("dumping ");
            if (!heading && complaints.size() < 20
                    && COMPLAINTS.stream().anyMatch(lower::contains)) {
                complaints.add(text);
            }
        }
    }
}
