// Kafka's messages as JSON: requests from it, by their setters, and answers to lines of it.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.ImplicitLinkedHashMultiCollection;

final class Messages {
    /** Fields that tell an array's elements apart, so that their order does not matter. */
    private static final List<String> KEYS = List.of("name", "topic", "topicName", "topicId",
        "resourceType", "resourceName", "configName", "groupId", "key", "partitionIndex",
        "partition", "partitionId", "memberId", "groupInstanceId", "nodeId", "brokerId",
        "apiKey", "user", "entityType", "entityName", "mechanism", "feature", "value");

    /** Fields that say how it is said, when it was, or which process said it. */
    private static final Set<String> VAGUE = Set.of("throttleTimeMs", "clusterId", "port",
        "host", "leaderEpoch", "logAppendTimeMs", "timestamp", "currentLeaderEpoch",
        "documentation", "producerId", "usableBytes",
        "totalBytes", "partitionSize", "highWatermark", "finalizedFeaturesEpoch",
        "partitionEpoch", "lastFetchTimestamp", "lastCaughtUpTimestamp", "logDir", "topicId",
        "replicaDirectoryId", "lastTimestamp", "logEndOffset", "clientInstanceId",
        "subscriptionId", "pushIntervalMs", "clientId", "clientHost", "salt");

    /** Every record's timestamp: young enough for retention, and the same for both. */
    private static final long NOW_MS = System.currentTimeMillis();

    private Messages() {
    }

    /** Sets the fields of a message that are named; the others keep their defaults. */
    static <M extends Message> M fill(M message, JsonNode json) throws Exception {
        for (var field : json.properties()) {
            String name = field.getKey();
            String setter = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
            Method method = Arrays.stream(message.getClass().getMethods())
                .filter(m -> m.getName().equals(setter) && m.getParameterCount() == 1)
                .findFirst().orElseThrow(() -> new IllegalArgumentException(
                    message.getClass().getSimpleName() + " has no " + name));
            method.invoke(message, value(
                method.getParameterTypes()[0], method.getGenericParameterTypes()[0],
                field.getValue()));
        }
        return message;
    }

