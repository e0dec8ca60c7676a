//! A plain socket that speaks the protocol: one request at a time, or several in flight.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::wire::{Message, Reader, Writer};

/// An answer that takes longer counts as none.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// No answer of a broker under test is larger.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A request's kind and version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(pub(crate) ApiKey, pub(crate) i16);

/// A connection to the broker. After an error it is of no more use.
pub(crate) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
    answered: i32,
    frame: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        Ok(Connection { stream, correlation_id: 0, answered: 0, frame: Vec::new() })
    }

    /// Sends a request without waiting.
    pub(crate) fn send<'q>(&mut self, kind: Kind, request: &impl Message<'q>) -> io::Result<()> {
        let mut writer = Writer::new();
        writer.put(&[0; 4]);
        let header = RequestHeader {
            api_key: kind.0.as_i16(),
            api_version: kind.1,
            correlation_id: self.correlation_id,
            client_id: Some("torture"),
        };
        header.write(&mut writer).map_err(io::Error::other)?;
        request.encode(&mut writer, kind.1).map_err(io::Error::other)?;
        let mut bytes = writer.finish().bytes;
        let length = i32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.correlation_id += 1;
        self.stream.write_all(&bytes)
    }

    /// The body of the next answer, which must be to the oldest request without one.
    pub(crate) fn receive(&mut self, kind: Kind) -> io::Result<&[u8]> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        self.frame.resize(length, 0);
        self.stream.read_exact(&mut self.frame)?;
        let mut reader = Reader::new(&self.frame);
        let header = ResponseHeader::read(&mut reader, kind.0, kind.1).map_err(io::Error::other)?;
        if header.correlation_id != self.answered {
            let text = format!("answer {} when {} was due", header.correlation_id, self.answered);
            return Err(io::Error::other(text));
        }
        self.answered += 1;
        let at = self.frame.len() - reader.remaining().len();
        Ok(&self.frame[at..])
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<'q>(&mut self, kind: Kind, request: &impl Message<'q>) -> io::Result<&[u8]> {
        self.send(kind, request)?;
        self.receive(kind)
    }
}

/// Reads an answer's body.
pub(crate) fn read<'a, M: Message<'a>>(body: &'a [u8], kind: Kind) -> io::Result<M> {
    M::from_bytes(body, kind.1).map_err(io::Error::other)
}
