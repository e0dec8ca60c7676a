//! Connections that are none, for tests of what is done with them.

pub(crate) mod fake;
