//! The cluster's metadata as pure state machines: the image and the records that make it.
#![forbid(unsafe_code)]

pub mod features;
pub mod image;
