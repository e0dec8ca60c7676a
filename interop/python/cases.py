"""The cases that every Python client runs, and the command line of the contract in ../README.md.

A client is an object with these methods, each of which waits until its work is done:

    create(topic, partitions)           delete(topic)           topics() -> set of names
    partitions(topic) -> int            ends(topic, partition) -> (earliest, latest)
    send(topic, records, codec="none", idempotent=False)
    read(topic, partition, offset, count) -> list of Record
    offset_at(topic, timestamp) -> offset or None

`send` and `read` keep their producer and consumer from call to call. A broker's refusal is raised
as Refused with Kafka's name of the error. Two constants say what a client's own checks forbid:
`null_header_values`, and `empty_records` with neither key nor value.
"""

import hashlib
import sys
import time
import traceback
from typing import NamedTuple, Optional

import member

BASE_MS = 1_600_000_000_000
# For a transaction to be refused.
SOON_S = 20
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Record(NamedTuple):
    """What is sent and what comes back; offset and partition are set on reading only."""

    value: Optional[bytes]
    key: Optional[bytes] = None
    headers: tuple = ()
    timestamp: Optional[int] = None
    offset: Optional[int] = None
    partition: Optional[int] = None


class Refused(Exception):
    """The broker's answer was an error; the text is its name, as TOPIC_ALREADY_EXISTS."""


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: got {str(got)[:200]}, expected {str(wanted)[:200]}")


def expect_refusal(name, call):
    try:
        call()
    except Refused as refusal:
        expect("refusal", str(refusal), name)
        return
    raise AssertionError(f"no error, expected {name}")


def eventually(what, call):
    """Waits up to ten seconds for a condition, since metadata reaches clients a little later."""
    deadline = time.monotonic() + 10
    while not call():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within ten seconds")
        time.sleep(0.1)


def payload(n):
    """Bytes of every value and many lengths, that compress a little."""
    return bytes((n + j * j) % 251 for j in range(1 + n * 37 % 1500))


def plain(records):
    return [(r.key, r.value) for r in records]


