// Writes the vectors of kafka.hex with Apache Kafka's own classes. Run with the jars of a Kafka
// 4.3.1 distribution: java -cp "kafka_2.13-4.3.1/libs/*" GoldenBatches.java > kafka.hex
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

public class GoldenBatches {
    static final long TIME = 1632390207745L;

    static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String build(byte magic, Compression codec, TimestampType type, long base) {
        boolean v2 = magic == 2;
        var builder = new MemoryRecordsBuilder(ByteBuffer.allocate(1024), magic, codec, type, base,
            TIME + 1000, v2 ? 1000 : -1, (short) (v2 ? 3 : -1), v2 ? 7 : -1, v2, false, 5, 1 << 20);
        String[][] records = {{"key", "value"}, {null, "only a value"}, {"only a key", null},
            {"", "na ".repeat(40)}};
        for (int i = 0; i < records.length; i++) {
            Header[] headers = magic < 2 || i != 1 ? new Header[0] : new Header[] {
                new RecordHeader("trace", utf8("abc")), new RecordHeader("empty", new byte[0]),
                new RecordHeader("none", (byte[]) null)};
            builder.append(TIME + (i == 2 ? -5 : i), utf8(records[i][0]), utf8(records[i][1]),
                headers);
        }
        ByteBuffer buffer = builder.build().buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    public static void main(String[] args) {
        for (byte magic = 0; magic <= 2; magic++) {
            for (CompressionType codec : CompressionType.values()) {
                for (TimestampType type : TimestampType.values()) {
                    boolean skip = type == TimestampType.NO_TIMESTAMP_TYPE
                        || magic < 2 && codec == CompressionType.ZSTD
                        || magic == 0 && type == TimestampType.LOG_APPEND_TIME;
                    if (!skip) {
                        String hex = build(magic, Compression.of(codec).build(), type, 100);
                        String name = "v" + magic + " " + codec.name + " " + type.name;
                        System.out.println(name + " " + hex);
                    }
                }
            }
        }
    }
}
