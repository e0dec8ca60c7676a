//! A directory that goes when nobody needs it any more.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::broker::BrokerError;
use crate::clock::Entropy;

/// A directory below [`std::env::temp_dir`], which is removed with all that is in it when this is
/// dropped.
#[derive(Debug)]
pub(super) struct TempDir(PathBuf);

impl TempDir {
    /// Makes it. Nobody else may look into it.
    pub(super) fn new() -> Result<Self, BrokerError> {
        let parent = std::env::temp_dir();
        let name = format!("ottla-{:016x}", u64::from_ne_bytes(Entropy.bytes()));
        let path = parent.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            BrokerError::new(format!(
                "cannot make {}: {error}; set TMPDIR to a directory that may be written, or choose \
                 one by Config::in_dir",
                path.display()
            ))
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            // Who takes away the directory of a running broker has done so already.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{} is left behind: {error}", self.0.display());
            }
            _ => (),
        }
    }
}
