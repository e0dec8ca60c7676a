// Compares what two brokers answered and prints each difference, for the lane to judge, maybe with
// a word before it.
//
//     same CASE
//     differs CASE <tab> first|second <tab> LINE     a line that only one of the two has

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

final class Compare {
    /** Lines told of one case; what differs in more of them differs in all. */
    private static final int LINES_MAX = 60;

    private final Path folder;
    private final String before;

    /** Whole answers are kept in `folder`, for whoever looks into a difference. */
    Compare(Path folder) throws Exception {
        this(folder, "");
    }

    /** With what is printed before each result. */
    Compare(Path folder, String before) throws Exception {
        this.folder = folder;
        this.before = before;
        Files.createDirectories(folder);
    }

    /** Both are lists of lines, normalized before. */
    void report(String name, List<String> first, List<String> second) throws Exception {
        keep(name, "first", first);
        keep(name, "second", second);
        List<String> onlySecond = without(second, first);
        List<String> onlyFirst = without(first, second);
        if (onlyFirst.isEmpty() && onlySecond.isEmpty()) {
            boolean ordered = first.equals(second);
            System.out.println(before
                + (ordered ? "same " + name : "differs " + name + "\tfirst\t(order)"));
        }
        if (first.size() == 1 || second.size() == 1) {
            // One of them has said nothing: the other's words do not matter.
            onlyFirst = onlyFirst.subList(0, Math.min(1, onlyFirst.size()));
            onlySecond = onlySecond.subList(0, Math.min(1, onlySecond.size()));
        }
        print(name, "first", onlyFirst);
        print(name, "second", onlySecond);
        System.out.flush();
    }

    private void keep(String name, String side, List<String> lines) throws Exception {
        String file = name.replaceAll("[^A-Za-z0-9.-]+", "-") + "." + side;
        Files.write(folder.resolve(file), lines, StandardCharsets.UTF_8);
    }

    private static List<String> without(List<String> lines, List<String> others) {
        List<String> left = new ArrayList<>(lines);
        others.forEach(left::remove);
        return left;
    }

    private void print(String name, String side, List<String> lines) {
        for (String line : lines.subList(0, Math.min(lines.size(), LINES_MAX))) {
            System.out.println(before + "differs " + name + "\t" + side + "\t"
                + line.replace('\t', ' '));
        }
    }
}
