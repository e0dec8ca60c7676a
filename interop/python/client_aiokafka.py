"""aiokafka: asyncio, and the oldest request versions of all clients here."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import BrokerResponseError, for_code

from cases import Record, Refused, main

TIMEOUT_S = 30
NAMES = {"TopicAlreadyExistsError": "TOPIC_ALREADY_EXISTS",
         "MessageSizeTooLargeError": "MESSAGE_TOO_LARGE",
         "TransactionalIdAuthorizationFailed": "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"}


def refusal(kind):
    return Refused(NAMES.get(kind.__name__, kind.__name__))


class Client:
    null_header_values = True
    empty_records = False

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.producers = {}
        self.admin = self.consumer = None
        self._run(self._start())

    def _run(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT_S * 2))

    async def _start(self):
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await self.admin.start()
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False,
            auto_offset_reset="none", fetch_max_wait_ms=100, max_partition_fetch_bytes=4 << 20)
        await self.consumer.start()

    def create(self, topic, partitions):
        answer = self._run(self.admin.create_topics([NewTopic(topic, partitions, 1)]))
        self._check(answer.topic_errors)

    def delete(self, topic):
        self._check(self._run(self.admin.delete_topics([topic])).topic_error_codes)

    def _check(self, errors):
        for _, code, *_ in errors:
            if code:
                raise refusal(for_code(code))

    def topics(self):
        return set(self._run(self.admin.list_topics()))

    def partitions(self, topic):
        return len(self._run(self.admin.describe_topics([topic]))[0]["partitions"])

    async def _producer(self, codec, idempotent):
        if (codec, idempotent) not in self.producers:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=idempotent,
                compression_type=None if codec == "none" else codec, linger_ms=20,
                max_request_size=2_000_000, max_batch_size=65_536)
            await producer.start()
            self.producers[codec, idempotent] = producer
        return self.producers[codec, idempotent]

    def transaction(self, topic, record):
        self._run(self._transaction(topic, record))

    async def _transaction(self, topic, record):
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=topic)
        try:
            await producer.start()
            async with producer.transaction():
                await producer.send_and_wait(topic, record.value)
        except BrokerResponseError as error:
            raise refusal(type(error)) from error
        finally:
            await producer.stop()

    def send(self, topic, records, codec="none", idempotent=False):
        self._run(self._send(topic, records, codec, idempotent))

    async def _send(self, topic, records, codec, idempotent):
        producer = await self._producer(codec, idempotent)
        try:
            futures = [
                await producer.send(topic, r.value, r.key, headers=list(r.headers) or None,
                                    timestamp_ms=r.timestamp)
                for r in records
            ]
            for future in futures:
                await future
        except BrokerResponseError as error:
            raise refusal(type(error)) from error

    def read(self, topic, partition, offset, count):
        return self._run(self._read(TopicPartition(topic, partition), offset, count))

    async def _assign(self, where):
        # The client learns the partitions of an assigned topic from its next metadata update.
        if where not in self.consumer.assignment():
            self.consumer.assign([where])

    async def _read(self, where, offset, count):
        await self._assign(where)
        self.consumer.seek(where, offset)
        records = []
        while len(records) < count:
            polled = await self.consumer.getmany(
                where, timeout_ms=1000, max_records=count - len(records))
            for m in polled.get(where, ()):
                records.append(Record(m.value, m.key, tuple(m.headers), m.timestamp, m.offset,
                                      where.partition))
        return records

    def ends(self, topic, partition):
        return self._run(self._ends(TopicPartition(topic, partition)))

    async def _ends(self, where):
        await self._assign(where)
        earliest = await self.consumer.beginning_offsets([where])
        latest = await self.consumer.end_offsets([where])
        return earliest[where], latest[where]

    def offset_at(self, topic, timestamp):
        return self._run(self._offset_at(TopicPartition(topic, 0), timestamp))

    async def _offset_at(self, where, timestamp):
        await self._assign(where)
        found = (await self.consumer.offsets_for_times({where: timestamp}))[where]
        return None if found is None or found.offset < 0 else found.offset


ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
             "sticky": StickyPartitionAssignor}


class Member:
    def __init__(self, bootstrap, name, variant):
        self.topic = name
        self.loop = asyncio.new_event_loop()
        self.consumer = self._run(self._start(bootstrap, name, ASSIGNORS[variant]))

    def _run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def _start(self, bootstrap, name, assignor):
        consumer = AIOKafkaConsumer(
            name, bootstrap_servers=bootstrap, group_id=name, enable_auto_commit=False,
            auto_offset_reset="earliest", fetch_max_wait_ms=100, session_timeout_ms=3000,
            heartbeat_interval_ms=300, max_poll_interval_ms=6000, rebalance_timeout_ms=6000,
            partition_assignment_strategy=[assignor])
        await consumer.start()
        return consumer

    def poll(self):
        polled = self._run(self.consumer.getmany(timeout_ms=200, max_records=500))
        return {where.partition: (records[0].offset, records[-1].offset + 1)
                for where, records in polled.items()}

    def assignment(self):
        return [where.partition for where in self.consumer.assignment()]

    def position(self, partition):
        return self._run(self.consumer.position(TopicPartition(self.topic, partition)))

    def commit(self, offsets):
        self._run(self.consumer.commit(
            {TopicPartition(self.topic, partition): n for partition, n in offsets.items()}))

    def close(self):
        self._run(self.consumer.stop())


if __name__ == "__main__":
    main(Client, Member)
