//! A mio reactor for length-prefixed requests and responses of bytes and file regions.
