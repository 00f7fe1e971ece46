// SPDX-License-Identifier: MIT OR Apache-2.0
//! A folder that only xtask and its child processes may use.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, process};

/// How many names it tries: a killed process that had our number may have left some behind.
const MOST_NAMES: usize = 1000;

/// A temporary folder that only its owner may enter. It is removed, with what is in it, when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    path: PathBuf,
}

impl PrivateDir {
    /// Makes the folder. It never takes one that exists already, since somebody else may have made
    /// it.
    pub(crate) fn new() -> io::Result<Self> {
        // Any thread takes a number from it for a name of its own; nothing else depends on it, so
        // Relaxed.
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let mut taken = io::Error::from(ErrorKind::AlreadyExists);
        for _ in 0..MOST_NAMES {
            let name = NAMES.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("latchwork-{}-{name}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A folder that cannot be removed stays among the temporary files, where it does no harm.
        drop(fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_ours_alone_and_goes_with_its_content() {
        let (one, other) = (PrivateDir::new().expect("made"), PrivateDir::new().expect("made"));
        assert_ne!(one.path(), other.path());
        let mode = fs::metadata(one.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(one.path().join("file"), "x").expect("written");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().is_dir());
    }
}
