//! Zstandard (RFC 8878).
//!
//! A decoder's context takes long to make, with its tables and the window that it grows with the
//! first frame; so each thread keeps one from blob to blob, unless a frame's window made it large.

use std::cell::Cell;
use std::io::{self, Read};

use zstd::stream::write::Encoder;
use zstd::zstd_safe::{
    DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective, get_error_name,
};

/// The largest context that a thread keeps: with a window of 2 MiB, as level 3 writes.
const KEPT_CONTEXT_BYTES_MAX: usize = 3 << 20;

thread_local! {
    static CONTEXT: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

pub(super) type ZstdWriter = Encoder<'static, Vec<u8>>;

/// One frame of unknown content size, without a checksum, as Kafka's.
pub(super) fn writer(buffer: Vec<u8>, level: i32) -> io::Result<ZstdWriter> {
    Encoder::new(buffer, level)
}

/// A context that goes back to the thread.
struct Context(Option<DCtx<'static>>);

impl Context {
    fn take(window_log_max: u32) -> io::Result<Self> {
        let kept = CONTEXT.try_with(Cell::take).ok().flatten();
        let mut context = match kept {
            Some(context) => context,
            None => DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?,
        };
        // Whatever the last blob left, be it broken off or damaged.
        context.reset(ResetDirective::SessionAndParameters).map_err(error_of)?;
        context.set_parameter(DParameter::WindowLogMax(window_log_max)).map_err(error_of)?;
        Ok(Self(Some(context)))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let context = self.0.take();
        if context.as_ref().is_some_and(|context| context.sizeof() <= KEPT_CONTEXT_BYTES_MAX) {
            // A thread that ends keeps nothing.
            let _ended = CONTEXT.try_with(|kept| kept.set(context));
        }
    }
}

/// Reads frames one after the other, from the blob itself without a buffer between.
pub(super) struct ZstdReader<'a> {
    context: Context,
    rest: &'a [u8],
    /// Whether the frame that was begun is read to its end.
    frame_is_whole: bool,
}

impl<'a> ZstdReader<'a> {
    pub(super) fn new(blob: &'a [u8], window_log_max: u32) -> io::Result<Self> {
        Ok(Self { context: Context::take(window_log_max)?, rest: blob, frame_is_whole: false })
    }
}

impl Read for ZstdReader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        let context = self.context.0.as_mut().expect("it is given back when dropped only");
        loop {
            if self.frame_is_whole {
                if self.rest.is_empty() {
                    return Ok(0);
                }
                context.reset(ResetDirective::SessionOnly).map_err(error_of)?;
            }
            let (mut input, mut output) = (InBuffer::around(self.rest), OutBuffer::around(to));
            let hint = context.decompress_stream(&mut output, &mut input).map_err(error_of)?;
            let (used, written) = (input.pos(), output.pos());
            self.frame_is_whole = hint == 0;
            self.rest = &self.rest[used..];
            if written > 0 {
                return Ok(written);
            }
            if used == 0 && !self.frame_is_whole {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "incomplete frame"));
            }
        }
    }
}

fn error_of(code: ErrorCode) -> io::Error {
    io::Error::other(get_error_name(code))
}
