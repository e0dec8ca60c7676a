"""kcat of Debian, on an old librdkafka: every call is a process, but for `reconnect`."""

import hashlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading

import member
from cases import Record, Refused, expect, main, plain, wait_for_restart

TIMEOUT_S = 30


class Client:
    null_header_values = True
    empty_records = True

    def __init__(self, bootstrap):
        self.command = ["kcat", "-b", bootstrap, "-X", "message.max.bytes=2000000",
                        "-X", "reconnect.backoff.max.ms=500"]

    def _run(self, *args, stdin=b""):
        done = subprocess.run([*self.command, *args], input=stdin, capture_output=True,
                              timeout=TIMEOUT_S, check=False)
        text = done.stderr.decode()
        if "Message size too large" in text:
            raise Refused("MESSAGE_TOO_LARGE")
        if done.returncode:
            raise AssertionError(f"kcat {args!s:.200}: {text}")
        return done.stdout

    def send(self, topic, records, codec="none", idempotent=False):
        # A file argument is one value, whatever its bytes; one process sends many with one key.
        options = ["-P", "-t", topic, "-z", codec, "-X", "acks=all", "-X", "linger.ms=20",
                   "-X", f"enable.idempotence={str(idempotent).lower()}"]
        with tempfile.TemporaryDirectory() as folder:
            group, how = [], None
            for n, r in enumerate(records):
                if not r.value and group:
                    self._run(*options, *how, *group)
                    group = []
                if not r.value:
                    # An empty file is skipped, an empty line's key and value are not.
                    null = ["-Z"] if r.value is None else []
                    self._run(*options, "-K:", *null, stdin=(r.key or b"") + b":\n")
                    continue
                path = os.path.join(folder, str(n))
                with open(path, "wb") as file:
                    file.write(r.value)
                own = [] if r.key is None else ["-k", r.key.decode()]
                for name, value in r.headers:
                    own += ["-H", name if value is None else name.encode() + b"=" + value]
                if how not in (None, own):
                    self._run(*options, *how, *group)
                    group = []
                how = own
                group.append(path)
            if group:
                self._run(*options, *how, *group)

    def read(self, topic, partition, offset, count):
        output = self._run("-C", "-t", topic, "-p", str(partition), "-o", str(offset),
                           "-c", str(count), "-q", "-f", "%o %T %K %S %h\n%k%s")
        records = []
        at = 0
        while at < len(output):
            end = output.index(b"\n", at)
            number, stamp, key_len, len_, headers = output[at:end].split(b" ", 4)
            at = end + 1
            key, at = piece(output, at, int(key_len))
            value, at = piece(output, at, int(len_))
            records.append(Record(value, key, header_list(headers), int(stamp), int(number),
                                  partition))
        return records

    def receive(self, topic, count):
        args = ["-C", "-t", topic, "-p", "0", "-o", "0", "-c", str(count), "-q"]
        with subprocess.Popen([*self.command, *args], stdout=subprocess.PIPE) as process:
            return hashlib.file_digest(process.stdout, "sha256").hexdigest()

    def send_file(self, topic, codec, path):
        subprocess.run([*self.command, "-P", "-t", topic, "-z", codec, "-X", "acks=all",
                        "-X", "enable.idempotence=true", "-l", path], check=True, timeout=300)
        with open(path, "rb") as lines:
            return sum(1 for _ in lines)

    def _query(self, topic, timestamp):
        output = self._run("-Q", "-t", f"{topic}:0:{timestamp}")
        return int(re.search(rb"offset (-?\d+)", output).group(1))

    def ends(self, topic, partition):
        expect("partition", partition, 0)
        return self._query(topic, -2), self._query(topic, -1)

    def offset_at(self, topic, timestamp):
        offset = self._query(topic, timestamp)
        return None if offset < 0 else offset

    def live_reconnect(self, topic):
        """Two processes that outlive the broker's restart; -E lets them wait for it."""
        # Its input is read in whole buffers: the processes start before the restart, the
        # producer's records follow after it.
        self.send(topic, [Record(b"%d" % n) for n in range(10)])
        producer = subprocess.Popen(
            [*self.command, "-E", "-P", "-t", topic, "-X", "enable.idempotence=true", "-u"],
            stdin=subprocess.PIPE)
        consumer = subprocess.Popen(
            [*self.command, "-E", "-C", "-t", topic, "-o", "beginning", "-u", "-q", "-c", "20",
             "-X", "topic.metadata.refresh.interval.ms=500"], stdout=subprocess.PIPE)
        try:
            expect("before", [consumer.stdout.readline() for _ in range(10)],
                   [b"%d\n" % n for n in range(10)])
            wait_for_restart()
            producer.stdin.write(b"".join(b"%d\n" % n for n in range(10, 20)))
            producer.stdin.close()
            expect("producer's exit code", producer.wait(TIMEOUT_S), 0)
            rest = consumer.communicate(timeout=TIMEOUT_S)[0]
            expect("after", rest, b"".join(b"%d\n" % n for n in range(10, 20)))
        finally:
            producer.kill()
            consumer.kill()
        expect("all", plain(self.read(topic, 0, 0, 20)),
               [(None, b"%d" % n) for n in range(20)])


