//! Judges a history: what clients of a broker asked and were told, while the broker was killed,
//! lost its power or had its disk fail. No I/O, no clock, no threads.
//!
//! | module | what it is |
//! |---|---|
//! | [`value`] | records that tell who sent them, and whether they are whole |
//! | [`event`] | what a client saw: one [`event::Event`] an attempt, an answer or a fault |
//! | [`violation`] | what can be wrong, by name |
//! | [`judge`] | [`judge::check`]: a history in, violations out |
//!
//! A log gives the order of its records itself, so nothing is searched: each rule sorts what it
//! needs and goes over it once, O(n log n) for n records.
//!
//! # What a harness has to keep
//! - Every attempt is an event of its own. Its times are taken before its first byte is sent and
//!   after its answer was read. An attempt whose answer did not come is
//!   [`event::Outcome::Unknown`]; one that a broker refused for good is
//!   [`event::Outcome::Failed`].
//! - A producer numbers its records over all partitions, from 0, and gives each number to one
//!   record. Trying again is another event with the same numbers.
//! - A client is [`event::What::Started`] before its first attempt, since one that gets no
//!   connection has nothing else to record.
//! - Where retention by size may take records, [`event::What::Files`] tells of the segments, best
//!   after each crash.
//! - A crash is recorded when the process is surely gone. What began before belongs to the old
//!   life, what began after to the new one.
//! - After a power loss, and before any load goes on, [`event::What::Recovered`] tells where each
//!   partition that may lose records now ends.
//! - Readers that are [`event::Reader::Final`] read after all producers have stopped.
//!
//! ```
//! use ottla_check::event::{Event, Outcome, Place, Policy, Send, Topic, TopicId, What};
//! use ottla_check::judge::{Limits, check};
//!
//! let id = TopicId([1; 16]);
//! let topic = Topic { id, partitions: 1, policy: Policy::Keep, synced: false };
//! let created = What::Created { topic, outcome: Outcome::Acked };
//! let send = Send {
//!     place: Place { topic: id, partition: 0 },
//!     producer: 1,
//!     session: Some(1),
//!     first_sequence: 0,
//!     count: 2,
//!     base_offset: Some(0),
//!     outcome: Outcome::Acked,
//! };
//! let history = [
//!     Event { began_ns: 0, ended_ns: 1, client: 0, what: created },
//!     Event { began_ns: 2, ended_ns: 3, client: 1, what: What::Send(send) },
//! ];
//! assert_eq!(check(&history, &Limits::default()), []);
//! ```
//!
//! It does not know transactions, and it does not look for the shortest history that is wrong.
#![forbid(unsafe_code)]

pub mod value;

pub mod event;

pub mod violation;

pub mod judge;

mod partition;
mod rules;