class Cases:
    """One method a case; `-` in a case's name is `_` here."""

    def __init__(self, client, prefix):
        self.client = client
        self.prefix = prefix

    def topic(self, name):
        """Creates the topic of a case where the client can, else leaves that to the broker."""
        topic = f"{self.prefix}-{name}"
        if hasattr(self.client, "create"):
            self.client.create(topic, 1)
        return topic

    def create(self):
        topic = f"{self.prefix}-create"
        self.client.create(topic, 3)
        eventually("partitions", lambda: self.client.partitions(topic) == 3)
        expect_refusal("TOPIC_ALREADY_EXISTS", lambda: self.client.create(topic, 3))

    def auto_create(self):
        topic = f"{self.prefix}-auto-create"
        self.client.send(topic, [Record(b"first")])
        expect("value", plain(self.client.read(topic, 0, 0, 1)), [(None, b"first")])

    def codec(self, codec):
        topic = self.topic(f"codec-{codec}")
        records = [Record(payload(n)) for n in range(300)]
        self.client.send(topic, records, codec=codec)
        expect("records", plain(self.client.read(topic, 0, 0, 300)), plain(records))

    def keys(self):
        topic = f"{self.prefix}-keys"
        self.client.create(topic, 3)
        records = [Record(b"%d" % n, b"key%d" % (n % 7)) for n in range(70)]
        self.client.send(topic, records)
        seen = {}
        for partition in range(3):
            earliest, latest = self.client.ends(topic, partition)
            for r in self.client.read(topic, partition, earliest, latest - earliest):
                seen.setdefault(r.key, []).append((partition, r.value))
        for n in range(7):
            values = seen.get(b"key%d" % n, [])
            expect("partitions of a key", len({partition for partition, _ in values}), 1)
            wanted = [b"%d" % m for m in range(n, 70, 7)]
            expect("values of a key", [value for _, value in values], wanted)

    def nulls(self):
        topic = self.topic("nulls")
        records = [Record(b"v"), Record(None, b"k"), Record(b"", b"")]
        if self.client.empty_records:
            records.append(Record(None))
        self.client.send(topic, records)
        got = self.client.read(topic, 0, 0, len(records))
        expect("records", plain(got), plain(records))

    def headers(self):
        topic = self.topic("headers")
        headers = [("a", b"1"), ("b", b""), ("a", b"2"), ("\u00e9", b"\xff\xfe")]
        if self.client.null_header_values:
            headers.append(("n", None))
        self.client.send(topic, [Record(b"v", headers=tuple(headers))])
        got = self.client.read(topic, 0, 0, 1)[0].headers
        expect("headers", [tuple(header) for header in got], headers)

    def timestamps(self):
        topic = self.topic("timestamps")
        records = [Record(b"%d" % n, timestamp=BASE_MS + n * 1000) for n in range(10)]
        self.client.send(topic, records)
        got = [r.timestamp for r in self.client.read(topic, 0, 0, 10)]
        expect("timestamps", got, [r.timestamp for r in records])

    def large(self):
        topic = self.topic("large")
        value = payload(39) * (1_000_000 // len(payload(39)) + 1)
        self.client.send(topic, [Record(value[:1_000_000])])
        got = self.client.read(topic, 0, 0, 1)[0].value
        expect("digest", hashlib.sha256(got).hexdigest(),
               hashlib.sha256(value[:1_000_000]).hexdigest())

    def too_large(self):
        topic = self.topic("too-large")
        oversized = [Record(b"x" * 1_200_000)]
        expect_refusal("MESSAGE_TOO_LARGE", lambda: self.client.send(topic, oversized))
        self.client.send(topic, [Record(b"small")])
        expect("value", plain(self.client.read(topic, 0, 0, 1)), [(None, b"small")])

    def seek_offset(self):
        topic = self.topic("seek-offset")
        self.client.send(topic, [Record(b"%d" % n) for n in range(100)])
        for offset in (42, 0, 99):
            got = self.client.read(topic, 0, offset, 1)[0]
            expect("record", (got.offset, got.value), (offset, b"%d" % offset))

    def seek_time(self):
        topic = self.topic("seek-time")
        records = [Record(b"%d" % n, timestamp=BASE_MS + n * 1000) for n in range(100)]
        self.client.send(topic, records)
        for timestamp, offset in ((0, 0), (42_000, 42), (42_500, 43), (99_000, 99)):
            got = self.client.offset_at(topic, BASE_MS + timestamp)
            expect(f"offset at {timestamp}", got, offset)
        expect("offset past the end", self.client.offset_at(topic, BASE_MS + 99_001), None)

    def idempotent(self):
        topic = self.topic("idempotent")
        records = [Record(b"%d" % n) for n in range(500)]
        for n in range(0, 500, 100):
            self.client.send(topic, records[n:n + 100], idempotent=True)
        expect("records", plain(self.client.read(topic, 0, 0, 500)), plain(records))
        expect("ends", self.client.ends(topic, 0), (0, 500))

    def transactional(self):
        topic = self.topic("transactional")
        start = time.monotonic()
        try:
            self.client.transaction(topic, Record(b"1"))
        except Refused as refusal:
            expect("refusal", str(refusal), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED")
            expect("soon", time.monotonic() - start < SOON_S, True)
        else:
            expect("records", plain(self.client.read(topic, 0, 0, 1)), plain([Record(b"1")]))

    def list_offsets(self):
        topic = self.topic("list-offsets")
        if hasattr(self.client, "create"):
            expect("ends", self.client.ends(topic, 0), (0, 0))
        self.client.send(topic, [Record(b"%d" % n) for n in range(7)])
        expect("ends", self.client.ends(topic, 0), (0, 7))

    def delete(self):
        topic = self.topic("delete")
        eventually("topic is listed", lambda: topic in self.client.topics())
        self.client.delete(topic)
        eventually("topic is gone", lambda: topic not in self.client.topics())

    def reconnect(self):
        topic = self.topic("reconnect")
        if hasattr(self.client, "live_reconnect"):
            self.client.live_reconnect(topic)
            return
        records = [Record(b"%d" % n) for n in range(20)]
        self.client.send(topic, records[:10], idempotent=True)
        expect("before", plain(self.client.read(topic, 0, 0, 10)), plain(records[:10]))
        wait_for_restart()
        self.client.send(topic, records[10:], idempotent=True)
        expect("after", plain(self.client.read(topic, 0, 10, 10)), plain(records[10:]))
        expect("all", plain(self.client.read(topic, 0, 0, 20)), plain(records))

    def run(self, case):
        if case.startswith("codec-"):
            self.codec(case.removeprefix("codec-"))
        else:
            getattr(self, case.replace("-", "_"))()


def wait_for_restart():
    print("restart", flush=True)
    sys.stdin.readline()


def send_file(client, topic, codec, path):
    """Sends each line of a file; a client may have a faster way of its own."""
    count = 0
    with open(path, "rb") as lines:
        batch = []
        for line in lines:
            batch.append(Record(line.rstrip(b"\n")))
            if len(batch) == 20_000:
                client.send(topic, batch, codec=codec)
                count += len(batch)
                batch = []
        client.send(topic, batch, codec=codec)
    return count + len(batch)


def receive(client, topic, count):
    digest = hashlib.sha256()
    offset = 0
    while offset < count:
        records = client.read(topic, 0, offset, min(20_000, count - offset))
        for r in records:
            digest.update(r.value)
            digest.update(b"\n")
        offset += len(records)
    return digest.hexdigest()


def main(new_client, new_member):
    bootstrap, command, *rest = sys.argv[1:]
    if command == "member":
        prefix, *variants = rest
        member.run(lambda *names: new_member(bootstrap, *names), prefix, variants)
        return
    client = new_client(bootstrap)
    if command == "send":
        topic, codec, path = rest
        send = getattr(client, "send_file", None) or (lambda *a: send_file(client, *a))
        print("sent", send(topic, codec, path), flush=True)
        return
    if command == "receive":
        take = getattr(client, "receive", None) or (lambda *a: receive(client, *a))
        print("sha256", take(rest[0], int(rest[1])), flush=True)
        return
    prefix, *names = rest
    cases = Cases(client, prefix)
    for case in names:
        try:
            cases.run(case)
            print("ok", case, flush=True)
        except Exception as error:  # whatever it is, it is this case's and the next one goes on
            traceback.print_exc()
            why = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"FAIL {case}: {why[:500]}", flush=True)
