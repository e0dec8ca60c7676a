//! Golden texts and damaged files.
