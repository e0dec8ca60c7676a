"""confluent-kafka, on a current librdkafka."""

import hashlib
import sys
import threading
import time

from confluent_kafka import (Consumer, KafkaException, Producer, TIMESTAMP_NOT_AVAILABLE,
                             TopicPartition)
from confluent_kafka.admin import AdminClient, NewTopic

from cases import Record, Refused, main

TIMEOUT_S = 30
# librdkafka's own names differ from Kafka's in these.
NAMES = {"MSG_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE"}


def refusal(error):
    name = error.name()
    return Refused(NAMES.get(name, name))


class Client:
    null_header_values = True
    empty_records = True

    def __init__(self, bootstrap):
        self.common = {"bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 500}
        self.admin = AdminClient(self.common)
        self.producers = {}
        self.consumer = Consumer({
            **self.common, "group.id": "none", "enable.auto.commit": False,
            "auto.offset.reset": "error", "fetch.wait.max.ms": 100,
        })

    def create(self, topic, partitions):
        self._wait(self.admin.create_topics([NewTopic(topic, partitions, 1)]))

    def delete(self, topic):
        self._wait(self.admin.delete_topics([topic]))

    def _wait(self, futures):
        for future in futures.values():
            try:
                future.result(TIMEOUT_S)
            except KafkaException as error:
                raise refusal(error.args[0]) from error

    def topics(self):
        return set(self.admin.list_topics(timeout=TIMEOUT_S).topics)

    def partitions(self, topic):
        found = self.admin.list_topics(timeout=TIMEOUT_S).topics.get(topic)
        return len(found.partitions) if found else 0

    def _producer(self, codec, idempotent):
        if (codec, idempotent) not in self.producers:
            self.producers[codec, idempotent] = Producer({
                **self.common, "compression.type": codec, "enable.idempotence": idempotent,
                "acks": "all", "linger.ms": 20, "message.max.bytes": 2_000_000,
                "queue.buffering.max.messages": 1_000_000,
            })
        return self.producers[codec, idempotent]

    def transaction(self, topic, record):
        producer = Producer({**self.common, "transactional.id": topic})
        try:
            producer.init_transactions(TIMEOUT_S)
            producer.begin_transaction()
            producer.produce(topic, record.value)
            producer.commit_transaction(TIMEOUT_S)
        except KafkaException as error:
            raise refusal(error.args[0]) from error

    def send(self, topic, records, codec="none", idempotent=False):
        producer = self._producer(codec, idempotent)
        errors = []
        delivered = []

        def report(error, message):
            (errors if error else delivered).append(error or message)

        for r in records:
            stamp = {} if r.timestamp is None else {"timestamp": r.timestamp}
            producer.produce(topic, r.value, r.key, headers=list(r.headers) or None,
                             on_delivery=report, **stamp)
            producer.poll(0)
        producer.flush(TIMEOUT_S)
        if errors:
            raise refusal(errors[0])
        if len(delivered) != len(records):
            raise AssertionError(f"{len(delivered)} of {len(records)} records delivered")

    def _messages(self, topic, partition, offset, count):
        self.consumer.assign([TopicPartition(topic, partition, offset)])
        left = count
        deadline = time.monotonic() + TIMEOUT_S
        while left > 0 and time.monotonic() < deadline:
            messages = self.consumer.consume(min(left, 10_000), timeout=1)
            for message in messages:
                if message.error():
                    if message.error().retriable() or message.error().code() < 0:
                        continue
                    raise refusal(message.error())
                left -= 1
                deadline = time.monotonic() + TIMEOUT_S
                yield message
        if left > 0:
            raise AssertionError(f"{left} of {count} records did not come")

    def read(self, topic, partition, offset, count):
        return [
            Record(m.value(), m.key(), tuple(m.headers() or ()), stamp(m), m.offset(), partition)
            for m in self._messages(topic, partition, offset, count)
        ]

    def receive(self, topic, count):
        digest = hashlib.sha256()
        for message in self._messages(topic, 0, 0, count):
            digest.update(message.value())
            digest.update(b"\n")
        return digest.hexdigest()

    def send_file(self, topic, codec, path):
        producer = self._producer(codec, True)
        count = 0
        with open(path, "rb") as lines:
            for line in lines:
                while True:
                    try:
                        producer.produce(topic, line[:-1])
                        break
                    except BufferError:
                        producer.poll(0.1)
                count += 1
        left = producer.flush(120)
        if left:
            raise AssertionError(f"{left} records not delivered")
        return count

    def ends(self, topic, partition):
        return self.consumer.get_watermark_offsets(TopicPartition(topic, partition), TIMEOUT_S)

    def offset_at(self, topic, timestamp):
        found = self.consumer.offsets_for_times([TopicPartition(topic, 0, timestamp)], TIMEOUT_S)
        return found[0].offset if found[0].offset >= 0 else None


def stamp(message):
    kind, timestamp = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp


# What to ask for, of librdkafka's settings.
CLASSIC = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 300}
VARIANTS = {
    "range": {**CLASSIC, "partition.assignment.strategy": "range"},
    "roundrobin": {**CLASSIC, "partition.assignment.strategy": "roundrobin"},
    "cooperative-sticky": {**CLASSIC, "partition.assignment.strategy": "cooperative-sticky"},
    "consumer": {"group.protocol": "consumer"},
    "consumer-range": {"group.protocol": "consumer", "group.remote.assignor": "range"},
}


class Member:
    def __init__(self, bootstrap, name, variant):
        self.topic = name
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": name, "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 500, "max.poll.interval.ms": 6000, **VARIANTS[variant],
        })
        self.consumer.subscribe([name])

    def poll(self):
        ranges = {}
        for message in self.consumer.consume(500, timeout=0.2):
            if message.error():
                print(message.error(), file=sys.stderr, flush=True)
                continue
            first, _ = ranges.get(message.partition(), (message.offset(), None))
            ranges[message.partition()] = first, message.offset() + 1
        return ranges

    def assignment(self):
        return [where.partition for where in self.consumer.assignment()]

    def position(self, partition):
        return self.consumer.position([TopicPartition(self.topic, partition)])[0].offset

    def commit(self, offsets):
        answers = self.consumer.commit(
            offsets=[TopicPartition(self.topic, *place) for place in offsets.items()],
            asynchronous=False)
        for answer in answers:
            if answer.error:
                raise KafkaException(answer.error)

    def close(self):
        self.consumer.close()


def relay(bootstrap):
    """Produces what it is told to, as franz/relay.go does."""
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2,
        "compression.type": "lz4",
        "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 10,
        "retry.backoff.max.ms": 50, "delivery.timeout.ms": 60_000,
        "topic.metadata.refresh.interval.ms": 200,
    })

    def serve():
        while True:
            producer.poll(0.05)

    threading.Thread(target=serve, daemon=True).start()
    for line in sys.stdin:
        number, topic, partition, key, value = line.split()

        def done(error, message, number=number):
            what = f"lost {number} {error}" if error else f"acked {number} {message.offset()}"
            sys.stdout.write(what + "\n")
            sys.stdout.flush()

        producer.produce(
            topic, bytes.fromhex(value), None if key == "-" else bytes.fromhex(key),
            int(partition), on_delivery=done)
    producer.flush(TIMEOUT_S)


if __name__ == "__main__":
    if sys.argv[2] == "relay":
        relay(sys.argv[1])
    else:
        main(Client, Member)
