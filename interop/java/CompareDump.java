// Runs kafka-dump-log and `ottlactl dump-log` over the same files and compares, byte by byte, what
// they print, and line by line what they complain of.
//
//     CompareDump OTTLACTL FILE_WITH_CASES
//
// A case is a line: the options with blanks between them, a tab, the files with commas between
// them. Kafka's tool runs in this JVM. Its stack traces are left out: of an exception that ends it,
// the first line is compared, but not what a codec says of damaged data. Prints `differs OPTIONS
// FILES` with what differs, then `compared COUNT LINES same SAME`.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

public final class CompareDump {
    private static final String MAIN = "org.apache.kafka.tools.DumpLogSegments";
    // What a codec says of damaged data is its library's, in either program.
    private static final String KAFKA_EXCEPTION =
        "Exception in thread \"main\" org.apache.kafka.common.KafkaException: ";
    private static final String DECOMPRESS =
        KAFKA_EXCEPTION + "Failed to decompress record stream\n";
    private static final int SHOWN_MAX = 400;

    private static long lines;

    private CompareDump() {
    }

    public static void main(String[] args) throws Exception {
        Exit.setExitProcedure((status, message) -> {
            throw new IllegalStateException("exit " + status + ": " + message);
        });
        Method main = Class.forName(MAIN).getMethod("main", String[].class);
        Path complaints = Files.createTempFile("ottlactl", ".err");
        PrintStream out = System.out;
        int count = 0;
        int same = 0;
        for (String line : Files.readAllLines(Path.of(args[1]))) {
            String[] parts = line.split("\t", 2);
            List<String> options = new ArrayList<>(List.of("--files", parts[1]));
            for (String option : parts[0].split(" ")) {
                if (!option.isEmpty()) {
                    options.add(option);
                }
            }
            count++;
            String difference = compare(args[0], main, options, complaints);
            if (difference == null) {
                same++;
            } else {
                out.println("differs " + line.replace('\t', ' '));
                out.println(difference);
            }
        }
        Files.delete(complaints);
        out.println("compared " + count + " " + lines + " same " + same);
        out.flush();
        Runtime.getRuntime().halt(count == same ? 0 : 1);
    }

    private static String compare(String ottlactl, Method main, List<String> options,
            Path complaints) throws Exception {
        List<String> command = new ArrayList<>(List.of(ottlactl, "dump-log"));
        command.addAll(options);
        Process process = new ProcessBuilder(command).redirectError(complaints.toFile()).start();
        process.getOutputStream().close();
        Against against = new Against(process.getInputStream());
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        PrintStream stdout = System.out;
        PrintStream stderr = System.err;
        try (PrintStream err = new PrintStream(errors, true, StandardCharsets.UTF_8);
                PrintStream out = new PrintStream(against, false, StandardCharsets.UTF_8)) {
            System.setOut(out);
            System.setErr(err);
            try {
                main.invoke(null, (Object) options.toArray(new String[0]));
            } catch (InvocationTargetException thrown) {
                err.println("Exception in thread \"main\" " + thrown.getCause());
            }
        } finally {
            System.setOut(stdout);
            System.setErr(stderr);
        }
        String difference = against.end();
        process.waitFor();
        lines += against.number;
        String kafka = errors.toString(StandardCharsets.UTF_8);
        String ours = Files.readString(complaints);
        boolean codec = ours.endsWith(DECOMPRESS) && kafka.contains(KAFKA_EXCEPTION);
        if (difference == null && !codec && !kafka.equals(ours)) {
            difference = "stderr\n  kafka " + shown(kafka) + "\n  ours  " + shown(ours);
        }
        return difference;
    }

    private static String shown(String text) {
        return text.length() <= SHOWN_MAX ? text : text.substring(0, SHOWN_MAX) + "...";
    }

    /** Takes the tool's output and holds it against another program's. */
    private static final class Against extends OutputStream {
        private final InputStream other;
        private final ByteArrayOutputStream kafkaLine = new ByteArrayOutputStream();
        private final ByteArrayOutputStream ourLine = new ByteArrayOutputStream();
        private byte[] buffer = new byte[1 << 16];
        private boolean differs;
        private boolean ended;
        private long number;

        Against(InputStream other) {
            this.other = other;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            if (ended) {
                return;
            }
            if (!differs) {
                if (buffer.length < length) {
                    buffer = new byte[length];
                }
                int count = other.readNBytes(buffer, 0, length);
                for (int n = 0; n < length; n++) {
                    byte theirs = bytes[offset + n];
                    if (n >= count || theirs != buffer[n]) {
                        differs = true;
                        // What is left of our line, so that both can be shown.
                        ourLine.write(buffer, n, Math.max(0, count - n));
                        rest(bytes, offset + n, length - n);
                        return;
                    }
                    if (theirs == '\n') {
                        number++;
                        kafkaLine.reset();
                        ourLine.reset();
                    } else if (kafkaLine.size() < SHOWN_MAX * 4) {
                        kafkaLine.write(theirs);
                        ourLine.write(theirs);
                    }
                }
                return;
            }
            rest(bytes, offset, length);
        }

        private void rest(byte[] bytes, int offset, int length) {
            for (int n = offset; n < offset + length && !ended; n++) {
                ended = bytes[n] == '\n' || kafkaLine.size() > SHOWN_MAX * 8;
                kafkaLine.write(bytes[n]);
            }
        }

        /** What differs; null for nothing. */
        String end() throws IOException {
            byte[] more = other.readAllBytes();
            if (!differs && more.length == 0) {
                return null;
            }
            ourLine.write(more, 0, Math.min(more.length, SHOWN_MAX * 4));
            return "line " + (number + 1) + "\n  kafka " + line(kafkaLine) + "\n  ours  "
                + line(ourLine);
        }

        private static String line(ByteArrayOutputStream bytes) {
            return shown(bytes.toString(StandardCharsets.UTF_8).split("\n", 2)[0]);
        }
    }
}
