// Reads messages that Ottla wrote with Kafka's own classes, writes them again, and compares.
// Each line of the input: name, version, bytes in hex, and their JSON or a dash. JSON is compared
// with what Kafka's converters make of the bytes. Prints each difference and then the counts.
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

public class Recode {
    /** Where the generated classes are, by what they are for. */
    static final String[] CLASSES = {
        "org.apache.kafka.common.message.%sData",
        "org.apache.kafka.common.message.%s",
        "org.apache.kafka.common.metadata.%s",
        "org.apache.kafka.coordinator.group.generated.%s",
        "org.apache.kafka.coordinator.share.generated.%s",
        "org.apache.kafka.coordinator.transaction.generated.%s",
        "org.apache.kafka.server.log.remote.metadata.storage.generated.%s",
    };

    static Message instance(String name) throws ReflectiveOperationException {
        for (String pattern : CLASSES) {
            try {
                Class<?> found = Class.forName(String.format(pattern, name));
                return (Message) found.getDeclaredConstructor().newInstance();
            } catch (ClassNotFoundException e) {
                // It is in another place.
            }
        }
        throw new ClassNotFoundException(name);
    }

    static String difference(String name, short version, byte[] bytes, String json)
            throws Exception {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Message message = instance(name);
        message.read(new ByteBufferAccessor(in), version);
        if (in.hasRemaining()) {
            return in.remaining() + " bytes left over";
        }
        ByteBuffer out = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] again = new byte[out.remaining()];
        out.get(again);
        if (!Arrays.equals(bytes, again)) {
            return HexFormat.of().formatHex(again);
        }
        if (json.equals("-")) {
            return null;
        }
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        Object node = converter.getMethod("write", message.getClass(), short.class)
            .invoke(null, message, version);
        return node.toString().equals(json) ? null : node.toString();
    }

    public static void main(String[] args) throws Exception {
        int same = 0;
        int different = 0;
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] parts = line.split(" ", 4);
            String problem;
            try {
                byte[] bytes = HexFormat.of().parseHex(parts[2]);
                problem = difference(parts[0], Short.parseShort(parts[1]), bytes, parts[3]);
            } catch (Exception e) {
                problem = e.toString();
            }
            if (problem == null) {
                same++;
            } else {
                different++;
                System.out.println("recode: " + line + ": " + problem);
            }
        }
        System.out.println("same " + same + " different " + different);
    }
}
