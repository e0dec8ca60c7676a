//! Bytes of all kinds, whole and damaged.
