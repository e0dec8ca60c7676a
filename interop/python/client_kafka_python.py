"""kafka-python: the protocol in plain Python."""

import sys
import time

from kafka import (KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata,
                   TopicPartition)
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import BrokerResponseError, RetriableError

from cases import Record, Refused, main

TIMEOUT_S = 30
# The client's class names are Kafka's names in another spelling.
NAMES = {"TopicAlreadyExistsError": "TOPIC_ALREADY_EXISTS",
         "MessageSizeTooLargeError": "MESSAGE_TOO_LARGE",
         "TransactionalIdAuthorizationFailedError": "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"}


def refusal(error):
    name = type(error).__name__
    return Refused(NAMES.get(name, name))


class Client:
    # An encoder that takes no None.
    null_header_values = False
    empty_records = False

    def __init__(self, bootstrap):
        self.common = {"bootstrap_servers": bootstrap, "reconnect_backoff_max_ms": 500}
        self.admin = KafkaAdminClient(**self.common)
        self.producers = {}
        self.consumer = KafkaConsumer(
            **self.common, group_id=None, enable_auto_commit=False, auto_offset_reset="none",
            fetch_max_wait_ms=100, max_partition_fetch_bytes=4 << 20)

    def create(self, topic, partitions):
        try:
            self.admin.create_topics([NewTopic(topic, partitions, 1)])
        except BrokerResponseError as error:
            raise refusal(error) from error

    def delete(self, topic):
        self.admin.delete_topics([topic])

    def topics(self):
        return set(self.admin.list_topics())

    def partitions(self, topic):
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def _producer(self, codec, idempotent):
        if (codec, idempotent) not in self.producers:
            self.producers[codec, idempotent] = KafkaProducer(
                **self.common, acks="all", enable_idempotence=idempotent, linger_ms=20,
                compression_type=None if codec == "none" else codec,
                max_request_size=2_000_000, batch_size=65_536)
        return self.producers[codec, idempotent]

    def transaction(self, topic, record):
        producer = KafkaProducer(**self.common, transactional_id=topic)
        try:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(topic, record.value)
            producer.commit_transaction()
        except BrokerResponseError as error:
            raise refusal(error) from error
        finally:
            producer.close(0)

    def send(self, topic, records, codec="none", idempotent=False):
        producer = self._producer(codec, idempotent)
        futures = [
            producer.send(topic, r.value, r.key, headers=list(r.headers), timestamp_ms=r.timestamp)
            for r in records
        ]
        producer.flush(TIMEOUT_S)
        for future in futures:
            try:
                future.get(TIMEOUT_S)
            except BrokerResponseError as error:
                raise refusal(error) from error

    def read(self, topic, partition, offset, count):
        where = TopicPartition(topic, partition)
        self.consumer.assign([where])
        self.consumer.seek(where, offset)
        records = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(records) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(records)} of {count} records came")
            polled = self.consumer.poll(timeout_ms=1000, max_records=count - len(records))
            for m in polled.get(where, ()):
                deadline = time.monotonic() + TIMEOUT_S
                records.append(Record(m.value, m.key, tuple(m.headers), m.timestamp, m.offset,
                                      partition))
        return records

    def ends(self, topic, partition):
        where = TopicPartition(topic, partition)
        return (self.consumer.beginning_offsets([where])[where],
                self.consumer.end_offsets([where])[where])

    def offset_at(self, topic, timestamp):
        where = TopicPartition(topic, 0)
        found = self.consumer.offsets_for_times({where: timestamp})[where]
        return None if found is None or found.offset < 0 else found.offset


ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
             "sticky": StickyPartitionAssignor, "cooperative-sticky": CooperativeStickyAssignor}


class Member:
    def __init__(self, bootstrap, name, variant):
        self.topic = name
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, group_id=name, enable_auto_commit=False,
            auto_offset_reset="earliest", fetch_max_wait_ms=100, session_timeout_ms=3000,
            heartbeat_interval_ms=300, max_poll_interval_ms=6000, reconnect_backoff_max_ms=500,
            partition_assignment_strategy=[ASSIGNORS[variant]])
        self.consumer.subscribe([name])
        self.await_topic()
        self.answered = time.monotonic()

    def await_topic(self):
        # A leader that learns of the topic's partitions after it has joined joins again, and if the
        # answer to that comes between two polls, the client takes the join for done and never looks
        # at what it got: it reads on, sends no heartbeats and cannot commit.
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                if self.topic in self.consumer.topics():
                    return
                error = AssertionError(f"no topic {self.topic}")
            except RetriableError as failure:
                error = failure
            if time.monotonic() > deadline:
                raise error
            time.sleep(0.1)

    def poll(self):
        try:
            polled = self.consumer.poll(timeout_ms=200, max_records=500)
        except RetriableError as error:
            # While it looks for the coordinator of a broker that is not there, the client lets the
            # failure of its metadata request through.
            if time.monotonic() > self.answered + TIMEOUT_S:
                raise
            print("poll:", repr(error), file=sys.stderr, flush=True)
            time.sleep(0.1)
            return {}
        self.answered = time.monotonic()
        return {where.partition: (records[0].offset, records[-1].offset + 1)
                for where, records in polled.items()}

    def assignment(self):
        return [where.partition for where in self.consumer.assignment()]

    def position(self, partition):
        return self.consumer.position(TopicPartition(self.topic, partition), timeout_ms=5000)

    def commit(self, offsets):
        offsets = {TopicPartition(self.topic, partition): OffsetAndMetadata(n, "", -1)
                   for partition, n in offsets.items()}
        self.consumer.commit(offsets)

    def close(self):
        self.consumer.close(autocommit=False)


if __name__ == "__main__":
    main(Client, Member)
