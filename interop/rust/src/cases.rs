//! The cases of `interop/README.md`.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use ottla_client::{Error, partition_of_key};

use crate::client::{Client, Record};

const BASE_MS: i64 = 1_600_000_000_000;

/// For what the cluster has to learn first.
const SOON: Duration = Duration::from_secs(10);

/// Less than a batch of the producer takes, and more than any record of the case.
const SPLIT_BYTES_MAX: usize = 8_000;

/// Cases whose topics have names of their own.
pub(crate) struct Suite<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) prefix: &'a str,
}

impl Suite<'_> {
    pub(crate) fn run(&mut self, case: &str) -> Result<()> {
        match case {
            "create" => self.create(),
            "auto-create" => self.auto_create(),
            "keys" => self.keys(),
            "nulls" => self.nulls(),
            "headers" => self.headers(),
            "timestamps" => self.timestamps(),
            "large" => self.large(),
            "too-large" => self.too_large(),
            "split" => self.split(),
            "every-codec" => self.every_codec(),
            "seek-offset" => self.seek_offset(),
            "seek-time" => self.seek_time(),
            "idempotent" => self.idempotent(),
            "list-offsets" => self.list_offsets(),
            "delete" => self.delete(),
            "reconnect" => self.reconnect(),
            _ => match case.strip_prefix("codec-") {
                Some(codec) => self.codec(codec),
                None => bail!("there is no such case"),
            },
        }
    }

    fn topic(&self, case: &str) -> String {
        format!("{}-{case}", self.prefix)
    }

    /// Sends to a new topic of one partition, and reads it back.
    fn round_trip(&mut self, case: &str, records: &[Record], codec: &str) -> Result<()> {
        let topic = self.topic(case);
        self.client.create(&topic, 1, &[])?;
        self.client.send(&topic, records, codec, false)?;
        self.same(&topic, 0, records)
    }

    /// Whether these records, and nothing else of them, begin at the offset.
    fn same(&mut self, topic: &str, offset: i64, sent: &[Record]) -> Result<()> {
        let got = self.client.read(topic, 0, offset, sent.len())?;
        ensure!(got.len() == sent.len(), "{} records, expected {}", got.len(), sent.len());
        for (n, ((at, got), sent)) in (0i64..).zip(got.iter().zip(sent)) {
            let is_same = *at == offset + n
                && got.key == sent.key
                && got.value == sent.value
                && got.headers == sent.headers
                && (sent.timestamp.is_none() || got.timestamp == sent.timestamp);
            ensure!(is_same, "record {n}: at {at} {got:?}, expected {sent:?}");
        }
        Ok(())
    }

    fn create(&mut self) -> Result<()> {
        let topic = self.topic("create");
        self.client.create(&topic, 3, &[])?;
        let client = &self.client;
        eventually("three partitions", || Ok(client.partitions(&topic)? == 3))?;
        refused("TOPIC_ALREADY_EXISTS", self.client.create(&topic, 3, &[]))
    }

    fn auto_create(&mut self) -> Result<()> {
        let topic = self.topic("auto-create");
        let records = [Record::of(b"first")];
        self.client.send(&topic, &records, "none", false)?;
        self.same(&topic, 0, &records)
    }

    fn codec(&mut self, codec: &str) -> Result<()> {
        let record = |n: usize| Record {
            key: Some(format!("k{n}").into_bytes()),
            ..Record::of(&payload(n))
        };
        let records: Vec<Record> = (0..300).map(record).collect();
        self.round_trip(&format!("codec-{codec}"), &records, codec)
    }

    fn keys(&mut self) -> Result<()> {
        let topic = self.topic("keys");
        self.client.create(&topic, 3, &[])?;
        let key = |n: usize| format!("key{}", n % 7).into_bytes();
        let record =
            |n: usize| Record { key: Some(key(n)), ..Record::of(n.to_string().as_bytes()) };
        let records: Vec<Record> = (0..70).map(record).collect();
        self.client.send(&topic, &records, "none", false)?;
        let mut seen: HashMap<Vec<u8>, (i32, Vec<String>)> = HashMap::new();
        for partition in 0..3 {
            let (earliest, latest) = self.client.ends(&topic, partition)?;
            let count = usize::try_from(latest - earliest)?;
            for (_, got) in self.client.read(&topic, partition, earliest, count)? {
                let key = got.key.unwrap_or_default();
                let values = seen.entry(key).or_insert((partition, Vec::new()));
                ensure!(values.0 == partition, "a key in {} and {partition}", values.0);
                values.1.push(String::from_utf8(got.value.unwrap_or_default())?);
            }
        }
        for n in 0..7 {
            let wanted: Vec<String> = (n..70).step_by(7).map(|m| m.to_string()).collect();
            let partition = i32::try_from(partition_of_key(&key(n), 3))?;
            let got = seen.get(&key(n));
            ensure!(got == Some(&(partition, wanted)), "key{n}: got {got:?}");
        }
        Ok(())
    }

    fn nulls(&mut self) -> Result<()> {
        let record = |key: Option<&[u8]>, value: Option<&[u8]>| Record {
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            ..Record::default()
        };
        let records = [
            record(None, Some(b"v")),
            record(Some(b"k"), None),
            record(None, None),
            record(Some(b""), Some(b"")),
        ];
        self.round_trip("nulls", &records, "none")
    }

    fn headers(&mut self) -> Result<()> {
        self.round_trip("headers", &[with_headers(Record::of(b"v"))], "none")
    }

    fn timestamps(&mut self) -> Result<()> {
        self.round_trip("timestamps", &stamped(10), "none")
    }

    fn large(&mut self) -> Result<()> {
        let value: Vec<u8> = (0..1_000_000usize).map(|n| (n * 31 % 251) as u8).collect();
        self.round_trip("large", &[Record::of(&value)], "none")
    }

    fn too_large(&mut self) -> Result<()> {
        let topic = self.topic("too-large");
        self.client.create(&topic, 1, &[])?;
        let large = [Record::of(&vec![0; 1_200_000])];
        refused("MESSAGE_TOO_LARGE", self.client.send(&topic, &large, "none", false))?;
        let small = [Record::of(b"small")];
        self.client.send(&topic, &small, "none", false)?;
        self.same(&topic, 0, &small)
    }

    /// Batches that the broker refuses as a whole arrive in parts, by every codec.
    fn split(&mut self) -> Result<()> {
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let topic = self.topic(&format!("split-{codec}"));
            let bytes_max = SPLIT_BYTES_MAX.to_string();
            self.client.create(&topic, 1, &[("max.message.bytes", &bytes_max)])?;
            let records: Vec<Record> = (0..200).map(|n| Record::of(&noise(n))).collect();
            self.client.send(&topic, &records, codec, true)?;
            self.same(&topic, 0, &records)?;
        }
        Ok(())
    }

    /// Keys, nulls, headers and times in numbered batches of each codec, in one partition.
    fn every_codec(&mut self) -> Result<()> {
        let topic = self.topic("every-codec");
        self.client.create(&topic, 1, &[])?;
        let mut all = Vec::new();
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let record = |n: usize| Record {
                key: (!n.is_multiple_of(3)).then(|| format!("k{n}").into_bytes()),
                value: (!n.is_multiple_of(5)).then(|| payload(n)),
                timestamp: Some(BASE_MS + n as i64 * 1000),
                headers: Vec::new(),
            };
            let plain = (0..200).map(record);
            let records: Vec<Record> =
                plain.zip(0..).map(|(r, n)| if n % 2 == 0 { with_headers(r) } else { r }).collect();
            self.client.send(&topic, &records, codec, true)?;
            all.extend(records);
        }
        self.same(&topic, 0, &all)
    }

    fn seek_offset(&mut self) -> Result<()> {
        let records = numbers(0, 100);
        self.round_trip("seek-offset", &records, "none")?;
        let topic = self.topic("seek-offset");
        for offset in [42, 0, 99] {
            self.same(&topic, offset as i64, &records[offset..=offset])?;
        }
        Ok(())
    }

    fn seek_time(&mut self) -> Result<()> {
        self.round_trip("seek-time", &stamped(100), "none")?;
        let topic = self.topic("seek-time");
        let table = [
            (0, Some(0)),
            (42_000, Some(42)),
            (42_500, Some(43)),
            (99_000, Some(99)),
            (99_001, None),
        ];
        for (after_ms, wanted) in table {
            let found = self.client.offset_at(&topic, BASE_MS + after_ms)?;
            ensure!(found == wanted, "at {after_ms}: got {found:?}, expected {wanted:?}");
        }
        let greatest = self.client.offset_of_max_timestamp(&topic)?;
        ensure!(greatest == Some(99), "the greatest timestamp is at {greatest:?}");
        Ok(())
    }

    fn idempotent(&mut self) -> Result<()> {
        let topic = self.topic("idempotent");
        self.client.create(&topic, 1, &[])?;
        for n in (0..500).step_by(100) {
            self.client.send(&topic, &numbers(n, n + 100), "none", true)?;
        }
        self.same(&topic, 0, &numbers(0, 500))?;
        self.has_ends(&topic, 500)
    }

    fn list_offsets(&mut self) -> Result<()> {
        let topic = self.topic("list-offsets");
        self.client.create(&topic, 1, &[])?;
        self.has_ends(&topic, 0)?;
        self.client.send(&topic, &numbers(0, 7), "none", false)?;
        self.has_ends(&topic, 7)
    }

    fn has_ends(&mut self, topic: &str, latest: i64) -> Result<()> {
        let ends = self.client.ends(topic, 0)?;
        ensure!(ends == (0, latest), "ends: got {ends:?}, expected 0 and {latest}");
        Ok(())
    }

    fn delete(&mut self) -> Result<()> {
        let topic = self.topic("delete");
        self.client.create(&topic, 1, &[])?;
        let client = &self.client;
        eventually("topic is listed", || Ok(client.topics()?.contains(&topic)))?;
        self.client.delete(&topic)?;
        let client = &self.client;
        eventually("topic is gone", || Ok(!client.topics()?.contains(&topic)))
    }

    fn reconnect(&mut self) -> Result<()> {
        let topic = self.topic("reconnect");
        self.client.create(&topic, 1, &[])?;
        self.client.send(&topic, &numbers(0, 10), "none", true)?;
        self.same(&topic, 0, &numbers(0, 10))?;
        println!("restart");
        io::stdin().lock().read_line(&mut String::new())?;
        self.client.send(&topic, &numbers(10, 20), "none", true)?;
        self.same(&topic, 10, &numbers(10, 20))?;
        self.same(&topic, 0, &numbers(0, 20))
    }
}

