"""Segments of the message formats before Kafka 0.11, written by kafka-python's own encoder.

    old_formats.py create BOOTSTRAP      makes the topics
    old_formats.py write DATA            puts old segments into their directories, no broker running
    old_formats.py expected              prints what every reader must find
    old_formats.py read CLIENT BOOTSTRAP prints what a client finds

A line is `TOPIC OFFSET TIMESTAMP KEY VALUE`, the last two in hexadecimal or `null`; and
`TOPIC since TIMESTAMP OFFSET` for the first record of that time or later. A timestamp that a record
has not is -1.
"""

import asyncio
import os
import pathlib
import sys

from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3}
T0 = 1_500_000_000_000
# LZ4 as Kafka 0.8 wrote it wants a package more, and only clients ever look into it.
LEFT_OUT = [(0, "lz4")]
# Per topic, its segments; per segment its batches, as magic, codec and number of records.
TOPICS = {f"old-v{magic}-{codec}": [[(magic, codec, 5), (magic, codec, 1)], [(magic, codec, 7)]]
          for magic in (0, 1) for codec in CODECS if (magic, codec) not in LEFT_OUT}
TOPICS["old-mixed"] = [[(0, "none", 3), (0, "gzip", 4), (1, "none", 2)],
                       [(1, "lz4", 5), (1, "snappy", 1)],
                       [(1, "gzip", 3), (2, "none", 4), (2, "gzip", 2)]]
# No record of these batches has a timestamp, although their format could hold one.
TOPICS["old-untimed"] = [[(1, "none", 3), (1, "gzip", 3)]]
TIMES = [0, T0, T0 + 1, T0 + 35, T0 + 1_000_000]


def record(topic, offset, magic):
    """Timestamp, key and value of a record: some keys and values are null, some are empty."""
    timed = magic > 0 and topic != "old-untimed"
    timestamp = T0 + offset * 10 if timed else -1
    key = [None, b"", f"key-{offset}".encode()][offset % 3]
    value = [f"value-{offset}-{topic}".encode() * 3, b"", None][0 if offset % 5 else offset % 3]
    return timestamp, key, value


def records(topic):
    offset = 0
    for segment in TOPICS[topic]:
        for magic, _, count in segment:
            for _ in range(count):
                yield (offset, *record(topic, offset, magic))
                offset += 1


def legacy(topic, magic, codec, first, count):
    builder = LegacyRecordBatchBuilder(magic, CODECS[codec], 1 << 30)
    newest = -1
    for offset in range(first, first + count):
        timestamp, key, value = record(topic, offset, magic)
        # Inside a compressed message of magic 1 offsets count from 0.
        inside = offset - first if magic == 1 and codec != "none" else offset
        builder.append(inside, timestamp, key, value)
        newest = max(newest, timestamp)
    if codec == "none":
        return bytes(builder.build())
    wrapper = builder.build()
    start = builder.KEY_OFFSET_V0 if magic == 0 else builder.KEY_OFFSET_V1
    compressed = bytes(wrapper[start + builder.KEY_LENGTH + builder.VALUE_LENGTH:])
    # The broker gave the outer message its last record's offset and its newest timestamp.
    builder._encode_msg(0, first + count - 1, newest, None, compressed, CODECS[codec])
    return bytes(builder._buffer)


def modern(topic, codec, first, count):
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], False, -1, -1, -1, 1 << 30)
    for n in range(count):
        timestamp, key, value = record(topic, first + n, 2)
        builder.append(n, timestamp, key, value, [])
    batch = builder.build()
    batch[0:8] = first.to_bytes(8, "big")
    batch[12:16] = (0).to_bytes(4, "big")
    return bytes(batch)


def write(data):
    """What a broker of those days, killed, has left: no index, no snapshot, no leader epochs."""
    for topic, segments in TOPICS.items():
        folder = pathlib.Path(data) / f"{topic}-0"
        for file in folder.iterdir():
            if file.name != "partition.metadata":
                file.unlink()
        offset = 0
        for segment in segments:
            with open(folder / f"{offset:020}.log", "wb") as log:
                for magic, codec, count in segment:
                    make = modern if magic == 2 else legacy
                    args = (codec, offset, count) if magic == 2 else (magic, codec, offset, count)
                    log.write(make(topic, *args))
                    offset += count
    for name in (".kafka_cleanshutdown", "recovery-point-offset-checkpoint",
                 "replication-offset-checkpoint"):
        path = pathlib.Path(data) / name
        if path.exists():
            os.remove(path)


def show(topic, offset, timestamp, key, value):
    def text(data):
        return "null" if data is None else data.hex() or "empty"
    print(topic, offset, -1 if timestamp is None else timestamp, text(key), text(value))


def expected():
    for topic in sorted(TOPICS):
        all_records = list(records(topic))
        for item in all_records:
            show(topic, *item)
        for time in TIMES:
            found = [offset for offset, timestamp, _, _ in all_records if timestamp >= time]
            print(topic, "since", time, found[0] if found else "none")


def create(bootstrap):
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    # The records are of 2017.
    configs = {"retention.ms": "-1"}
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs=configs) for topic in TOPICS])


def count(topic):
    return sum(1 for _ in records(topic))


def read_kafka_python(bootstrap):
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    for topic in sorted(TOPICS):
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        seen = 0
        while seen < count(topic):
            got = consumer.poll(timeout_ms=20_000).get(partition, [])
            if not got:
                raise SystemExit(f"{topic}: nothing after {seen} records")
            for item in got:
                show(topic, item.offset, item.timestamp, item.key, item.value)
            seen += len(got)
        for time in TIMES:
            found = consumer.offsets_for_times({partition: time})[partition]
            print(topic, "since", time, "none" if found is None else found.offset)


async def read_aiokafka(bootstrap):
    from aiokafka import AIOKafkaConsumer, TopicPartition
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        for topic in sorted(TOPICS):
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            consumer.seek(partition, 0)
            for _ in range(count(topic)):
                item = await asyncio.wait_for(consumer.getone(), 20)
                show(topic, item.offset, item.timestamp, item.key, item.value)
            for time in TIMES:
                found = (await consumer.offsets_for_times({partition: time}))[partition]
                print(topic, "since", time, "none" if found is None else found.offset)
    finally:
        await consumer.stop()


def read_confluent(bootstrap):
    from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "old-formats",
                         "enable.auto.commit": False})
    for topic in sorted(TOPICS):
        consumer.assign([TopicPartition(topic, 0, 0)])
        for _ in range(count(topic)):
            item = consumer.poll(20)
            if item is None or item.error():
                raise SystemExit(f"{topic}: {item and item.error()}")
            kind, timestamp = item.timestamp()
            timestamp = -1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp
            show(topic, item.offset(), timestamp, item.key(), item.value())
        for time in TIMES:
            found = consumer.offsets_for_times([TopicPartition(topic, 0, time)], 20)[0]
            print(topic, "since", time, "none" if found.offset < 0 else found.offset)
    consumer.close()


READERS = {"kafka-python": read_kafka_python, "confluent": read_confluent,
           "aiokafka": lambda bootstrap: asyncio.run(read_aiokafka(bootstrap))}


def main(args):
    match args:
        case ["create", bootstrap]:
            create(bootstrap)
        case ["write", data]:
            write(data)
        case ["expected"]:
            expected()
        case ["read", client, bootstrap]:
            READERS[client](bootstrap)
        case _:
            raise SystemExit(__doc__)


main(sys.argv[1:])
