//! One connection: requests out, answers in, matched by their order as on every connection of the
//! protocol. Whatever reads and writes can be its stream: a socket, TLS over one, a test.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::RequestHeader;
use ottla_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::wire::{Encoded, Message, Splice, Writer};

use super::frame::FrameReader;
use super::{Answer, Event, Outgoing, Tag, Versions};
use crate::error::{Error, ErrorKind};

/// Pieces that one call writes at most.
const SLICES_MAX: usize = 64;
/// The version of ApiVersions that is asked first; a broker that has it not says which it has.
const HANDSHAKE_VERSION: i16 = 4;
const SOFTWARE_NAME: &str = "ottla-client";

/// A connection that bytes go over.
pub(super) struct Link<S> {
    pub(super) stream: S,
    client_id: Arc<str>,
    reader: FrameReader,
    outbox: VecDeque<Piece>,
    waiting: VecDeque<Waiting>,
    next_correlation_id: i32,
    versions: Option<Arc<Versions>>,
    last_used: Instant,
}

/// Bytes that are to be written.
struct Piece {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

/// A request that has no answer yet.
struct Waiting {
    correlation_id: i32,
    /// `None`: the connection's own question.
    tag: Option<Tag>,
    api: ApiKey,
    version: i16,
    due: Instant,
    timeout: Duration,
}

impl<S: Read + Write> Link<S> {
    /// A connection that is made, over which nothing went yet: it asks which versions there are.
    pub(super) fn new(
        stream: S,
        client_id: Arc<str>,
        frame_bytes_max: usize,
        (timeout, now): (Duration, Instant),
    ) -> Result<Self, Error> {
        let mut link = Self {
            stream,
            client_id,
            reader: FrameReader::new(frame_bytes_max),
            outbox: VecDeque::new(),
            waiting: VecDeque::new(),
            next_correlation_id: 0,
            versions: None,
            last_used: now,
        };
        link.ask_versions(HANDSHAKE_VERSION, timeout, now)?;
        Ok(link)
    }

    fn ask_versions(&mut self, version: i16, timeout: Duration, now: Instant) -> Result<(), Error> {
        let request = ApiVersionsRequest {
            client_software_name: SOFTWARE_NAME,
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let request = Outgoing::new(&request, version, timeout);
        let request = request.expect("every version takes these names");
        self.put(request, None, now)
    }

    /// What the broker serves; `None` until it has told.
    pub(super) fn versions(&self) -> Option<&Arc<Versions>> {
        self.versions.as_ref()
    }

    /// Requests without an answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When it was last written to or read from.
    pub(super) fn last_used(&self) -> Instant {
        self.last_used
    }

    /// When the first answer is overdue.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// Whether an answer is overdue, and what then is to be said.
    pub(super) fn overdue(&self, now: Instant) -> Option<Error> {
        let late = self.waiting.iter().find(|waiting| waiting.due <= now)?;
        let detail = format!("no answer to {}", late.api.name());
        Some(Error::new(ErrorKind::Timeout(late.timeout), detail))
    }

    /// Puts a request behind the others; [`Link::write`] sends it.
    ///
    /// # Errors
    /// It is longer than a length can say.
    pub(super) fn send(&mut self, request: Outgoing, tag: Tag, now: Instant) -> Result<(), Error> {
        self.put(request, Some(tag), now)
    }

    fn put(&mut self, request: Outgoing, tag: Option<Tag>, now: Instant) -> Result<(), Error> {
        let correlation_id = self.next_correlation_id;
        let header = RequestHeader {
            api_key: request.api.as_i16(),
            api_version: request.version,
            correlation_id,
            client_id: Some(&self.client_id),
        };
        let mut writer = Writer::on(vec![0; 4]);
        let written = header.write(&mut writer);
        written.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))?;
        let mut head = writer.finish().bytes;
        let parts: usize = request.parts.iter().map(|part| part.len()).sum();
        let length = head.len() - 4 + request.body.bytes.len() + parts;
        let Some(length) = i32::try_from(length).ok() else {
            let detail = format!("a {} request of {length} bytes", request.api.name());
            return Err(Error::new(ErrorKind::Usage, detail));
        };
        head[..4].copy_from_slice(&length.to_be_bytes());
        self.next_correlation_id = correlation_id.wrapping_add(1);
        self.outbox.push_back(Piece::whole(Arc::new(head)));
        self.outbox.extend(spliced(request.body, &request.parts));
        if request.is_answered {
            self.waiting.push_back(Waiting {
                correlation_id,
                tag,
                api: request.api,
                version: request.version,
                due: now + request.timeout,
                timeout: request.timeout,
            });
        }
        Ok(())
    }

