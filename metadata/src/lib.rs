//! The cluster image, its replay and the controller, as pure state machines.
#![forbid(unsafe_code)]
