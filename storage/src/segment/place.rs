//! Where the files of a segment are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file_name::{FileKind, segment_file_name};

/// One file of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dir: Arc<Path>,
    pub(crate) base_offset: i64,
    pub(crate) kind: FileKind,
    /// Behind the name: nothing for a segment in use.
    pub(crate) suffix: &'static str,
}

/// What a file is called, put together when an error asks for it.
pub(crate) trait Named {
    fn to_path(&self) -> PathBuf;
}

impl Named for Place {
    fn to_path(&self) -> PathBuf {
        self.path()
    }
}

impl Named for &Path {
    fn to_path(&self) -> PathBuf {
        self.to_path_buf()
    }
}

impl Named for PathBuf {
    fn to_path(&self) -> PathBuf {
        self.clone()
    }
}

impl Place {
    pub(crate) fn path(&self) -> PathBuf {
        let mut name = segment_file_name(self.base_offset, self.kind);
        name.push_str(self.suffix);
        self.dir.join(name)
    }
}
