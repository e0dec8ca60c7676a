//! The few requests that the load generator sends, as prebuilt bytes.
//!
//! Versions are chosen to be spoken by every broker measured and to name topics by name: Produce 8
//! and Fetch 11 (Kafka's protocol guide), none of them in the flexible encoding.

mod batch;
pub(crate) mod coordinator;
pub(crate) mod fetch;
mod many;
mod stored;
pub(crate) mod topics;

use std::io::{self, Read, Write};
use std::net::TcpStream;

pub(crate) use batch::{Codec, Packed, batch, batch_of, packed};
pub(crate) use many::{ProduceMany, all_produced, produce_many};
pub(crate) use stored::{Stored, check_set};

/// Where a frame's correlation id stands, behind length, api key and version.
const CORRELATION_AT: usize = 8;
const CLIENT_ID: &str = "bench";

/// A whole request frame, length first.
#[derive(Clone)]
pub(crate) struct Frame(pub(crate) Vec<u8>);

impl Frame {
    fn new(api_key: i16, version: i16) -> Self {
        let mut frame = Self(Vec::new());
        frame.begin(api_key, version);
        frame
    }
    /// Begins another request in the same memory.
    fn begin(&mut self, api_key: i16, version: i16) {
        self.0.clear();
        self.i32(0).i16(api_key).i16(version).i32(0).string(CLIENT_ID);
    }
    fn i8(&mut self, value: i8) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }
    fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }
    fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }
    fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }
    fn string(&mut self, value: &str) -> &mut Self {
        self.i16(value.len() as i16).raw(value.as_bytes())
    }
    fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.i32(value.len() as i32).raw(value)
    }
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn done(mut self) -> Self {
        self.end();
        self
    }
    /// Sets the length.
    fn end(&mut self) {
        let length = (self.0.len() - 4) as i32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
    }
    /// Sets the correlation id.
    pub(crate) fn number(&mut self, correlation_id: i32) {
        self.0[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
    }
}

/// An answer's fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Those behind the correlation id.
    fn after_header(answer: &'a [u8]) -> Self {
        Self(answer.get(4..).unwrap_or_default())
    }
    fn raw(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (field, rest) =
            self.0.split_at_checked(length).ok_or_else(|| io::Error::other("short answer"))?;
        self.0 = rest;
        Ok(field)
    }
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.raw(N)?.try_into().map_err(io::Error::other)
    }
    fn i16(&mut self) -> io::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }
    fn i32(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }
    fn i64(&mut self) -> io::Result<i64> {
        self.array().map(i64::from_be_bytes)
    }
    /// Null is empty.
    fn string(&mut self) -> io::Result<String> {
        let length = self.i16()?.max(0) as usize;
        Ok(String::from_utf8_lossy(self.raw(length)?).into_owned())
    }
    /// Null is empty.
    fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.i32()?.max(0) as usize;
        self.raw(length)
    }
}

/// Produces `batch` to one partition, with one ack.
pub(crate) fn produce(topic: &str, partition: i32, batch: &[u8]) -> Frame {
    produce_with(1, topic, partition, batch)
}

/// [`produce`] with the acks of all replicas.
pub(crate) fn produce_all(topic: &str, partition: i32, batch: &[u8]) -> Frame {
    produce_with(-1, topic, partition, batch)
}

fn produce_with(acks: i16, topic: &str, partition: i32, batch: &[u8]) -> Frame {
    let mut frame = Frame::new(0, 8);
    frame.i16(-1).i16(acks).i32(30_000);
    frame.i32(1).string(topic).i32(1).i32(partition).i32(batch.len() as i32).raw(batch);
    frame.done()
}

/// What Produce answered for its one partition.
pub(crate) fn produced(answer: &[u8], topic: &str) -> io::Result<i64> {
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let field = answer.get(at..at + 10).ok_or_else(|| io::Error::other("short answer"))?;
    match i16::from_be_bytes([field[0], field[1]]) {
        0 => Ok(i64::from_be_bytes(field[2..].try_into().map_err(io::Error::other)?)),
        code => Err(io::Error::other(format!("produce answered error {code}"))),
    }
}

/// Fetches one partition from `offset`, without a session; returns the frame and where its offset
/// stands.
pub(crate) fn fetch(topic: &str, offset: i64, bytes_max: i32) -> (Frame, usize) {
    let mut frame = Frame::new(1, 11);
    frame.i32(-1).i32(500).i32(1).i32(bytes_max).i8(0).i32(0).i32(-1);
    frame.i32(1).string(topic).i32(1).i32(0).i32(-1);
    let offset_at = frame.0.len();
    frame.i64(offset).i64(-1).i32(bytes_max).i32(0).string("");
    (frame.done(), offset_at)
}

/// The records of a Fetch answer of one partition.
pub(crate) fn fetched<'a>(answer: &'a [u8], topic: &str) -> io::Result<&'a [u8]> {
    let partition_at = 4 + 4 + 2 + 4 + 4 + 2 + topic.len() + 4 + 4;
    let error = answer.get(partition_at..partition_at + 2);
    if error != Some(&[0, 0]) {
        return Err(io::Error::other(format!("fetch answered error {error:?}")));
    }
    // Error, high watermark, last stable offset, log start offset, aborted, preferred.
    let length_at = partition_at + 2 + 8 + 8 + 8 + 4 + 4;
    Fields(answer.get(length_at..).unwrap_or_default()).bytes()
}

/// Asks for the versions of all requests, which needs nothing but the server's attention.
pub(crate) fn api_versions() -> Frame {
    Frame::new(18, 0).done()
}

/// Checks that ApiVersions answered without an error.
pub(crate) fn versions_told(answer: &[u8]) -> io::Result<()> {
    match Fields::after_header(answer).i16()? {
        0 => Ok(()),
        code => Err(io::Error::other(format!("ApiVersions answered error {code}"))),
    }
}

/// Reads one frame's body into `buffer`.
pub(crate) fn read_frame(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    buffer.resize(u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(buffer)
}

/// Sends a frame and waits for its answer.
///
/// # Errors
/// Also when the answer is to another request.
pub(crate) fn call(stream: &mut TcpStream, frame: &Frame, buffer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(&frame.0)?;
    read_frame(stream, buffer)?;
    if buffer.starts_with(&frame.0[CORRELATION_AT..CORRELATION_AT + 4]) {
        return Ok(());
    }
    Err(io::Error::other("an answer to another request"))
}
