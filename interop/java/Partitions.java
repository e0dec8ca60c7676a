// Where the Java client's partitioner sends keys.
//
//     Partitions FILE KEYS SEED
//
// Writes a line for each key, `KEY COUNT PARTITION` with the key in hexadecimal (`-` if empty).

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Random;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public final class Partitions {
    private static final int LENGTH_MAX = 200;
    private static final int COUNT_MAX = 10_000;

    private Partitions() {
    }

    public static void main(String[] args) throws Exception {
        int keys = Integer.parseInt(args[1]);
        Random random = new Random(Long.parseLong(args[2]));
        HexFormat hex = HexFormat.of();
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[0])))) {
            for (int n = 0; n < keys; n++) {
                // Every length comes first, then any.
                byte[] key = new byte[n <= LENGTH_MAX ? n : random.nextInt(LENGTH_MAX + 1)];
                random.nextBytes(key);
                int count = 1 + random.nextInt(n % 2 == 0 ? COUNT_MAX : 100);
                int partition = BuiltInPartitioner.partitionForKey(key, count);
                out.println(
                    (key.length == 0 ? "-" : hex.formatHex(key)) + " " + count + " " + partition);
            }
            if (out.checkError()) {
                throw new IllegalStateException(args[0] + ": not written");
            }
        }
        System.out.println("wrote " + keys);
    }
}
