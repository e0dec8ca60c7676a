//! What a thread keeps from one batch for the next: memory that would else be made, and zeroed,
//! anew for each.
//!
//! Nothing that is kept is ever read before it is written again, and what has grown beyond
//! [`KEPT_BYTES_MAX`] is not kept, so that one large batch does not hold memory for good.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// The most that a thread keeps of one kind.
pub(super) const KEPT_BYTES_MAX: usize = 1 << 20;
/// Taken beyond what is asked for, so that a buffer does not grow again for the few bytes that are
/// left from one block before the next.
const SLACK_BYTES: usize = 16 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's buffer, or a new one while another holds it. What it holds is of no meaning.
#[derive(Debug)]
pub(in crate::record) struct Scratch(Vec<u8>);

impl Scratch {
    pub(in crate::record) fn take() -> Self {
        Self(BUFFER.try_with(Cell::take).unwrap_or_default())
    }
}

impl Deref for Scratch {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT_BYTES_MAX {
            let buffer = std::mem::take(&mut self.0);
            // A thread that ends keeps nothing.
            let _ended = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }
}

/// The `count` bytes of a buffer behind `at`, which is made longer when it is too short.
pub(super) fn room(buffer: &mut Vec<u8>, at: usize, count: usize) -> &mut [u8] {
    let end = at + count;
    if buffer.len() < end {
        buffer.reserve_exact(end + SLACK_BYTES - buffer.len());
        buffer.resize(end + SLACK_BYTES, 0);
    }
    &mut buffer[at..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_a_buffer_unless_it_has_grown_large() {
        let mut first = Scratch::take();
        room(&mut first, 10, 1000)[999] = 1;
        let second = Scratch::take();
        assert!(second.is_empty());
        drop(second);
        let length = first.len();
        drop(first);
        let mut again = Scratch::take();
        assert_eq!(again.len(), length);
        room(&mut again, 0, KEPT_BYTES_MAX);
        drop(again);
        assert!(Scratch::take().is_empty());
    }
}
