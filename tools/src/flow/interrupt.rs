//! Ctrl-C and SIGTERM: the first one asks for an end, the second one is the end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether somebody wants the command to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on signals ask first. What cannot look whether one came, such as the search for a
    /// broker, is to be over by then.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn catch() -> io::Result<Self> {
        let is_set = Arc::new(AtomicBool::new(false));
        for (signal, exit_code) in [(SIGINT, 130), (SIGTERM, 143)] {
            // In this order: a signal that finds the flag set ends the process.
            flag::register_conditional_shutdown(signal, exit_code, Arc::clone(&is_set))?;
            flag::register(signal, Arc::clone(&is_set))?;
        }
        Ok(Self(is_set))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
