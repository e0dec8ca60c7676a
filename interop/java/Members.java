// Members of groups that stay while tools look at them.
//
//     start GROUP TOPIC PROTOCOL [INSTANCE]     classic or consumer; ends when it owns a partition
//     stop GROUP                                 all members of the group leave

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Members {
    private final String bootstrap;
    private final Map<String, List<Member>> members = new HashMap<>();

    Members(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    List<String> call(List<String> words) throws Exception {
        String group = words.get(1);
        if (words.get(0).equals("stop")) {
            for (Member member : members.remove(group)) {
                member.stop = true;
                member.join();
            }
            return List.of("stopped");
        }
        Member member = new Member(words);
        members.computeIfAbsent(group, name -> new ArrayList<>()).add(member);
        member.start();
        return List.of(member.owns.await(30, TimeUnit.SECONDS) ? "started" : "owns nothing");
    }

    private final class Member extends Thread {
        private final CountDownLatch owns = new CountDownLatch(1);
        private final Map<String, Object> config = new HashMap<>();
        private final String topic;
        private volatile boolean stop;

        Member(List<String> words) {
            topic = words.get(2);
            config.put("bootstrap.servers", bootstrap);
            config.put("group.id", words.get(1));
            config.put("client.id", "member-of-" + words.get(1));
            config.put("group.protocol", words.get(3));
            config.put("auto.offset.reset", "earliest");
            config.put("auto.commit.interval.ms", 100);
            if (words.size() > 4) {
                config.put("group.instance.id", words.get(4));
            }
            setDaemon(true);
        }

        @Override
        public void run() {
            try (var consumer = new KafkaConsumer<>(
                    config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                consumer.subscribe(List.of(topic));
                while (!stop) {
                    consumer.poll(Duration.ofMillis(100));
                    if (!consumer.assignment().isEmpty()) {
                        owns.countDown();
                    }
                }
            }
        }
    }
}