    private static Object value(Class<?> type, Type generic, JsonNode json) throws Exception {
        if (json.isNull()) {
            return null;
        } else if (type == String.class) {
            return json.isTextual() && json.asText().startsWith("repeat:")
                ? "x".repeat(Integer.parseInt(json.asText().substring(7))) : json.asText();
        } else if (type == int.class || type == Integer.class) {
            return json.asInt();
        } else if (type == long.class) {
            return json.asLong();
        } else if (type == short.class || type == Short.class) {
            return (short) json.asInt();
        } else if (type == byte.class || type == Byte.class) {
            return (byte) json.asInt();
        } else if (type == boolean.class) {
            return json.asBoolean();
        } else if (type == double.class) {
            return json.asDouble();
        } else if (type == Uuid.class) {
            return Uuid.fromString(json.asText());
        } else if (type == byte[].class) {
            return bytes(json.asText());
        } else if (type == ByteBuffer.class) {
            return ByteBuffer.wrap(bytes(json.asText()));
        } else if (type.getSimpleName().equals("BaseRecords")) {
            return records(json);
        } else if (Message.class.isAssignableFrom(type)) {
            return fill((Message) type.getConstructor().newInstance(), json);
        }
        return collection(type, generic, json);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object collection(Class<?> type, Type generic, JsonNode json)
            throws Exception {
        boolean own = ImplicitLinkedHashMultiCollection.class.isAssignableFrom(type);
        Collection list = own ? (Collection) type.getConstructor().newInstance()
            : new ArrayList<>();
        ParameterizedType parameterized =
            (ParameterizedType) (own ? type.getGenericSuperclass() : generic);
        Class<?> element = (Class<?>) parameterized.getActualTypeArguments()[0];
        for (JsonNode item : json) {
            if (item.has("times")) {
                // Many that differ by a number: $n in the text of the element.
                for (int n = 0; n < item.get("times").asInt(); n++) {
                    String text = item.get("of").toString().replace("$n", "" + n);
                    list.add(value(element, element, Differential.JSON.readTree(text)));
                }
            } else {
                list.add(value(element, element, item));
            }
        }
        return list;
    }

    private static byte[] bytes(String text) {
        if (text.startsWith("hex:")) {
            return HexFormat.of().parseHex(text.substring(4));
        } else if (text.startsWith("subscription:")) {
            List<String> topics = List.of(text.substring(13).split(","));
            ByteBuffer buffer = ConsumerProtocol.serializeSubscription(new Subscription(topics));
            return Arrays.copyOf(buffer.array(), buffer.limit());
        } else if (text.startsWith("assignment:")) {
            String[] parts = text.split(":");
            ByteBuffer buffer = ConsumerProtocol.serializeAssignment(new Assignment(List.of(
                new TopicPartition(parts[1], Integer.parseInt(parts[2])))));
            return Arrays.copyOf(buffer.array(), buffer.limit());
        } else if (text.startsWith("repeat:")) {
            return new byte[Integer.parseInt(text.substring(7))];
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** A batch of values, or of `KEY=VALUE`; or the bytes of whatever is no batch. */
    private static MemoryRecords records(JsonNode json) {
        if (json.isTextual()) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes(json.asText())));
        }
        SimpleRecord[] records = StreamSupport.stream(json.spliterator(), false).map(item -> {
            String[] parts = item.asText().split("=", 2);
            byte[] value = parts[parts.length - 1].getBytes(StandardCharsets.UTF_8);
            byte[] key = parts.length == 1 ? null : parts[0].getBytes(StandardCharsets.UTF_8);
            return new SimpleRecord(NOW_MS, key, value);
        }).toArray(SimpleRecord[]::new);
        return MemoryRecords.withRecords(Compression.NONE, records);
    }

    /** Kafka's own JSON of a message. */
    static JsonNode json(ApiMessage message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        for (Method method : converter.getMethods()) {
            if (method.getName().equals("write") && method.getParameterCount() == 3) {
                try {
                    return (JsonNode) method.invoke(null, message, version, true);
                } catch (InvocationTargetException error) {
                    throw (Exception) error.getCause();
                }
            }
        }
        throw new IllegalStateException(converter.getName());
    }

    /** A line a value, `path = value`, without what cannot be equal. */
    static void flatten(String path, JsonNode node, Set<String> masked, List<String> lines) {
        String field = path.substring(path.lastIndexOf('.') + 1);
        if (node.isObject()) {
            node.properties().forEach(entry -> flatten(
                path + "." + entry.getKey(), entry.getValue(), masked, lines));
        } else if (node.isArray()) {
            // That it is empty is told, too.
            lines.add(path + " has " + node.size());
            List<String> elements = new ArrayList<>();
            for (JsonNode item : (ArrayNode) node) {
                List<String> inner = new ArrayList<>();
                flatten(path + "[" + key(item) + "]", item, masked, inner);
                elements.addAll(inner);
            }
            lines.addAll(elements);
        } else if (field.endsWith("rrorMessage")) {
            // Words are each broker's own, and so is whether there are any beside a code.
            return;
        } else if (VAGUE.contains(field) || masked.contains(field)) {
            lines.add(path + (node.isNull() ? " is null" : " is told"));
        } else if (field.equals("errorCode") || field.endsWith("ErrorCode")) {
            lines.add(path + " = " + Errors.forCode((short) node.asInt()));
        } else {
            lines.add(path + " = " + node);
        }
    }

    private static String key(JsonNode item) {
        List<String> parts = new ArrayList<>();
        for (String name : KEYS) {
            JsonNode value = item.get(name);
            if (value != null && value.isValueNode() && !VAGUE.contains(name)) {
                parts.add(value.asText());
            }
        }
        return String.join(" ", parts);
    }
}
