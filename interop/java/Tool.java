// Runs the main class of one of Kafka's command-line tools inside this JVM.

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

final class Tool {
    /** Ends a tool that asked for the end of its process. */
    @SuppressWarnings("serial")
    private static final class Ended extends Error {
        Ended() {
            super(ENDED);
        }
    }

    /** What tools print of it that print whatever they catch. */
    static final String ENDED = "(the tool asked for its end)";

    private static Integer code;

    private Tool() {
    }

    /** Calls the tool with its output going to `out`; returns its exit code. */
    static int run(String mainClass, String input, OutputStream out, String... args)
            throws Exception {
        code = null;
        // The first code counts: some tools catch what ends them and exit once more.
        Exit.Procedure end = (status, message) -> {
            if (code == null) {
                code = status;
            }
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        PrintStream stdout = System.out;
        InputStream stdin = System.in;
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        try {
            Class.forName(mainClass).getMethod("main", String[].class)
                .invoke(null, (Object) args);
        } catch (InvocationTargetException error) {
            if (!(error.getCause() instanceof Ended)) {
                error.getCause().printStackTrace();
                return 1;
            }
        } finally {
            // What the end of the process would have run, as closing a producer.
            hooks.forEach(Runnable::run);
            System.out.flush();
            System.setOut(stdout);
            System.setIn(stdin);
        }
        return code == null ? 0 : code;
    }
}
