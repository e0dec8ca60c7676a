// Sends one list of requests to two brokers and compares what they answer, field by field.
//
//     Differential REQUESTS FOLDER BOOTSTRAP BOOTSTRAP
//
// How requests are written is told in REQUESTS.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;

public final class Differential {
    static final ObjectMapper JSON = new ObjectMapper();

    private static final int TIMEOUT_MS = 20_000;

    /** What only reads is asked again when the answers differ: metadata reaches brokers late. */
    private static final List<String> READS =
        List.of("Describe", "List", "Metadata", "OffsetFetch", "Find", "ConsumerGroupDescribe");
    private static final long AGAIN_NS = 15_000_000_000L;
    private static final int AGAIN_MS = 150;

    /** Answers of a coordinator that is not ready yet. */
    private static final List<String> LOADING = List.of(
        "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR");
    private static final int LOADS = 100;
    private static final int LOAD_MS = 100;

    private record Request(String name, String api, short version, String body,
            Map<String, String> saves, Set<String> masked, String connection, char mode,
            boolean differs) {
    }

    private Differential() {
    }

    public static void main(String[] args) throws Exception {
        org.slf4j.LoggerFactory.getLogger(Differential.class).debug("begin");
        Compare compare = new Compare(Path.of(args[1]), "differential ");
        Broker first = new Broker(args[2]);
        Broker second = new Broker(args[3]);
        for (Request request : parse(Files.readAllLines(Path.of(args[0])))) {
            if (request.api.equals("pause")) {
                Thread.sleep(Long.parseLong(request.body));
                continue;
            }
            long start = System.nanoTime();
            List<String> one = first.ask(request);
            long middle = System.nanoTime();
            List<String> two = second.ask(request);
            System.err.printf("%s: %d and %d ms%n", request.name, (middle - start) / 1_000_000,
                (System.nanoTime() - middle) / 1_000_000);
            boolean again = !request.differs && READS.stream().anyMatch(request.api::startsWith);
            while (again && !one.equals(two) && System.nanoTime() - start < AGAIN_NS) {
                Thread.sleep(AGAIN_MS);
                one = first.ask(request);
                two = second.ask(request);
            }
            compare.report(request.name, one, two);
        }
        System.out.println("end");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static List<Request> parse(List<String> lines) throws Exception {
        List<Request> requests = new ArrayList<>();
        String section = "";
        Set<String> names = new TreeSet<>();
        for (String line : lines) {
            if (line.startsWith("== ")) {
                section = line.substring(3);
            } else if (!line.isBlank() && !line.startsWith("#")) {
                for (Request request : parse(section, line.split(" \\| "))) {
                    if (!names.add(request.name)) {
                        throw new IllegalArgumentException("twice: " + request.name);
                    }
                    requests.add(request);
                }
            }
        }
        return requests;
    }

    private static List<Request> parse(String section, String[] parts) throws Exception {
        String[] words = parts[1].split(" ");
        String[] range = words[1].split("-");
        Map<String, String> saves = new HashMap<>();
        Set<String> masked = new TreeSet<>();
        String connection = "main";
        char mode = '=';
        boolean differs = false;
        for (int n = 3; n < parts.length; n++) {
            String[] option = parts[n].split(" ");
            switch (option[0]) {
                case "save" -> saves.put(option[1], option[2]);
                case "mask" -> masked.addAll(List.of(option).subList(1, option.length));
                case "on" -> connection = option[1];
                case "send" -> mode = '>';
                case "take" -> mode = '<';
                case "differs" -> differs = true;
                default -> throw new IllegalArgumentException(parts[n]);
            }
        }
        List<Request> requests = new ArrayList<>();
        int last = Integer.parseInt(range[range.length - 1]);
        for (int version = Integer.parseInt(range[0]); version <= last; version++) {
            String name = section + ": " + parts[0] + (range.length > 1 ? " v" + version : "");
            requests.add(new Request(name, words[0], (short) version, parts[2], saves, masked,
                connection, mode, differs));
        }
        return requests;
    }

    /** One broker and what its answers have given so far. */
    private static final class Broker {
        private final String host;
        private final int port;
        private final Map<String, Socket> connections = new HashMap<>();
        private final Map<String, String> saved = new HashMap<>();
        private int correlationId;

        Broker(String bootstrap) {
            host = bootstrap.split(":")[0];
            port = Integer.parseInt(bootstrap.split(":")[1]);
        }

        /** The answer, as soon as the coordinator has found itself. */
        List<String> ask(Request request) throws Exception {
            List<String> lines = askOnce(request);
            for (int n = 0; n < LOADS && request.mode == '=' && loading(lines); n++) {
                Thread.sleep(LOAD_MS);
                lines = askOnce(request);
            }
            return lines;
        }

        private static boolean loading(List<String> lines) {
            return lines.stream().anyMatch(line -> LOADING.stream().anyMatch(line::endsWith));
        }

        private List<String> askOnce(Request request) throws Exception {
            Socket socket = connection(request.connection);
            try {
                if (request.mode != '<') {
                    socket.getOutputStream().write(bytes(request));
                }
                return request.mode == '>' ? List.of("sent") : answer(request, socket);
            } catch (EOFException | SocketException error) {
                connections.remove(request.connection).close();
                return List.of("closed");
            } catch (SocketTimeoutException error) {
                connections.remove(request.connection).close();
                return List.of("no answer");
            }
        }

        private Socket connection(String name) throws IOException {
            Socket socket = connections.get(name);
            if (socket == null) {
                socket = new Socket(host, port);
                socket.setSoTimeout(TIMEOUT_MS);
                socket.setTcpNoDelay(true);
                connections.put(name, socket);
            }
            return socket;
        }

        private byte[] bytes(Request request) throws Exception {
            if (request.api.equals("raw")) {
                return HexFormat.of().parseHex(request.body.replace(" ", ""));
            }
            String body = request.body;
            for (var entry : saved.entrySet()) {
                body = body.replace("$" + entry.getKey() + "$", entry.getValue());
            }
            ApiKeys api = api(request.api);
            ApiMessage message = Messages.fill(api.messageType.newRequest(), JSON.readTree(body));
            RequestHeaderData header = new RequestHeaderData().setRequestApiKey(api.id)
                .setRequestApiVersion(request.version).setCorrelationId(++correlationId)
                .setClientId("differential");
            short headerVersion = api.requestHeaderVersion(request.version);
            ByteBuffer head = MessageUtil.toByteBufferAccessor(header, headerVersion).buffer();
            ByteBuffer tail = MessageUtil.toByteBufferAccessor(message, request.version).buffer();
            ByteBuffer frame = ByteBuffer.allocate(4 + head.remaining() + tail.remaining());
            frame.putInt(head.remaining() + tail.remaining()).put(head).put(tail);
            return frame.array();
        }

        private List<String> answer(Request request, Socket socket) throws Exception {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] frame = new byte[in.readInt()];
            in.readFully(frame);
            if (request.api.equals("raw")) {
                return List.of("answered " + HexFormat.of().formatHex(frame));
            }
            ApiKeys api = api(request.api);
            ByteBufferAccessor bytes = new ByteBufferAccessor(ByteBuffer.wrap(frame));
            new ResponseHeaderData().read(bytes, api.responseHeaderVersion(request.version));
            ApiMessage message = api.messageType.newResponse();
            message.read(bytes, request.version);
            JsonNode json = Messages.json(message, request.version);
            for (var save : request.saves.entrySet()) {
                saved.put(save.getKey(), json.at(save.getValue()).asText());
            }
            List<String> lines = new ArrayList<>();
            Messages.flatten("", json, request.masked, lines);
            List<String> plain = new ArrayList<>();
            for (String line : lines) {
                for (var entry : saved.entrySet()) {
                    // A number is not told from other numbers.
                    if (entry.getValue().length() > 6) {
                        line = line.replace(entry.getValue(), "$" + entry.getKey());
                    }
                }
                line = line.replaceAll("differential-[0-9a-f-]{36}", "MEMBER");
                plain.add(line.replace(host + ":" + port, "HOST:PORT"));
            }
            plain.sort(null);
            if (bytes.remaining() > 0) {
                plain.add(bytes.remaining() + " bytes behind the answer");
            }
            return plain;
        }

        private static ApiKeys api(String name) {
            for (ApiKeys api : ApiKeys.values()) {
                if (api.name.equals(name)) {
                    return api;
                }
            }
            throw new IllegalArgumentException("no request " + name);
        }
    }
}
