//! Lines of standard input, read on a thread of their own: waiting for the next one must not keep
//! anybody from stopping.

use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::input::{Line, read_line};

/// Lines that were there together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The number of the first one, from 1.
    pub(super) first: u64,
    /// `None` for one that was too long.
    pub(super) lines: Vec<Option<Vec<u8>>>,
    /// Why no more can be read.
    pub(super) error: Option<String>,
}

const READ_BYTES: usize = 256 * 1024;
/// Lines of a chunk, and bytes after which it is sent.
const LINES_MAX: usize = 1024;
const BYTES_MAX: usize = 1 << 20;
/// Chunks that may wait: what is read ahead is bounded.
const CHUNKS_MAX: usize = 2;

/// Reads until the end, or until nobody receives.
///
/// # Errors
/// The system has no more threads.
pub(super) fn spawn(
    input: impl Read + Send + 'static,
    delimiter: Vec<u8>,
    line_bytes_max: usize,
) -> io::Result<Receiver<Chunk>> {
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    let work = move || read(input, &delimiter, line_bytes_max, &sender);
    thread::Builder::new().name("input".to_owned()).spawn(work)?;
    Ok(receiver)
}

fn read(input: impl Read, delimiter: &[u8], line_bytes_max: usize, sender: &SyncSender<Chunk>) {
    let mut reader = BufReader::with_capacity(READ_BYTES, input);
    let mut chunk = Chunk { first: 1, ..Chunk::default() };
    let (mut line, mut bytes) = (Vec::new(), 0);
    loop {
        let read = read_line(&mut reader, delimiter, line_bytes_max, &mut line);
        let is_end = matches!(read, Ok(Line::End) | Err(_));
        match read {
            Ok(Line::Whole) => {
                bytes += line.len();
                chunk.lines.push(Some(line.clone()));
            }
            Ok(Line::TooLong) => chunk.lines.push(None),
            Ok(Line::End) => {}
            Err(error) => chunk.error = Some(error.to_string()),
        }
        // Another line that is there already is waited for by nobody.
        let is_more = delimiter.last().is_some_and(|last| reader.buffer().contains(last));
        if is_end || !is_more || chunk.lines.len() >= LINES_MAX || bytes >= BYTES_MAX {
            let first = chunk.first + chunk.lines.len() as u64;
            let next = Chunk { first, ..Chunk::default() };
            let full = std::mem::replace(&mut chunk, next);
            if sender.send(full).is_err() || is_end {
                return;
            }
            bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_over_chunks() {
        let text: String = (1..=3000).map(|n| format!("{n}\n")).collect();
        let receiver = spawn(io::Cursor::new(text), b"\n".to_vec(), 100).unwrap();
        let mut next = 1;
        while let Ok(chunk) = receiver.recv() {
            assert_eq!((chunk.first, chunk.error), (next, None));
            assert!(chunk.lines.len() <= LINES_MAX);
            for line in chunk.lines {
                assert_eq!(line.unwrap(), next.to_string().into_bytes());
                next += 1;
            }
        }
        assert_eq!(next, 3001);
    }

    /// A line, and then an error.
    struct Broken(bool);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("gone"));
            }
            into[..2].copy_from_slice(b"a\n");
            Ok(2)
        }
    }

    #[test]
    fn an_error_comes_behind_what_was_read() {
        let receiver = spawn(Broken(false), b"\n".to_vec(), 100).unwrap();
        let chunk = receiver.recv().unwrap();
        assert_eq!((chunk.lines, chunk.error), (vec![Some(b"a".to_vec())], None));
        let chunk = receiver.recv().unwrap();
        assert_eq!((chunk.first, chunk.error.as_deref()), (2, Some("gone")));
        assert!(receiver.recv().is_err());
    }
}