fn numbers(from: usize, to: usize) -> Vec<Record> {
    (from..to).map(|n| Record::of(n.to_string().as_bytes())).collect()
}

fn stamped(count: usize) -> Vec<Record> {
    let stamped =
        |(record, n): (Record, i64)| Record { timestamp: Some(BASE_MS + n * 1000), ..record };
    numbers(0, count).into_iter().zip(0..).map(stamped).collect()
}

/// Repeated names, an empty value, bytes that are no text, and a null.
fn with_headers(record: Record) -> Record {
    let headers: [(&str, Option<&[u8]>); 5] = [
        ("a", Some(b"1")),
        ("b", Some(b"")),
        ("a", Some(b"2")),
        ("\u{e9}", Some(&[255, 0])),
        ("n", None),
    ];
    let owned = |(name, value): (&str, Option<&[u8]>)| {
        (name.as_bytes().to_vec(), value.map(<[u8]>::to_vec))
    };
    Record { headers: headers.into_iter().map(owned).collect(), ..record }
}

/// Bytes of every value and many lengths, that compress a little.
fn payload(n: usize) -> Vec<u8> {
    (0..1 + n * 37 % 1500).map(|j| ((n + j * j) % 251) as u8).collect()
}

/// A thousand bytes that no codec makes shorter.
fn noise(n: usize) -> Vec<u8> {
    let mut state = n as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..1_000).map(|_| next()).collect()
}

fn refused(name: &str, result: Result<()>) -> Result<()> {
    let Err(error) = result else { bail!("no error, expected {name}") };
    let code = error.downcast_ref::<Error>().and_then(Error::code);
    match code.and_then(|code| code.name()) {
        Some(found) if found == name => Ok(()),
        _ => Err(error.context(anyhow!("expected {name}"))),
    }
}

fn eventually(what: &str, condition: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !condition()? {
        ensure!(Instant::now() < deadline, "{what}: not within {} s", SOON.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