    /// Writes what the stream takes.
    ///
    /// # Errors
    /// The connection's end.
    pub(super) fn write(&mut self, now: Instant) -> Result<(), Error> {
        while !self.outbox.is_empty() {
            let pieces = self.outbox.iter().take(SLICES_MAX);
            let slices: Vec<_> = pieces.map(|piece| IoSlice::new(piece.bytes())).collect();
            match self.stream.write_vectored(&slices) {
                Ok(0) => return Err(ended()),
                Ok(count) => {
                    self.last_used = now;
                    self.written(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(())
    }

    fn written(&mut self, mut count: usize) {
        while let Some(piece) = self.outbox.front_mut() {
            let step = count.min(piece.range.len());
            piece.range.start += step;
            count -= step;
            if !piece.range.is_empty() {
                return;
            }
            self.outbox.pop_front();
        }
    }

    /// Reads what has come. Also when it fails, `events` has the answers before.
    ///
    /// # Errors
    /// The connection's end; an answer to nothing that was asked.
    pub(super) fn read(&mut self, events: &mut VecDeque<Event>, now: Instant) -> Result<(), Error> {
        loop {
            let frame = match self.reader.next(&mut self.stream) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(Error::new(ErrorKind::Malformed, error.to_string()));
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ended()),
                Err(error) => return Err(failed(&error)),
            };
            self.last_used = now;
            // Until it is known to be an answer to it, the request waits: whoever asked is told of
            // the connection's end otherwise.
            let Some(asked) = self.waiting.front() else {
                let detail = "an answer although nothing was asked";
                return Err(Error::new(ErrorKind::Malformed, detail));
            };
            let (answer, correlation_id) = Answer::new((asked.api, asked.version), frame)?;
            if correlation_id != asked.correlation_id {
                let expected = asked.correlation_id;
                let detail = format!(
                    "{}: the answer's correlation id is {correlation_id}, expected {expected}",
                    asked.api.name()
                );
                return Err(Error::new(ErrorKind::Malformed, detail));
            }
            let asked = self.waiting.pop_front().expect("it was looked at");
            match asked.tag {
                Some(tag) => events.push_back(Event::Answered { tag, result: Ok(answer) }),
                None => self.told_versions(&answer, (asked.timeout, now), events)?,
            }
        }
    }

    /// A broker without the version that was asked in answers in version 0 (KIP-511).
    fn told_versions(
        &mut self,
        answer: &Answer,
        (timeout, now): (Duration, Instant),
        events: &mut VecDeque<Event>,
    ) -> Result<(), Error> {
        let bytes = answer.body();
        let oldest = ApiVersionsResponse::from_bytes(bytes, 0);
        if let Ok(oldest) = &oldest
            && oldest.error_code == ErrorCode::UNSUPPORTED_VERSION
            && answer.version() == HANDSHAKE_VERSION
        {
            let served = oldest.api_keys.iter().find(|api| api.api_key == 18);
            let version = served.map_or(0, |api| api.max_version.clamp(0, HANDSHAKE_VERSION - 1));
            self.ask_versions(version, timeout, now)?;
            return self.write(now);
        }
        let versions = Versions::of(&answer.read()?)?;
        self.versions = Some(Arc::new(versions));
        events.push_back(Event::Changed);
        Ok(())
    }

    /// The end: no request that waits will have an answer.
    pub(super) fn fail(self, error: &Error, events: &mut VecDeque<Event>) {
        let tags = self.waiting.iter().filter_map(|waiting| waiting.tag);
        let failed = |tag| Event::Answered { tag, result: Err(error.clone()) };
        events.extend(tags.map(failed));
    }
}

impl Piece {
    fn whole(bytes: Arc<Vec<u8>>) -> Self {
        let range = 0..bytes.len();
        Self { bytes, range }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

/// The pieces of a body: its own bytes, and between them those of its parts.
fn spliced(body: Encoded, parts: &[Arc<Vec<u8>>]) -> Vec<Piece> {
    let Encoded { bytes, splices } = body;
    let bytes = Arc::new(bytes);
    let mut pieces = Vec::with_capacity(2 * splices.len() + 1);
    let mut start = 0;
    for Splice { at, token } in splices {
        pieces.push(Piece { bytes: Arc::clone(&bytes), range: start..at });
        pieces.push(Piece::whole(Arc::clone(&parts[token as usize])));
        start = at;
    }
    let range = start..bytes.len();
    pieces.push(Piece { bytes, range });
    // An empty piece would look like a stream that takes nothing.
    pieces.retain(|piece| !piece.range.is_empty());
    pieces
}

fn ended() -> Error {
    Error::new(ErrorKind::Network, "the broker closed the connection")
}

fn failed(error: &io::Error) -> Error {
    Error::new(ErrorKind::Network, error.to_string())
}

#[cfg(test)]
mod tests;