def piece(output, at, length):
    """A length of -1 is null."""
    return (None, at) if length < 0 else (output[at:at + length], at + length)


def header_list(text):
    """Reads kcat's `a=1,b=,c=NULL`."""
    if not text:
        return ()
    pairs = (part.split(b"=", 1) for part in text.split(b","))
    return tuple((name.decode(), None if value == b"NULL" else value) for name, value in pairs)


class Member:
    """A process that balances; it commits on its own, soon after it has printed a record."""

    def __init__(self, bootstrap, name, variant):
        self.variant = variant
        self.owned = []
        self.ranges = {}
        # The process must not outlive this one, however this one ends.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "kcat", "-b", bootstrap, "-E", "-u", "-f",
             "%p %o\n", "-X", f"partition.assignment.strategy={variant}",
             "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=3000",
             "-X", "heartbeat.interval.ms=300", "-X", "auto.commit.interval.ms=100",
             "-X", "fetch.wait.max.ms=100", "-X", "reconnect.backoff.max.ms=500",
             "-X", "max.poll.interval.ms=6000", "-G", name, name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        self.readers = [threading.Thread(target=self._read, args=(pipe,), daemon=True)
                        for pipe in (self.process.stdout, self.process.stderr)]
        for reader in self.readers:
            reader.start()

    def _read(self, pipe):
        for line in pipe:
            self.lines.put((pipe, line.decode()))

    def poll(self):
        try:
            self._take(*self.lines.get(timeout=0.2))
            while True:
                self._take(*self.lines.get_nowait())
        except queue.Empty:
            if self.process.poll() is not None and self.lines.empty():
                raise AssertionError(f"kcat ended with {self.process.returncode}") from None
        ranges, self.ranges = self.ranges, {}
        return ranges

    def _take(self, pipe, line):
        if pipe is self.process.stdout:
            partition, offset = map(int, line.split())
            first, _ = self.ranges.get(partition, (offset, None))
            self.ranges[partition] = first, offset + 1
            return
        print(line, end="", file=sys.stderr, flush=True)
        change = re.search(r"rebalanced .*: (assigned|revoked): (.*)", line)
        if change:
            owned = re.findall(r"\[(\d+)\]", change.group(2))
            self.owned = [int(p) for p in owned] if change.group(1) == "assigned" else []

    def assignment(self):
        return self.owned

    commit = None

    def close(self):
        # A record that comes together with the signal is committed and not printed.
        while ranges := self.poll():
            for partition, (first, after) in ranges.items():
                member.say(self.variant, "handled", partition, first, after)
        self.process.terminate()
        self.process.wait(TIMEOUT_S)
        for reader in self.readers:
            reader.join()
        while not self.lines.empty():
            self._take(*self.lines.get())
        for partition, (first, after) in self.ranges.items():
            member.say(self.variant, "handled", partition, first, after)


if __name__ == "__main__":
    main(Client, Member)
