//! The state of one connection as a pure machine: events in, facts out, no socket.
//!
//! ```text
//!   bytes ──> FrameReader ──> ready (one frame) ──> the service ──> outgoing ──> bytes
//!             reads ahead     while one is in flight               one at a time
//! ```
//!
//! One request is in flight from the moment it is taken until its answer is written whole. The next
//! frame is read ahead and then reading stops: a peer that sends without reading is held back by
//! its own socket. So a connection holds at most one frame ahead and one response.

use crate::frame::{FrameError, FrameReader};
use crate::pool::{Frame, FramePool};
use crate::response::Outgoing;
use crate::service::Answer;

/// Where one connection stands.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    reader: FrameReader,
    ready: Option<Frame>,
    in_flight: bool,
    outgoing: Option<Outgoing>,
    /// The peer sends nothing more.
    ended: bool,
    /// The server stops: what is in flight is answered, nothing new is taken.
    stopping: bool,
}

/// The answer that the connection got cannot be given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The service wants the connection closed.
    Close,
    /// The response does not fit behind a length prefix.
    TooLong,
}

impl ConnectionState {
    pub(crate) fn new(frame_bytes_max: u32) -> ConnectionState {
        ConnectionState {
            reader: FrameReader::new(frame_bytes_max),
            ready: None,
            in_flight: false,
            outgoing: None,
            ended: false,
            stopping: false,
        }
    }

    /// Whether bytes may be read from the peer now.
    pub(crate) fn wants_read(&self) -> bool {
        self.ready.is_none() && !self.ended && !self.stopping
    }

    /// Changes the limit on requests.
    pub(crate) fn set_frame_bytes_max(&mut self, frame_bytes_max: u32) {
        self.reader.set_frame_bytes_max(frame_bytes_max);
    }

    /// Where bytes from the peer go; `None` while memory is short.
    pub(crate) fn space(&mut self, pool: &FramePool) -> Option<&mut [u8]> {
        assert!(self.wants_read(), "a connection with a frame ahead is not read from");
        self.reader.space(pool)
    }

    /// `len` bytes came.
    pub(crate) fn filled(&mut self, len: usize) -> Result<(), FrameError> {
        self.reader.filled(len);
        self.ready = self.reader.next_frame()?;
        Ok(())
    }

    /// The peer has nothing more at the moment.
    pub(crate) fn drained(&mut self) {
        self.reader.settle();
    }

