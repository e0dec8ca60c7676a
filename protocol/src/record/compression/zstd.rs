//! Zstandard (RFC 8878).
//!
//! A context takes long to make, with its tables and the window that it grows with the first frame;
//! so each thread keeps one of either kind from blob to blob, unless a frame's window or the level
//! made it large.

use std::cell::Cell;
use std::io::{self, Read, Write};

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective,
    get_error_name,
};

/// The largest context that a thread keeps: with a window of 2 MiB, as level 3 writes.
const KEPT_CONTEXT_BYTES_MAX: usize = 3 << 20;
/// As much for an encoder, whose tables are larger.
const KEPT_ENCODER_BYTES_MAX: usize = 4 << 20;
/// The room for output that there is at least when the encoder is called.
const OUTPUT_ROOM_BYTES: usize = 1024;

thread_local! {
    static CONTEXT: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
    static ENCODER: Cell<Option<CCtx<'static>>> = const { Cell::new(None) };
}

/// Writes one frame of unknown content size, without a checksum, as Kafka's.
pub(super) struct ZstdWriter {
    buffer: Vec<u8>,
    encoder: Encoder,
}

impl ZstdWriter {
    pub(super) fn new(buffer: Vec<u8>, level: i32) -> io::Result<Self> {
        Ok(Self { buffer, encoder: Encoder::take(level)? })
    }

    pub(super) fn get_ref(&self) -> &Vec<u8> {
        &self.buffer
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        while self.run(None)?.1 > 0 {}
        Ok(self.buffer)
    }

    /// Runs the encoder over some input, or to the frame's end; answers the bytes of input used,
    /// and how much the encoder says that is left.
    fn run(&mut self, bytes: Option<&[u8]>) -> io::Result<(usize, usize)> {
        self.buffer.reserve(OUTPUT_ROOM_BYTES);
        let written = self.buffer.len();
        let context = self.encoder.0.as_mut().expect("it is given back when dropped only");
        let mut output = OutBuffer::around_pos(&mut self.buffer, written);
        let Some(bytes) = bytes else {
            return Ok((0, context.end_stream(&mut output).map_err(error_of)?));
        };
        let mut input = InBuffer::around(bytes);
        let left = context.compress_stream(&mut output, &mut input).map_err(error_of)?;
        Ok((input.pos(), left))
    }
}

impl Write for ZstdWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            // Without progress there was no room for output, of which there is more each time.
            let (used, _) = self.run(Some(bytes))?;
            if used > 0 || bytes.is_empty() {
                return Ok(used);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An encoder's context that goes back to the thread.
struct Encoder(Option<CCtx<'static>>);

impl Encoder {
    fn take(level: i32) -> io::Result<Self> {
        let kept = ENCODER.try_with(Cell::take).ok().flatten();
        let mut context = match kept {
            Some(context) => context,
            None => CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?,
        };
        context.reset(ResetDirective::SessionAndParameters).map_err(error_of)?;
        context.set_parameter(CParameter::CompressionLevel(level)).map_err(error_of)?;
        Ok(Self(Some(context)))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let context = self.0.take();
        if context.as_ref().is_some_and(|context| context.sizeof() <= KEPT_ENCODER_BYTES_MAX) {
            // A thread that ends keeps nothing.
            let _ended = ENCODER.try_with(|kept| kept.set(context));
        }
    }
}

/// A decoder's context that goes back to the thread.
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
