//! Commands that move records.
//!
//! | module | what it is |
//! |---|---|
//! | [`produce`] | lines in |
//! | [`consume`] | lines out |
//! | [`mirror`] | records from cluster to cluster |
//! | [`perf`] | measurements |
//! | [`mod@format`], [`json`], [`printer`] | records as text, and back |
//! | [`wanted`] | which records, and when to end |
//! | [`partitions`] | offsets in a cluster |
//! | [`input`], [`lines`] | lines as records |
//! | [`place`], [`escapes`] | what people type |

pub(crate) mod consume;
mod escapes;
mod format;
mod input;
pub(crate) mod interrupt;
pub(crate) mod json;
mod lines;
pub(crate) mod mirror;
pub(crate) mod partitions;
pub(crate) mod perf;
pub(crate) mod place;
mod printer;
pub(crate) mod produce;
mod shown;
mod wanted;
