//! How threads that no client waits for stay out of the way of those that answer requests.
//!
//! On a processor that both want, a request would else wait for as long as the system lets a busy
//! thread run on: some milliseconds, where the request itself takes microseconds. Two things
//! shorten that. A lower priority leaves such a thread less of the processor; that alone does not
//! always interrupt it. One that gives way after each piece of its work lets those run that wait.
//!
//! Who holds locks that requests need for longer than a moment gives way between them, but keeps
//! its priority: else requests would wait for a thread that waits for the processor.

use std::thread;

/// By how much the priority is lower, as a nice value. It means a weight of 110 beside 1024: of a
/// processor that is never idle a tenth is left beside one busy thread, so that compaction goes on.
/// At 19 it would be 15 beside 1024: logs would grow, and a lock that is held by such a thread when
/// it loses the processor would be held for long.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Lowers the priority of the calling thread, and of those that it starts. It is not raised again:
/// that takes a privilege. Does nothing where a priority is one of the whole process.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        log::debug!("the priority of thread {name} stays as it is: {error}");
    }
}

/// Lets others have the processor that wait for it; to be called after each piece of work.
pub(crate) fn give_way() {
    thread::yield_now();
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn only_the_thread_itself_steps_back() {
        let before = getpriority_process(None).unwrap();
        let of_thread = thread::spawn(|| {
            step_back();
            getpriority_process(None).unwrap()
        });
        assert_eq!(of_thread.join().unwrap(), (before + NICER).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
