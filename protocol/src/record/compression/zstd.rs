//! Zstandard (RFC 8878).
//!
//! A context takes long to make, with its tables and the window that it grows with the first frame;
//! so each thread keeps one of either kind from blob to blob, unless a frame's window or the level
//! made it large.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::thread::LocalKey;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective,
    get_error_name,
};

/// The room for output that there is at least when the encoder is called.
const OUTPUT_ROOM_BYTES: usize = 1024;

thread_local! {
    static ENCODER: Cell<Option<CCtx<'static>>> = const { Cell::new(None) };
    static DECODER: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

/// Writes one frame of unknown content size, without a checksum, as Kafka's.
pub(super) struct ZstdWriter {
    buffer: Vec<u8>,
    encoder: Kept<CCtx<'static>>,
}

impl ZstdWriter {
    pub(super) fn new(buffer: Vec<u8>, level: i32) -> io::Result<Self> {
        let mut encoder = Kept::<CCtx<'_>>::take()?;
        let context = encoder.get();
        context.reset(ResetDirective::SessionAndParameters).map_err(error_of)?;
        context.set_parameter(CParameter::CompressionLevel(level)).map_err(error_of)?;
        Ok(Self { buffer, encoder })
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
        let context = self.encoder.get();
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

/// A context of the library that a thread can keep.
trait Keep: Sized + 'static {
    /// The largest that is kept.
    const KEPT_BYTES_MAX: usize;

    fn kept() -> &'static LocalKey<Cell<Option<Self>>>;

    /// A new one; `None` for want of memory.
    fn create() -> Option<Self>;

    fn size_bytes(&self) -> usize;
}

impl Keep for CCtx<'static> {
    /// With the tables of level 3 and a window of 2 MiB.
    const KEPT_BYTES_MAX: usize = 4 << 20;

    fn kept() -> &'static LocalKey<Cell<Option<Self>>> {
        &ENCODER
    }

    fn create() -> Option<Self> {
        Self::try_create()
    }

    fn size_bytes(&self) -> usize {
        self.sizeof()
    }
}

impl Keep for DCtx<'static> {
    /// With a window of 2 MiB, as level 3 writes.
    const KEPT_BYTES_MAX: usize = 3 << 20;

    fn kept() -> &'static LocalKey<Cell<Option<Self>>> {
        &DECODER
    }

    fn create() -> Option<Self> {
        Self::try_create()
    }

    fn size_bytes(&self) -> usize {
        self.sizeof()
    }
}

/// A context that goes back to the thread when it is dropped.
struct Kept<C: Keep>(Option<C>);

impl<C: Keep> Kept<C> {
    fn take() -> io::Result<Self> {
        let kept = C::kept().try_with(Cell::take).ok().flatten();
        let context = kept.or_else(C::create).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self(Some(context)))
    }

    fn get(&mut self) -> &mut C {
        self.0.as_mut().expect("it is given back when dropped only")
    }
}

impl<C: Keep> Drop for Kept<C> {
    fn drop(&mut self) {
        let context = self.0.take();
        if context.as_ref().is_some_and(|context| context.size_bytes() <= C::KEPT_BYTES_MAX) {
            // A thread that ends keeps nothing.
            let _ended = C::kept().try_with(|kept| kept.set(context));
        }
    }
}

/// Reads frames one after the other, from the blob itself without a buffer between.
pub(super) struct ZstdReader<'a> {
    decoder: Kept<DCtx<'static>>,
    rest: &'a [u8],
    /// Whether the frame that was begun is read to its end.
    frame_is_whole: bool,
}

impl<'a> ZstdReader<'a> {
    pub(super) fn new(blob: &'a [u8], window_log_max: u32) -> io::Result<Self> {
        let mut decoder = Kept::<DCtx<'_>>::take()?;
        let context = decoder.get();
        // Whatever the last blob left, be it broken off or damaged.
        context.reset(ResetDirective::SessionAndParameters).map_err(error_of)?;
        context.set_parameter(DParameter::WindowLogMax(window_log_max)).map_err(error_of)?;
        Ok(Self { decoder, rest: blob, frame_is_whole: false })
    }
}

impl Read for ZstdReader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        let context = self.decoder.get();
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