    /// The peer will send nothing more. What came whole is still handled, as Kafka does: a
    /// producer with acks=0 may send and leave.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// No request is taken from now on.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.ready = None;
    }

    /// The next request, if none is in flight. It is in flight then.
    pub(crate) fn take_request(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.in_flight {
            return Ok(None);
        }
        let Some(frame) = self.ready.take() else { return Ok(None) };
        self.in_flight = true;
        if !self.stopping {
            self.ready = self.reader.next_frame()?;
        }
        Ok(Some(frame))
    }

    /// The request in flight was answered.
    pub(crate) fn answer(&mut self, answer: Answer) -> Result<(), AnswerError> {
        assert!(self.in_flight && self.outgoing.is_none(), "one answer to one request");
        match answer {
            Answer::Response(response) => {
                self.outgoing = Some(Outgoing::new(response).ok_or(AnswerError::TooLong)?);
            }
            Answer::Nothing => self.in_flight = false,
            Answer::Close => return Err(AnswerError::Close),
        }
        Ok(())
    }

    /// The response to be written.
    pub(crate) fn outgoing(&mut self) -> Option<&mut Outgoing> {
        self.outgoing.as_mut()
    }

    /// The response is written whole.
    pub(crate) fn sent(&mut self) {
        let outgoing = self.outgoing.take();
        assert!(outgoing.is_some_and(|out| out.is_done()), "nothing may be left of the response");
        self.in_flight = false;
    }

    /// Whether the service has a request and has not answered yet.
    pub(crate) fn is_waiting_for_service(&self) -> bool {
        self.in_flight && self.outgoing.is_none()
    }

    /// Whether nothing can happen on it any more.
    pub(crate) fn is_finished(&self) -> bool {
        (self.ended || self.stopping) && !self.in_flight && self.ready.is_none()
    }

    /// Whether it holds request memory.
    pub(crate) fn holds_memory(&self) -> bool {
        self.ready.is_some() || self.reader.buffer_bytes() > 0
    }

    /// What the peer has sent beyond the request in flight, as far as it was read, bytes.
    pub(crate) fn ahead_bytes(&self) -> usize {
        self.ready.as_ref().map_or(0, |frame| frame.len()) + self.reader.pending_bytes()
    }

    /// Whether a frame has begun and not ended.
    pub(crate) fn is_mid_frame(&self) -> bool {
        self.ready.is_none() && self.reader.pending_bytes() > 0
    }

    /// Gives back what a half-received frame does not need.
    pub(crate) fn shrink(&mut self, pool: &FramePool) {
        self.reader.shrink(pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::Response;

    fn receive(state: &mut ConnectionState, pool: &FramePool, bytes: &[u8]) {
        state.space(pool).unwrap()[..bytes.len()].copy_from_slice(bytes);
        state.filled(bytes.len()).unwrap();
    }

    fn write_all(state: &mut ConnectionState) {
        let out = state.outgoing().unwrap();
        let left = out.rest().map(|piece| piece.len()).sum();
        out.advance(left);
        state.sent();
    }

    fn taken(state: &mut ConnectionState) -> Option<Vec<u8>> {
        state.take_request().unwrap().map(|frame| frame.to_vec())
    }

    #[test]
    fn one_in_flight_one_ahead_in_order() {
        let (mut state, pool) = (ConnectionState::new(100), FramePool::new(1 << 20));
        receive(&mut state, &pool, b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c\0\0");
        assert!(!state.wants_read(), "a frame is ready");
        assert_eq!(taken(&mut state).unwrap(), b"a");
        assert!(!state.wants_read(), "b is ahead");
        assert_eq!(taken(&mut state), None, "a is in flight");
        state.answer(Answer::Response(Response::from(vec![1]))).unwrap();
        assert_eq!(taken(&mut state), None, "a is being answered");
        write_all(&mut state);
        assert_eq!(taken(&mut state).unwrap(), b"b");
        state.answer(Answer::Nothing).unwrap();
        assert_eq!(taken(&mut state).unwrap(), b"c");
        assert!(state.wants_read(), "nothing is ahead");
        receive(&mut state, &pool, b"\0\x01d");
        assert!(!state.wants_read());
        assert!(state.is_waiting_for_service());
    }

    #[test]
    fn what_came_whole_before_the_end_is_handled() {
        let (mut state, pool) = (ConnectionState::new(100), FramePool::new(1 << 20));
        receive(&mut state, &pool, b"\0\0\0\x01a\0\0\0\x01b\0\0");
        state.end();
        for name in [b"a", b"b"] {
            assert!(!state.is_finished());
            assert_eq!(taken(&mut state).unwrap(), name);
            state.answer(Answer::Nothing).unwrap();
        }
        assert!(state.is_finished());
    }

    #[test]
    fn stopping_answers_what_is_in_flight_only() {
        let (mut state, pool) = (ConnectionState::new(100), FramePool::new(1 << 20));
        receive(&mut state, &pool, b"\0\0\0\x01a\0\0\0\x01b");
        assert_eq!(taken(&mut state).unwrap(), b"a");
        state.stop();
        assert!(!state.is_finished() && !state.wants_read());
        state.answer(Answer::Response(Response::default())).unwrap();
        write_all(&mut state);
        assert!(state.is_finished());
        assert_eq!(taken(&mut state), None);
    }

    #[test]
    fn a_bad_length_behind_a_good_frame_is_told() {
        let (mut state, pool) = (ConnectionState::new(100), FramePool::new(1 << 20));
        receive(&mut state, &pool, b"\0\0\0\x01a\xff\xff\xff\xff");
        assert!(state.take_request().is_err());
    }

    #[test]
    fn closing_and_too_long() {
        let (mut state, pool) = (ConnectionState::new(100), FramePool::new(1 << 20));
        receive(&mut state, &pool, b"\0\0\0\x01a\0\0\0\x01b");
        taken(&mut state).unwrap();
        assert_eq!(state.answer(Answer::Close), Err(AnswerError::Close));
    }
}
